"""
The lean edge: clients of plain TCP, many and cheap, on Linux.

All of them are in an C{epoll} of their own, behind one descriptor of the
reactor's.  What they ask for most is answered here, through the same requests,
hub, fan-out and framing as on the ordinary edge; everything else is handed
over to Twisted, with what was read so far, and so is answered as if there were
no lean edge.

  - L{parser}: a head of HTTP, in the narrow form that is understood here
  - L{plans}: how a request is answered
  - L{cache}: requests that were parsed already
  - L{lines}: first lines of raw TCP, remembered
  - L{connection}: a socket in the C{epoll}: what is sent, and what waits
  - L{newcomers}: connections that have just come
  - L{spare}: a descriptor for a connection that is handed over
  - L{edge}: what all connections of a port share
  - L{http}: a connection of HTTP/1.1
  - L{polls}: a request answered once
  - L{streams}: a request answered without end
  - L{websocket}: a WebSocket
  - L{publishing}: a request that publishes
  - L{tcp}: raw TCP
  - L{routes}: which of a site's resources are served here
  - L{port}: the port
  - L{reactor}: a reactor that makes such ports
"""
