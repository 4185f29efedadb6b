"""
The server that C{twistd comet} starts.

  - L{listening}: ports: opened together, held back, shared with workers
  - L{statistics}: the server's own figures, published on C{$stats}
  - L{banner}: what the server says when it has started
  - L{service}: the server as a Twisted service
  - L{demo}: readers over raw TCP for the lab page
  - L{server}: a configuration becomes a server
  - L{workers}: several processes on the same ports
"""
