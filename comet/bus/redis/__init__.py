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
  - L{replies}: reads the parts of what the scripts answer, and checks them
  - L{bodies}: what is stored of a message
  - L{pushes}: reads what the scripts push
  - L{settings}: compares what the nodes are configured with
  - L{upkeepreplies}: reads what is answered to a node that joins, checks and sweeps
  - L{channelreplies}: reads which channels and positions were found
  - L{messagereplies}: reads which messages were found
  - L{storedreplies}: reads where messages were stored
  - L{store}: the scripts as functions
  - L{statereplies}: reads what the scripts of state answer
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
  - L{usable}: the connection that is in use, and the callers that wait for one
  - L{faultlog}: logs what Redis denies, and what goes wrong with it
  - L{retrying}: asks, and asks again after a lost connection
  - L{nodemembers}: what this node says of its readers
  - L{upkeep}: drops old messages, and checks that the log is still the same
  - L{logwriter}: stores, and tells whether it was stored
  - L{bus}: the bus: these together
"""
