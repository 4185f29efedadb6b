"""
HTTP/2, as RFC 9113 has it: many requests at the same time on one connection.

The frames are the C{h2} library's.  What Twisted makes of them is not used: it
closes a connection that is busy but silent; it turns in a circle for as long as
a client leaves the window of a stream shut, and stumbles when a client makes
all windows smaller; and it keeps as much for a client that does not read as
this one says that it would take.

To C{twisted.web} a stream is the channel of its request.

  - L{lengths}: the lengths of frames, before they are read
  - L{streams}: one request and its response
  - L{connections}: one connection
"""
