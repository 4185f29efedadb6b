"""
HTTP/2, RFC 9113: many requests at the same time on one connection.

  - L{frames}: the frames of a client, cut and checked before h2 gets them
  - L{fields}: the field blocks of a client, and what makes them malformed
  - L{http2stream}: one request and its response
  - L{connections}: one connection, and the streams on it

The C{h2} library keeps the states of the streams and the windows, and makes the
frames that are sent.  It ends the connection over faults that RFC 9113 has end
one stream.  L{frames}, L{fields} and L{connections} find these faults first and
reset the stream; h2 gets the frames that it takes.

Twisted's own use of h2 is avoided: it closes a connection that is busy but
silent, it loops for as long as a client leaves the window of a stream shut, it
fails when a client makes all windows smaller, and it buffers for a client that
does not read as much as that client asks for.

For C{twisted.web} a stream is the channel of its request.
"""
