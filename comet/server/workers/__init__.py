"""
Several processes that serve the same ports.

One process, the parent, binds every port, and serves none of them.  It starts the
workers with these sockets, from which they accept, those first that have fewer clients;
logs what they log; and restarts a worker that ends.  The parent does not fork: each worker
is a new Python process.

A worker inherits these descriptors:

  - 0: a line of JSON, the worker's L{task<comet.server.workers.process.Task>}, and
    another each time that the configuration was read again; between them what
    L{workersiblings} says.  When the parent closes the other end, the worker drains and ends.

  - 1: the log.  The worker writes lines of a level, a space, and a text.

  - 2: the standard error of Python.

  - 3: the worker's status, in lines of JSON.

  - 4: what the worker says to the others, and its figures, in lines of JSON.

  - 5: the memory with the L{loads} of all workers.

  - From 6 on: the sockets.

  - L{process}: a worker, in the process of its parent
  - L{workersiblings}: what workers know of one another
  - L{loads}: which of them have more clients than others
  - L{child}: a worker, in its own process
  - L{service}: the parent, as a Twisted service
"""
