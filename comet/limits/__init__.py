"""
How much one client may do, and how much the server can take.

  - L{addresses} B{P}: which addresses count as one
  - L{rates} B{P}: so much in a second
  - L{connectioncounts} B{P}: how many readers and sockets at a time
  - L{clientlimits} B{P}: the limits of clients, as the hub applies them
  - L{acceptshare}: how many clients each of several workers accepts
  - L{capacity}: how many connections there is room for, and how many bytes
  - L{answerbodies}: how much is read of answers to requests that the server sends itself
  - L{answerheads}: how much these answers may have before their bodies
"""
