"""
The bus of one process, whose log is in memory.

  - L{bus} is the bus.
  - L{log} is one channel of it.
"""
