"""
How much one client may do.

  - L{addresses}: which addresses count as one
  - L{rates}: so much in a second
  - L{connectioncounts}: how many readers and sockets at a time
  - L{clientlimits}: the limits of clients, as the hub applies them
"""
