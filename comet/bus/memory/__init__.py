"""
The bus of one process, whose log is in memory.

  - L{log}: the log of one channel, and logs of several read together
  - L{bus}: the bus
"""
