"""
A push server for Twisted: one message bus, and the techniques by which a
server reaches a browser wired to it.

A channel is a bounded log, and a reader is a position in it.  A cursor, which
names such a position, holds on every transport and after every reconnect: a
client may change any of them between two messages, and lose and repeat nothing.

The map, lower parts first.  A part imports none below it on this page, and
those marked B{P} import no Twisted:

  - L{comet.errors} B{P}: what can go wrong, with its code and HTTP status
  - L{comet.model.channels} B{P}: the names of channels, and patterns
  - L{comet.model.messages} B{P}: messages, cursors, where to begin
  - L{comet.http.request} B{P}: the head of an HTTP request
  - L{comet.framing} B{P}: messages as bytes, one module a wire shape
  - L{comet.model.log} B{P}: the bounded log of one channel
  - L{comet.model.positions} B{P}: what a bus tells of its log
  - L{comet.framing.publications} B{P}: what a body to be published says
  - L{comet.http.negotiation} B{P}: by which transport a request is answered
  - L{comet.http.reads} B{P}: what an HTTP request asks for
  - L{comet.http.responses} B{P}: how an HTTP answer begins
  - L{comet.framing.commands} B{P}: what a client may say on a two-way transport
  - L{comet.model.progress} B{P}: how far one reader of several names has come
  - L{comet.interfaces}: what the parts promise one another, in words
  - L{comet.timers}: one timer for every heartbeat, hold and expiry
  - L{comet.bus}: where messages are stored
  - L{comet.access}: who may do what
  - L{comet.fanout}: readers, groups of them, ticks, catching up
  - L{comet.hub}: the one gate that every request passes
  - L{comet.transports}: what is particular to each transport
  - L{comet.web.pages}: the pages and the client for browsers, from C{static}
  - L{comet.web.resources}: which transport is at which URL
  - L{comet.server.demo}: what runs beside the server for the lab page
  - L{comet.server.service}: the server as a Twisted service
  - L{comet.server.banner}: what it says when it has started
  - L{comet.tap}: the command line of C{twistd comet}
"""

__version__ = "0.1.0"
