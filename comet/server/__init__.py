"""
The server that C{twistd comet} starts.

  - L{locks}: locks that end with the process that holds them
  - L{systemd}: the sockets that systemd has passed
  - L{notifying}: what systemd is told
  - L{proxied}: endpoints behind the PROXY protocol
  - L{certificates}: TLS contexts that are made again when their files change
  - L{listening}: endpoints and ports: opened together, held, shared with workers
  - L{statistics}: the server's own figures, published to C{$stats}
  - L{lateness}: how late the reactor is
  - L{logoutput}: where lines of a log go
  - L{jsonlog}: the log as JSON, an object a line
  - L{banner}: what the server logs when it has started
  - L{service}: the server as a Twisted service
  - L{signals}: signals that must not end it
  - L{demo}: readers over raw TCP for the lab page
  - L{extension}: what an application adds: --app, --wsgi, and plugins
  - L{wsgipace}: its responses, at the pace of their clients
  - L{wsgilength}: the length that it tells of a response
  - L{wsgirequest}: its requests, as they are behind a proxy
  - L{wsgi}: a WSGI application at the root, at the pace of its clients
  - L{reload}: reads the configuration again while it runs
  - L{secretfiles}: the files of keys, read once for all processes
  - L{verifier}: what verifies tokens
  - L{backend}: what asks the backend
  - L{checks}: values that only the parts can judge which use them
  - L{interpreter}: the garbage collector and the threads of a serving process
  - L{makehub}: the hub and its rights, made of a configuration
  - L{hubextras}: what a configuration adds to a hub: hooks, presence, events
  - L{served}: the endpoints of a serving process, each with its factory
  - L{server}: hub and endpoints of a serving process
  - L{workers}: several processes on the same ports
  - L{commandline}: the options of C{twistd comet}, and what it is given
  - L{bestreactor}: the reactor that can serve the most clients on this system
  - L{startfailure}: a start that fails: one line for the user
  - L{processservice}: the service of the process that C{twistd} runs
"""
