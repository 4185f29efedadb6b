"""
HTTP as C{twistd comet} serves it: Twisted's, with bounds on what it takes in;
and HTTP/2, where C{h2} is installed and TLS has negotiated it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cached_property
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from weakref import WeakSet

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from comet.access.lookups import Lookup
from comet.capacity import SOME, UPLOAD_BYTES, BodyCount, Refusals, Uploads, fullFrom, openFiles
from comet.clientlog import ClientLogger
from comet.clocks import steadyClock
from comet.errors import BadRequest, CometError, Unavailable
from comet.fanout.unsent import Unsent
from comet.http.http1 import encodeResponse
from comet.http.responses import Headers, problem
from comet.hub import FULL_RETRY, Hub
from comet.model.clients import ANONYMOUS, Client
from comet.timers import TimerWheel
from comet.transports.channel import ChannelResource
from comet.transports.detach import setProtocol
from comet.transports.exchange import Exchange, bodyTooLarge, setHeaders
from comet.transports.resource import BodyReader, HubResource, corsHeaders
from comet.transports.sinks import sendNow, tune
from comet.turns import Turns
from comet.web.forms import FormError, parseForm
from comet.web.heads import HeadChannel
from comet.web.lookup import findAtHead

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

# Bytes of requests that are read at once.
READ_SIZE: Final = 8192

# Bytes of a body that are dealt with before the clock is looked at: each may be a chunk,
# and batches are parsed as they come.
BODY_PIECE: Final = 1024

# A body may be this many times as large as the server takes before its
# connection is cut.  Up to there it is discarded as it arrives, so that the
# client gets to read the error.
DISCARD_FACTOR: Final = 16


# RFC 9112 3.2.2: the absolute form, which clients send to a proxy.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)

_log = ClientLogger()


class BoundedRequest(Request):
    """
    A request whose body takes a bounded amount of memory, and no files.

    @ivar headBytes: How many bytes the head has, or L{None} if that is unknown.

    @ivar most: How many bytes the body may have.

    @ivar isTooLarge: Whether the body was larger than that; then it is empty.

    @ivar bodyReader: What reads the body as it arrives, or L{None} if it is kept.
    """

    # Any: Twisted's annotations do not know all of these.
    channel: Any
    content: Any
    postpath: Any
    sitepath: list[bytes]
    _body: Any

    # For what an application's resource raises.
    _log = ClientLogger()

    headBytes: int | None = None
    most = 0
    isTooLarge = False
    bodyReader: BodyReader | None = None
    # What was found out of the client when the head had come.
    identified: Client | Lookup | CometError | None = None
    _isRefused = False
    _isKept = True
    _received = 0
    # What counts the body.
    _count: BodyCount | None = None

    def _parseForm(self) -> dict[bytes, list[bytes]]:
        """
        Parse the fields of a form, as Twisted does for every request: with those
        of the query.
        """
        args: dict[bytes, list[bytes]] = self._queryArgs
        args.update(parseForm(self))
        return args

    # The parameters of the query and, for the application's resources, the
    # fields of a form.  Twisted sets the attribute; where it is not set, the form
    # is parsed when the attribute is read for the first time.
    args = cached_property(_parseForm)

    def gotLength(self, length: int | None) -> None:
        """
        The head has arrived.  Refuse a request whose head is too large, or whose
        body is declared much too large.

        @param length: The declared length in bytes, or L{None}.
        """
        # Twisted has counted the lines of the head without their ends.
        lines = getattr(self.channel, "_receivedHeaderCount", None)
        if lines is not None:
            self.headBytes = self.channel._receivedHeaderSize + 2 * (lines + 2)
        self.content = BytesIO()
        refusal = getattr(self.channel, "refusal", None)
        if refusal is not None:
            self._refuse(refusal)
            return
        if length == 0:
            return
        try:
            self.most = most = self._expectBody(length)
        except CometError as error:
            self._refuse(error)
            return
        if length is not None and length > most:
            self.isTooLarge = True
            # RFC 9110 10.1.1: a client that expects 100 is refused before it
            # sends the body.
            if length > most * DISCARD_FACTOR or self.requestHeaders.hasHeader(b"Expect"):
                self._refuse(bodyTooLarge(most))

    def _expectBody(self, length: int | None) -> int:
        """
        Prepare for a body.

        @return: How many bytes it may have.

        @raise CometError: If the request is refused before its body has come.
        """
        site = self.channel.site
        path = self._originForm(self._line[1]).partition(b"?")[0]
        resource, depth = findAtHead(site.resource, path)
        uploads: Uploads | None = getattr(site, "uploads", None)
        if isinstance(resource, HubResource):
            self._isKept = self._line[0].decode("latin-1") in resource.bodyMethods
            uploads = resource.hub.uploads
        # Any: what has come behind the head is private to Twisted.
        channel: Any = self.channel
        isHere = length is not None and length <= len(getattr(channel, "_buffer", b""))
        most = self._findMost(resource)
        if not isHere and self._isKept:
            client = ANONYMOUS
            if isinstance(resource, HubResource):
                client = self._admit(resource, depth)
            if uploads is not None:
                self._count = uploads.begin(client)
                self._count.check(min(length or 0, most))
        return most

    def _refuse(self, error: CometError) -> None:
        """
        Send an error before all of the request has arrived, and take no more of
        it.
        """
        self._isRefused = True
        self._release()
        self.bodyReader = None
        self.content = BytesIO()
        self.requestHeaders.removeHeader(b"Expect")
        channel = self.channel
        cors = self._corsHeaders()
        if isinstance(channel, HeadChannel):
            channel.refuse(error, cors)
            return
        # RFC 9113 8.1: a response may be complete before its request is.
        self._respond(error, cors)

    def _corsHeaders(self) -> Headers:
        """
        Make the headers of CORS for a request that no resource gets to see.
        """
        self._prepare()
        try:
            resource = self.channel.site.getResourceFor(self)
        except Exception:
            _log.failure("looking up {path} failed", path=self.path)
            return ()
        return corsHeaders(resource, self)

    def _prepare(self) -> None:
        """
        Set what Twisted sets when all of the request has arrived.
        """
        command, path = self._line
        self.method, self.site = command, self.channel.site
        # Twisted sends a response of HTTP/1.1 in chunks.
        self.clientproto = b"HTTP/1.1" if isinstance(self.channel, HTTPChannel) else b"HTTP/2"
        self.uri = self._originForm(path)
        self.path = self.uri.partition(b"?")[0]
        self.args = {}
        self.prepath, self.sitepath = [], []
        self.postpath = list(map(unquote_to_bytes, self.path[1:].split(b"/")))

    @property
    def _line(self) -> tuple[bytes, bytes]:
        """
        The method and the path of a request whose head has arrived.
        """
        channel = self.channel
        if isinstance(channel, HTTPChannel):
            # Any: these are private.
            parsed: Any = channel
            return parsed._command, parsed._path
        return channel._method, channel._path

    def _admit(self, resource: HubResource, depth: int) -> Client:
        """
        Have the resource refuse the request at its head, if it can tell by that.

        @param depth: How many segments of the path lead to the resource.

        @return: The client, as far as the head tells.

        @raise CometError: If the request is refused.
        """
        self._prepare()
        path = self.postpath
        self.prepath, self.postpath = path[:depth], path[depth:]
        exchange = Exchange(resource.hub, self)
        try:
            self.bodyReader = resource.admit(exchange)
            known = self.identified
            if isinstance(known, Lookup):
                known.then(lambda _: self._admitLate(resource, exchange), self._refuse)
            return resource.sender(exchange)
        except CometError:
            raise
        except Exception:
            # An application's resource may fail without the body.
            _log.debug("{path} was not checked before its body", path=self.path)
            return ANONYMOUS
        finally:
            if isinstance(self.channel, CometChannel):
                # The exchange is not under way.
                self.channel.exchange = None

    def _admitLate(self, resource: HubResource, exchange: Exchange) -> None:
        """
        It is known which client sends the body that comes: have the resource refuse
        it, if it can tell by that.
        """
        try:
            # The body is kept already: what would read it as it comes is too late.
            resource.admit(exchange)
        except CometError as error:
            self._refuse(error)

    def _findMost(self, resource: Any) -> int:
        """
        Return how many bytes the body may have.  Where it can only be one
        message, that is less.
        """
        site = self.channel.site
        most: int = getattr(site, "maxBody", 0)
        message: int | None = getattr(site, "maxMessage", None)
        if message is not None and isinstance(resource, ChannelResource):
            return min(message, most)
        return most

    def _originForm(self, path: bytes) -> bytes:
        """
        Return the path and query of a request target, and take the host of an
        absolute one as the header C{Host}.
        """
        found = _ABSOLUTE.fullmatch(path)
        if found is None:
            return path
        # RFC 9112 3.2.2: the absolute form overrides the header Host.
        self.requestHeaders.setRawHeaders(b"Host", [found[1]])
        return b"/" + found[2].removeprefix(b"/")

    def handleContentChunk(self, data: bytes) -> None:
        """
        Read or keep a part of the body, or discard it if the body is too large.
        """
        self._received += len(data)
        most = self.most
        if self._isRefused:
            return
        if self._received <= most and not self.isTooLarge:
            if self._isKept:
                self._keep(data)
            return
        self.isTooLarge = True
        self.content = BytesIO()
        self._release()
        if self._received > most * DISCARD_FACTOR:
            self._refuse(bodyTooLarge(most))

    def _keep(self, data: bytes) -> None:
        try:
            if self._count is not None:
                self._count.take(len(data))
            if self.bodyReader is None:
                self.content.write(data)
            else:
                self.bodyReader.received(data)
        except CometError as error:
            self._refuse(error)

    def _release(self) -> None:
        """
        The body is not on its way any longer.
        """
        if self._count is not None:
            self._count.end()
            self._count = None

    def connectionLost(self, reason: Failure) -> None:
        """
        The client has left.
        """
        self._release()
        if isinstance(self.identified, Lookup):
            self.identified.abandon()
        super().connectionLost(reason)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        All of the request has arrived: have it answered.
        """
        if self._isRefused:
            return
        self._release()
        # Hide the body from Twisted: it would parse a form, and close the
        # connection if it cannot.  comet's resources read the body themselves.
        self._body, self.content = self.content, BytesIO()
        super().requestReceived(command, self._originForm(path), version)

    def process(self) -> None:
        """
        Give the body back, and have the resource answer.
        """
        self.content = self._body
        self.content.seek(0)
        if self._received and self.method == b"POST" and self._parsePOSTFormSubmission:
            self._queryArgs = self.__dict__.pop("args")
        if self.isTooLarge:
            # Only for this request, since every one is rendered.
            self.__dict__["render"] = self._renderTooLarge
        super().process()

    def _renderTooLarge(self, resource: Any) -> None:
        """
        Let a resource answer a request whose body was discarded, if it is
        comet's.  To another one the body would look empty.
        """
        if isinstance(resource, HubResource):
            super().render(resource)
        else:
            self._respond(bodyTooLarge(self.most))

    def _respond(self, error: CometError, cors: Headers = ()) -> None:
        response = problem(error)
        self.setResponseCode(response.status)
        setHeaders(self, (*response.headers, *cors))
        self.write(response.body)
        self.finish()

    def processingFailed(self, reason: Failure) -> Any:
        """
        The resource has failed.  If it asked for the fields of a form that is
        none, its client is told.
        """
        if reason.check(FormError) is None:
            return super().processingFailed(reason)
        self._respond(BadRequest("the body is not the form that its Content-Type says"))
        return reason


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class CometChannel(HeadChannel):
    """
    A connection of HTTP/1, until TLS has negotiated HTTP/2.

    Where the client has sent several requests, some of them wait for another
    turn: see L{comet.turns}.

    @ivar exchange: The exchange of the request under way, if comet answers it.

    @ivar paused: Whether the rest of the input waits for another turn.  Twisted
        parses no line meanwhile.
    """

    exchange: Exchange | None = None
    paused: bool
    _isInputOver = False
    _hasAnswered = False
    # When the share of this turn is over.
    _shareOver = 0.0

    def connectionMade(self) -> None:
        """
        Limit how much is read at once, and have the system watch the client: a poll
        may be held for minutes.
        """
        super().connectionMade()
        if self.site.isFull(self.transport) and not self.site.makeRoom(self):
            self.isEnding = True
            self.site.refuse(self.transport)
            return
        tune(self.transport)
        if isinstance(self.transport, TCPConnection):
            self.transport.bufferSize = READ_SIZE

    def dataReceived(self, data: bytes) -> None:
        """
        Parse input, and answer the requests in it, until the share of this turn
        is over.  Much input waits while others do.
        """
        if self.paused or self._busyReceiving:
            super().dataReceived(data)
            return
        turns = self.site.turns
        if turns.mustWait(len(data)) and self._isParsing:
            self._waitForTurn()
            super().dataReceived(data)
            return
        self._takeInput(data)

    @property
    def _isParsing(self) -> bool:
        """
        Whether input is parsed: the transport is not another protocol's, no request is
        under way, and the last response was not sent.
        """
        isOurs = self.transport is not None and not self.isEnding
        return isOurs and not self._handlingRequest

    def _takeInput(self, data: bytes) -> None:
        """
        Parse input, until the share of this turn is over.
        """
        turns = self.site.turns
        seconds = turns.seconds
        begun = seconds()
        self._shareOver = begun + turns.share
        # TLS reads more at once than plain TCP, and batches are parsed as they come.
        for start in range(0, len(data), READ_SIZE):
            isOurs = self.transport is not None and not self.paused
            if start and isOurs and seconds() >= self._shareOver:
                self._waitForTurn()
            super().dataReceived(data[start : start + READ_SIZE])
        turns.spend(begun)

    def rawDataReceived(self, data: bytes) -> None:
        """
        A part of a body has arrived: take some of it, until the share of this turn is
        over.  What follows a request under way is kept as a whole.
        """
        if self._handlingRequest or len(data) <= BODY_PIECE:
            super().rawDataReceived(data)
            return
        super().rawDataReceived(data[:BODY_PIECE])
        # Twisted goes on with this, behind what it has put back of the piece.
        self._buffer += data[BODY_PIECE:]
        isOurs = self.transport is not None and not self.paused
        if isOurs and self.site.turns.seconds() >= self._shareOver:
            self._waitForTurn()

    def _waitForTurn(self) -> None:
        """
        Leave the rest of the input for another turn, and read nothing meanwhile.
        """
        self.paused = True
        self._networkProducer.pauseProducing()
        self.site.turns.later(self._goOn)

    def _goOn(self) -> None:
        """
        Answer input that has waited for this turn.
        """
        transport = self.transport
        if not self.paused or transport is None or transport.disconnecting:
            return
        self.paused = False
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()
        self._takeInput(self.clearLineBuffer())
        if self._isInputOver:
            self._endWithInput()

    def resumeProducing(self) -> None:
        """
        The transport takes more.  Read only if no input is left.
        """
        super().resumeProducing()
        if self.paused:
            self._networkProducer.pauseProducing()

    def readConnectionLost(self) -> None:
        """
        The client has closed its writing side.  Answer what it has asked, and
        close the connection then.  Requests of an application's resources are
        given up, as Twisted does: they may wait until the client leaves.
        """
        self._isInputOver = True
        self._endWithInput()

    def _endWithInput(self) -> None:
        """
        The client sends nothing more: end the connection after what it has asked.
        """
        if self.paused:
            return
        if self.exchange is None or self.isEnding:
            self.loseConnection()
        else:
            self.exchange.inputEnded()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """

    def requestDone(self, request: Any) -> None:
        """
        Go on with the next request, or close the connection after the last.
        """
        self.exchange = None
        self._hasAnswered = True
        if self._dataBuffer and self._buffer:
            # A share of time has ended while the request was under way: what waits
            # for another turn came after what Twisted keeps, which it would put
            # behind that.
            self._buffer = b"".join(self._dataBuffer) + self._buffer
            self._dataBuffer = []
        if self.paused:
            # There is more that waits already.
            super().requestDone(request)
            return
        # A response that comes later may come together with many others.
        if not self._busyReceiving or self.site.turns.seconds() >= self._shareOver:
            self.paused = True
        super().requestDone(request)
        if self.paused and self._buffer and self.persistent:
            self._waitForTurn()
            return
        self.paused = False
        if self._isInputOver and self.exchange is None and not self._buffer:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget the request under way.
        """
        self.exchange = None
        self.paused = False
        self.site.channelClosed(self)
        super().connectionLost(reason)

    @property
    def isBusy(self) -> bool:
        """
        Whether a part of a request has come, or a response is not sent yet.
        """
        transport: Any = self.transport
        if transport is None:
            return False
        hasInput = self.requests or self._buffer or self._dataBuffer
        return bool(hasInput or getattr(transport, "disconnecting", False))

    @property
    def isIdle(self) -> bool:
        """
        Whether the connection has been asked, and waits for another request.
        """
        return self.transport is not None and self._hasAnswered and not self.isBusy

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """
        Let the connection end after a response of a server that drains.
        """
        if self.site.isDraining:
            # RFC 9112 9.6: the server says so in its last response.
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        persists: bool = super().checkPersistence(request, version)
        return persists

    def handshakeCompleted(self) -> None:
        """
        TLS has negotiated a protocol.  If it is HTTP/2, another protocol takes
        the transport.
        """
        transport = self.transport
        if transport.negotiatedProtocol == b"h2":
            self.setTimeout(None)
            # The channel has registered itself as producer, to be told when the
            # buffer is full.
            transport.unregisterProducer()
            connection = self.site.makeConnection()
            setProtocol(transport, connection)
            connection.makeConnection(transport)


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

    @ivar unsent: Counts the bytes of responses that wait for their clients.

    @ivar wheel: Calls connections whose requests come too slowly.

    @ivar seconds: Tells the time of the wheel's clock.

    @ivar headDue: When the head has to be whole that has begun to come to a
        connection which is being handed over.
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
        **kwargs: Any,
    ) -> None:
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
        hub: Hub | None = getattr(resource, "hub", None)
        self.turns = Turns(self.clock) if hub is None else hub.turns
        refusals = Refusals(self.clock.seconds)
        self.uploads = Uploads(UPLOAD_BYTES, refusals) if hub is None else hub.uploads
        self.unsent = Unsent() if hub is None else hub.fanout.unsent
        self.wheel = TimerWheel(self.clock) if hub is None else hub.fanout.wheel
        self.seconds: Callable[[], float] = (self.clock if hub is None else hub.clock).seconds
        self.headDue = math.inf

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

    def refuse(self, transport: Any) -> None:
        """
        Tell a client that there is no room for it, and close its connection.
        """
        error = Unavailable("the server is full", FULL_RETRY)
        hub = getattr(self.resource, "hub", None)
        if hub is not None:
            hub.refusals.add("the process has no more open files")
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
