"""
From the log to the readers: who reads what, and when each is written to.

  - L{states}: the life of a reader, as a table
  - L{reader}: one reader: catching up, live, behind
  - L{streams}: readers that are clients: a stream of bytes
  - L{polls}: readers that are answered once
  - L{application}: readers that are an application's own objects
  - L{groups}: readers of the same names in the same shape, which share every
    byte
  - L{joinpoint}: where a new reader may go live at once
  - L{encodingcache}: messages in the shapes that are in use
  - L{coalescing}: equal questions to the bus, asked once
  - L{backlog}: what is left to do of a turn
  - L{sending}: the same bytes to many sockets
  - L{empty}: groups without a reader
  - L{listening}: what the bus was asked to let be heard
  - L{failures}: what went wrong first
  - L{probes}: a second line soon after the first, which shows a buffering proxy
  - L{core}: the fan-out itself: the tick
"""
