"""
HTTP/2, RFC 9113: many requests at the same time on one connection.

  - L{lengths}: the lengths that frames declare, checked before h2 keeps a frame
  - L{http2stream}: one request and its response
  - L{connections}: one connection, and the streams on it

The C{h2} library reads and makes the frames.  Twisted's own use of it is
avoided: it closes a connection that is busy but silent, it loops for as long as
a client leaves the window of a stream shut, it fails when a client makes all
windows smaller, and it buffers for a client that does not read as much as that
client asks for.

For C{twisted.web} a stream is the channel of its request.
"""
