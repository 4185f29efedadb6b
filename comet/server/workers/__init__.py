"""
Several processes that serve the same ports.

One process, the parent, binds every port, and serves none of them; it starts
the others with these sockets, which they accept from in turn, tells what they
log, and starts one again that ends.  Nothing is forked: each of them is a
Python of its own.

A worker is given, as descriptors:

  - 0: a line of JSON that says L{what it is to do<comet.server.workers.process.Task>};
    when the other end is closed, it is to drain and end;

  - 1: where it logs: lines of a level, a space, and a text;

  - 2: where Python writes what it has to say;

then as many as systemd has given the parent, which are of no use; one where it
tells, in lines of JSON, what becomes of it; and the sockets.

  - L{process}: a worker, as its parent sees it
  - L{child}: a worker, as it sees itself
  - L{service}: the parent
"""
