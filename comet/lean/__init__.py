"""
The lean edge: clients of plain TCP, many and cheap, on Linux.

All of them are in an C{epoll} of their own, behind one descriptor of the
reactor's.  What they ask for most is answered here, through the same requests,
hub, fan-out and framing as on the ordinary edge; everything else is handed
over to Twisted, with what was read so far, and so is answered as if there were
no lean edge.

  - L{heads} reads a head of HTTP in the narrow form that is understood here.
  - L{plans} remembers what requests ask for.
  - L{connections} is a socket in the C{epoll}: what is sent, and what waits.
  - L{edge} is what all of them share; L{port} listens.
  - L{requests} is a connection of HTTP; L{polls}, L{streams}, L{sockets} and
    L{publishing} answer it; L{tcp} is raw TCP.
"""
