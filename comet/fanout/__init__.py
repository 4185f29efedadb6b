"""
From the log to the readers: which reader reads what, and when it is written to.

The map, lower modules first:

  - L{states}: the life of a reader, as a table
  - L{sending}: the same bytes to many sockets
  - L{unsent}: what clients have not taken of what was sent to them
  - L{backlog}: what is left to do of earlier ticks
  - L{coalescing}: equal queries to the bus, asked once
  - L{readqueue}: what waits until the bus is asked, with a line for each connection
  - L{recall}: pages of what was before a cursor, part by part
  - L{logquestions}: what readers ask the bus
  - L{encodingcache}: messages as bytes, made once for each shape
  - L{departures}: closing many readers, each at its own moment
  - L{counting}: how many readers there are
  - L{delivery}: how the messages of a tick reach the readers of a group
  - L{aheadreaders}: readers that may be ahead of their group
  - L{giving}: messages to readers, such that a failure of one harms no other
  - L{flushrest}: what is left of the flush of a group, and what waits behind it
  - L{busygroups}: flushes that take long, and go on in later turns
  - L{catchups}: the responses to polls that have read the log, for others
  - L{groups}: readers of the same names in the same shape
  - L{registry}: which groups there are, and what the bus lets be heard
  - L{latemessages}: messages that some readers were not written yet, since it takes long
  - L{duereaders}: readers that go on with the log in later turns
  - L{leaving}: closed readers whose clients have not taken the last words
  - L{core}: the tick: what is heard, flushed and answered
  - L{livingreader}: the life of a reader: its state, its group, and its end
  - L{newnames}: names that a reader begins to read
  - L{reader}: one reader: opening, reading the log, live, behind
  - L{spared}: readers that are spared what their own clients publish
  - L{joinpoint}: where new readers of the same names may go live at once
  - L{probes}: what a stream says twice within a moment
  - L{streamdelivery}: how the messages of a tick reach streams
  - L{streams}: readers that are written bytes for as long as they stay
  - L{waiters}: what a poll needs of its transport
  - L{polldelivery}: how the messages of a tick reach polls
  - L{polls}: readers that are answered once
  - L{history}: polls of what was before a cursor
  - L{receivers}: what an application may read with
  - L{application}: readers that are an application's own objects
  - L{iterator}: messages for C{async for}
"""
