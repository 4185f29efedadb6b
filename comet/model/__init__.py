"""
The log and its readers as values and rules.

  - L{percent}: percent-encoding, undone
  - L{channels}: the names of channels, patterns and events
  - L{patterns}: which channels a pattern reaches
  - L{events}: what is told of channels after the fact
  - L{grants}: what a token or a backend lets a client do
  - L{clients}: clients, as far as rights depend on them
  - L{cursors}: epochs and positions
  - L{messages}: messages, as published and as stored
  - L{readerids}: the ids that clients give their readers
  - L{hookanswers}: what an application answers that is asked about a client
  - L{positions}: where a reader begins, and what it read
  - L{presence}: members of channels, and what nodes say of them
  - L{log}: the log of one channel, and what it holds
  - L{held}: how much a bus holds
  - L{delivered}: what was delivered through names that are no longer read
  - L{skips}: how many channels a reader knows of which messages are left out
  - L{state}: what a bus keeps beside the log
  - L{progress}: how far one reader of several names has come
"""
