"""
A push server for Twisted: one message bus, and the techniques by which a
server reaches a browser wired to it.

A channel is a bounded log, and a reader is a position in it.  A cursor, which
names such a position, holds on every transport and after every reconnect: a
client may change any of them between two messages, and lose and repeat nothing.

The map, lower parts first.  A part imports no part that stands below it on this
page.  The parts marked B{P} are pure: they import no Twisted, and the tests
reach every branch of them.

  - L{comet.errors} B{P}: what can go wrong, with its code and HTTP status
  - L{comet.metrics}: what is counted on each transport
  - L{comet.timers}: one timer for every heartbeat, hold and expiry
  - L{comet.model} B{P}: channels, cursors, messages, and the log of a channel
  - L{comet.framing} B{P}: bytes to values and back, one file a wire format
  - L{comet.http} B{P}: what a request asks for, and how its response begins
  - L{comet.configuration} B{P}: options, defaults, and the file that sets them
  - L{comet.interfaces}: what the parts promise one another
  - L{comet.access}: who may do what
  - L{comet.bus}: where messages are stored: memory, SQLite, Redis
  - L{comet.fanout}: readers, groups of them, ticks, catching up
  - L{comet.hub}: the one gate that every request passes
  - L{comet.transports}: Twisted's edge, one file a transport, to subclass
  - L{comet.web}: sites, resources, pages, HTTP/2
  - L{comet.lean}: the other edge: plain TCP on one epoll
  - L{comet.server}: the server that C{twistd comet} starts
  - L{comet.tap}: the command line of C{twistd comet}
"""

__version__ = "0.1.0"
