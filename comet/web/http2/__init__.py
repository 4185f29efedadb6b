"""
HTTP/2, RFC 9113: many requests at the same time on one connection.

  - L{frames}: the frames of a client, cut and checked before h2 gets them
  - L{fields}: the field blocks of a client, and what makes them malformed
  - L{budgets}: how many frames a client may send that carry nothing
  - L{connectionstates}: what the C{h2} library keeps: the states of the streams, the windows
  - L{framereceiver}: the frames of a client, as events
  - L{http2stream}: one request and its response
  - L{framesender}: the frames of the streams, in turn
  - L{openstreams}: the streams of a connection: how each begins, what it gets, how it ends
  - L{pendinginput}: what has come and waits for a share of time
  - L{timeouts}: what a client has time for
  - L{connections}: one connection: its life, its turns, and when it writes

h2 ends the connection over faults that RFC 9113 has end one stream, and keeps some
of what a client sends for as long as the connection lives.  L{frames}, L{fields}
and L{framereceiver} find these first; h2 gets the frames that it takes.

Twisted's own use of h2 is avoided: it closes a connection that is busy but
silent, it loops for as long as a client leaves the window of a stream shut, it
fails when a client makes all windows smaller, and it buffers for a client that
does not read as much as that client asks for.

For C{twisted.web} a stream is the channel of its request.
"""
