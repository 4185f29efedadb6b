"""
The bus of one process, whose log is in memory.

  - L{log}: the log of one channel
  - L{bus}: the bus
"""
