"""
The bus of several nodes: the log lies in a Redis that all of them use.

  - L{urls}: what a URL says
  - L{tls}: TLS to Redis
  - L{endpoints}: how a connection is made, also by way of sentinels
  - L{protocol}: one connection, with replies and pushes in the order in which
    Redis made them
  - L{replies}: what the scripts answer, checked
  - L{capabilities}: what Redis tells of itself, and whether comet can use it
  - L{reconnect}: a connection that comes back
  - L{scripts}: the Lua scripts, each of which Redis runs as one step
  - L{store}: the scripts as functions
  - L{queries}: where names begin and what they hold, asked in short steps
  - L{topics}: the topics of Redis that carry a name
  - L{subscriptions}: which topics this node hears
  - L{notifications}: what is heard, put in order
  - L{bus}: the bus
"""
