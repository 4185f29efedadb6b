"""
Which resource is at which URL, over HTTP/1.1 and HTTP/2.

  - L{http2}: HTTP/2 on the C{h2} library
  - L{pages}: the pages and comet.js, from C{static}
  - L{resources}: which transport is at which URL
  - L{site}: the site: bounds of what is taken in, HTTP/1.1 and HTTP/2
"""
