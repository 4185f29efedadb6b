"""
Which resource is at which URL, over HTTP/1.1 and HTTP/2.

  - L{npm}: the client as a package of npm
  - L{pages}: the pages and comet.js, from C{static}
  - L{book}: the book of a checkout
  - L{forms}: the fields of forms, for an application's resources
  - L{heads}: the heads of HTTP/1 requests, and the ends of connections
  - L{branch}: a resource that has others below it
  - L{lookup}: which resource will answer, as far as the head tells
  - L{admin}: what only the admin may do and see
  - L{presencepage}: who is in a channel
  - L{metrics}: what a monitoring system reads
  - L{resources}: the tree of URLs
  - L{http2}: HTTP/2 on the C{h2} library
  - L{sitechannel}: a connection of HTTP/1.1, and the choice of HTTP/2
  - L{boundedrequest}: a request, and the bounds on what is taken in of it
  - L{site}: the factory of connections, and their end
"""
