"""
From the log to the readers: who reads what, and when each is written to.

  - L{life} is the table of a reader's life.
  - L{readers} is one reader: catching up, live, behind.
  - L{kinds} are the readers that are clients: a stream of bytes; L{polls} those
    that are answered once.
  - L{objects} are the readers that are an application's own objects.
  - L{groups} are readers of the same names in the same shape, who share every
    byte.
  - L{encodings} remembers messages in the shapes that are in use.
  - L{core} is the fan-out itself: the tick.
"""
