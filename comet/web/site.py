"""
HTTP as C{twistd comet} serves it: Twisted's, with bounds on what it takes in;
and HTTP/2, where C{h2} is installed and TLS has negotiated it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Site

from comet.access.lookups import Lookup
from comet.errors import CometError, Unavailable
from comet.fanout.unsent import Unsent
from comet.http.http1 import encodeResponse
from comet.http.responses import problem
from comet.hub.hub import Hub
from comet.hub.readership import FULL_RETRY
from comet.limits.capacity import SOME, UPLOAD_BYTES, Refusals, Uploads, fullFrom, openFiles
from comet.logging.accesslog import AccessLog
from comet.metrics.tally import CodeCounts
from comet.model.clients import Client
from comet.reactor.clocks import steadyClock
from comet.reactor.timers import TimerWheel
from comet.reactor.turns import Turns
from comet.transports.clientrequest import OTHER
from comet.transports.sinks import sendNow
from comet.web.boundedrequest import BoundedRequest
from comet.web.heads import HeadChannel
from comet.web.sitechannel import CometChannel

try:
    from comet.web.http2.connections import HTTP2Connection
except ImportError:
    HAS_HTTP2 = False
else:
    HAS_HTTP2 = True

# Seconds after which a connection without a request is closed.
# Balancers close theirs after 60 by default.  A server that does so first would
# close some under a request that is on its way.
IDLE_TIMEOUT: Final = 75.0


class CometSite(Site):
    """
    Serves a tree of resources over HTTP/1.1 and HTTP/2.

    @ivar clock: The clock of the timers of its connections.

    @ivar turns: Those of its connections that have input left; and those of the
        hub's, if the resource has one.

    @ivar maxBody: How many bytes the body of a request may have.

    @ivar maxMessage: How many bytes it may have where it is published to a
        channel, or L{None} for no other limit.

    @ivar isDraining: Whether each response ends its connection.

    @ivar isAdopting: Whether a connection is being handed over by the lean edge.

    @ivar maxLine: How many bytes the first line of a request may have.

    @ivar uploads: Counts the bodies for an application's resources.

    @ivar refused: Counts the errors with which requests are refused.

    @ivar unsent: Counts the bytes of responses that wait for their clients.

    @ivar wheel: Calls connections whose requests come too slowly.

    @ivar seconds: Tells the time of the wheel's clock.

    @ivar headDue: When the head has to be whole that has begun to come to a
        connection which is being handed over.

    @ivar identified: What has been found out of the client of the first request on it;
        L{None} if that has to be asked.
    """

    noisy = False
    protocol: Any = CometChannel

    def __init__(
        self,
        resource: IResource,
        maxBody: int,
        maxMessage: int | None = None,
        maxLine: int = HeadChannel.maxLine,
        idleTimeout: float = IDLE_TIMEOUT,
        hub: Hub | None = None,
        **kwargs: Any,
    ) -> None:
        """
        @param hub: Where refused requests are logged and counted, if the resource is an
            application's own; by default the resource's.
        """
        super().__init__(resource, requestFactory=BoundedRequest, timeout=idleTimeout, **kwargs)
        self.isDraining = self.isAdopting = False
        self._full = fullFrom(openFiles())
        self._channels: WeakSet[CometChannel] = WeakSet()
        self.clock = steadyClock(self.reactor)
        self.maxBody = maxBody
        self.maxMessage = maxMessage
        self.maxLine = maxLine
        self.displayTracebacks = False
        self._connections: set[HTTP2Connection] = set()
        self._ownHub = hub
        hub = self.hub
        self.turns = Turns(self.clock) if hub is None else hub.turns
        refusals = Refusals(self.clock.seconds)
        self.uploads = Uploads(UPLOAD_BYTES, refusals) if hub is None else hub.uploads
        self.refused = CodeCounts() if hub is None else hub.fanout.tally.refused
        self.unsent = Unsent() if hub is None else hub.fanout.unsent
        self.wheel = TimerWheel(self.clock) if hub is None else hub.fanout.wheel
        self.seconds: Callable[[], float] = (self.clock if hub is None else hub.clock).seconds
        self.headDue = math.inf
        self.identified: Client | Lookup | CometError | None = None

    @property
    def hub(self) -> Hub | None:
        """
        The hub where refused requests are logged and counted, if there is one.
        """
        found: Hub | None = getattr(self.resource, "hub", None)
        return found if self._ownHub is None else self._ownHub

    def setLimits(self, maxBody: int, maxMessage: int | None, maxLine: int) -> None:
        """
        Set other limits, which requests have that begin from now on; that of lines,
        connections.
        """
        self.maxBody, self.maxMessage, self.maxLine = maxBody, maxMessage, maxLine

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Make the protocol of a connection, with the site's clock for its timeouts.
        """
        channel: Any = super().buildProtocol(addr)
        channel.callLater = self.clock.callLater
        # A channel from which a stream took the connection is not told of its end.
        self._channels.add(getattr(channel, "_channel", channel))
        return channel

    def cutConnections(self) -> bool:
        """
        Close the connections that are left, when the server stops.

        @return: Whether there was any.
        """
        # Any: what the two have in common is a transport.
        protocols: tuple[Any, ...] = (*self._connections, *self._channels)
        transports = [each.transport for each in protocols if each.transport is not None]
        for transport in transports:
            transport.abortConnection()
        return bool(transports)

    def acceptableProtocols(self) -> list[bytes]:
        """
        Return the protocols that TLS may negotiate, best first.
        """
        return [b"h2", b"http/1.1"] if HAS_HTTP2 else [b"http/1.1"]

    def makeConnection(self) -> HTTP2Connection:
        """
        Make the protocol of a connection of HTTP/2.
        """
        connection = HTTP2Connection(self)
        self._connections.add(connection)
        return connection

    def isFull(self, transport: Any) -> bool:
        """
        Whether a new connection takes one of the last open files.
        """
        if self.isAdopting:
            # It has been accepted elsewhere, and its other descriptor is closed.
            return False
        try:
            return bool(transport.fileno() >= self._full)
        except AttributeError:
            # The transport has no file of its own.
            return False

    def makeRoom(self, new: CometChannel) -> bool:
        """
        Close some idle connections of HTTP/1, since there is no room for more.

        @param new: The connection that needs it.

        @return: Whether there was one.
        """
        idle = [each for each in self._channels if each is not new and each.isIdle]
        for channel in idle[:SOME]:
            channel.loseConnection()
        return bool(idle)

    def logRefused(self, address: str, line: tuple[bytes, bytes], status: int, size: int) -> None:
        """
        Tell the access log of a request that is refused before all of it has come, which no
        resource gets to see.

        @param address: Where it came from, as far as its head has told that.

        @param line: The method and the URL, empty as far as they have not come.

        @param size: How many bytes the body of the response has.
        """
        hub = self.hub
        log: AccessLog | None = None if hub is None else hub.accessLog
        if log is not None:
            method, path = (each.partition(b"?")[0].decode("latin-1") for each in line)
            log.answered(address, "", OTHER, method, path, status, size)

    def refuse(self, transport: Any) -> None:
        """
        Tell a client that there is no room for it, and close its connection.
        """
        error = Unavailable("the server is full", FULL_RETRY)
        hub = self.hub
        if hub is not None:
            hub.refusals.add("the process has no more open files")
        self.refused.add(error.code)
        response = problem(error)
        date = datetimeToString()
        encoded = encodeResponse(
            (1, 1), response.status, response.headers, response.body, False, date
        )
        if isinstance(transport, TCPConnection) and not sendNow(transport, encoded):
            # Twisted would close it in another turn, and might accept many before.
            transport.connectionLost(Failure(ConnectionDone()))
            return
        transport.write(encoded)
        transport.loseConnection()

    def channelClosed(self, channel: CometChannel) -> None:
        """
        A connection of HTTP/1 is closed: forget it.
        """
        self._channels.discard(channel)

    def connectionClosed(self, connection: HTTP2Connection) -> None:
        """
        A connection of HTTP/2 is closed: forget it.
        """
        self._connections.discard(connection)

    def drain(self) -> Deferred[Any]:
        """
        Close each connection once all requests on it are answered.

        @return: Fires when all connections of HTTP/2 are closed.  Those of HTTP/1
            are left open while they are idle: see L{isBusy}.
        """
        self.isDraining = True
        drained = [connection.drain() for connection in list(self._connections)]
        return gatherResults(drained, consumeErrors=True)

    @property
    def isBusy(self) -> bool:
        """
        Whether a request of HTTP/1 is under way.
        """
        return any(channel.isBusy for channel in self._channels)

    def log(self, request: Any) -> None:
        """
        Write no access log: there may be thousands of requests a second, and
        their URLs may hold private names.
        """
