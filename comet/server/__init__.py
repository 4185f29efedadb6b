"""
The server that C{twistd comet} starts.

  - L{locks}: locks that end with the process that holds them
  - L{systemd}: the sockets that systemd has passed
  - L{proxied}: endpoints behind the PROXY protocol
  - L{certificates}: TLS contexts that are made again when their files change
  - L{sharedtls}: TLS whose handshakes share the time of a turn
  - L{listening}: endpoints and ports: opened together, held, shared with workers
  - L{statistics}: the server's own figures, published to C{$stats}
  - L{banner}: what the server logs when it has started
  - L{service}: the server as a Twisted service
  - L{signals}: signals that must not end it
  - L{demo}: readers over raw TCP for the lab page
  - L{extension}: what an application adds: --app, and plugins
  - L{server}: hub and endpoints, made of a configuration
  - L{workers}: several processes on the same ports
"""
