"""
The lean edge: TCP for many clients at little cost, on Linux.

All clients of a port are in an C{epoll} of their own, behind one descriptor of
the reactor's; or in that of a reactor of comet's own.  The requests that come most
are answered here, through the same request parsing, hub, fan-out and framing as on
Twisted's edge.  A connection with any other request is handed over to Twisted's edge,
with all input that is not answered, so that its client sees no difference.

  - L{epollreactor}: a reactor with the clients in its C{epoll}
  - L{hangups}: what is left to do for clients that have left
  - L{edge}: what the connections of a port share
  - L{connection}: a socket in the C{epoll}: what is sent, and what waits
  - L{parser}: a request head, in the narrow form that is understood here
  - L{plans}: what a request asks for, and the base of the plans that answer it
  - L{comebacks}: polls with the same head as another one in the same turn
  - L{shown}: what a request shows of its client
  - L{polls}: the plan of a request that is answered once
  - L{styles}: how the streams of each transport look
  - L{streams}: the plan of a stream, and the connection that it becomes
  - L{websocket}: the plan of a WebSocket, and the connection that it becomes
  - L{publishing}: the plan of a request that publishes
  - L{answers}: the responses to publications, in the order of their requests
  - L{routes}: the requests that are answered here, and the making of their plans
  - L{footprint}: how much memory a value takes
  - L{cache}: requests that were parsed already
  - L{httpedge}: what the HTTP connections of a port share
  - L{timed}: the time that their clients are given
  - L{buffered}: input that waits
  - L{responding}: responses, at once or later
  - L{identifying}: who sends a request, and whether it may be read
  - L{http}: a connection of HTTP/1.1, which is all of these: requests and bodies
  - L{tcp}: raw TCP
  - L{tlssocket}: a socket that encrypts
  - L{handshakes}: connections over TLS, until the handshake is done
  - L{tlshandover}: connections over TLS that are given to Twisted's edge
  - L{secureedges}: ports over TLS
  - L{port}: the port: accepting, and handling events
  - L{reactor}: a reactor that makes such ports
"""
