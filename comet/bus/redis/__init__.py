"""
The bus of several nodes: the log lies in a Redis that all of them use.

  - L{comet.bus.redis.urls}: what a URL says.
  - L{comet.bus.redis.protocol}: one connection, with replies and pushes in the
    order in which Redis made them.
  - L{comet.bus.redis.capabilities}: what Redis tells of itself, and whether comet can
    use it.
  - L{comet.bus.redis.reconnect}: a connection that comes back.
  - L{comet.bus.redis.scripts}: the scripts in C{lua/}, which Redis runs, each
    as one step, and which alone touch the log.
  - L{comet.bus.redis.store}: the scripts as functions.
  - L{comet.bus.redis.queries}: where names begin, and what they hold, asked in
    steps that are short for Redis.
  - L{comet.bus.redis.topics}: which names are heard.
  - L{comet.bus.redis.bus}: the bus.
"""
