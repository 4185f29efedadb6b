"""
The log and its readers as values and rules.

  - L{channels}: the names of channels, patterns and events
  - L{patterns}: which channels a pattern reaches
  - L{clients}: clients, as far as rights depend on them
  - L{cursors}: epochs and positions
  - L{messages}: messages, as published and as stored
  - L{positions}: where a reader begins, and what it read
  - L{log}: the log of one channel, and what it holds
  - L{delivered}: what was delivered through names that are no longer read
  - L{progress}: how far one reader of several names has come
"""
