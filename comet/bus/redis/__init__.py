"""
The bus of several nodes: its log is in a Redis that all of them use.

  - L{urls}: reads the URL of a Redis
  - L{protocol}: one connection, with replies and pushes in the order in which
    Redis made them
  - L{scripts}: the Lua scripts, each of which Redis runs as one step
  - L{capabilities}: whether comet can use a Redis, and what that promises
  - L{tls}: TLS to Redis
  - L{endpoints}: connects to a Redis, also by way of sentinels
  - L{reconnect}: keeps a connection, and connects again after a loss
  - L{replies}: reads what the scripts answer and push, and checks it
  - L{settings}: compares what the nodes are configured with
  - L{store}: the scripts as functions
  - L{statestore}: those that keep state beside the log
  - L{memberreplies}: reads what the scripts of members answer, and checks it
  - L{memberstore}: members of channels, and the name of this node
  - L{openings}: where a few channels begin, and what is there, in one step
  - L{holdings}: finds what is held of names, without looking at all channels
  - L{page}: a page of the log, which is put together from several steps
  - L{queries}: answers C{read} and C{resolve} in several short steps
  - L{topics}: the topics of Redis that carry a name
  - L{subscriptions}: the topics that a connection is subscribed to
  - L{notifications}: tells listeners what Redis pushes, in order
  - L{bus}: the bus
"""
