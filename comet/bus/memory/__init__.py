"""
The bus of one process, whose log is in memory.

  - L{channelindex}: all channels, in the order of their names
  - L{log}: the log of one channel, and logs of several read together
  - L{positionlog}: all messages, in the order of positions
  - L{query}: finds what names reach, in slices that are short for the reactor
  - L{bus}: the bus
"""
