"""
The bus of one process, whose log is in memory.

  - L{channelindex}: all channels, in the order of their names
  - L{log}: the log of one channel, and logs of several read together
  - L{positionlog}: all messages, in the order of positions
  - L{query}: finds what names reach, in slices that are short for the reactor
  - L{patientqueries}: puts queries off for which a slice is not enough
  - L{account}: the channels that share one part of what may be held
  - L{buslog}: all channels within bounds, and what of them is dropped
  - L{statetables}: state beside the log
  - L{bus}: the bus
"""
