"""
From the log to the readers: who reads what, and when each is written to.

  - L{life} is the table of a reader's life.
  - L{readers} is one reader: catching up, live, behind.
  - L{kinds} are the three kinds of readers: a stream of bytes, a poll that is
    answered once, and an application's own object.
  - L{groups} are readers of the same names in the same shape, who share every
    byte.
  - L{encodings} remembers messages in the shapes that are in use.
  - L{core} is the fan-out itself: the tick.
"""
