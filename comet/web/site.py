"""
HTTP as C{twistd comet} serves it: Twisted's, with bounds on what it takes in;
and HTTP/2, where C{h2} is installed and TLS has negotiated it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from comet.clocks import steadyClock
from comet.http.http1 import encodeResponse
from comet.http.responses import problem
from comet.transports.detach import setProtocol
from comet.transports.exchange import Exchange, bodyTooLarge, setHeaders

try:
    from comet.web.http2.connections import HTTP2Connection
except ImportError:
    HAS_HTTP2 = False
else:
    HAS_HTTP2 = True

# Seconds after which a connection without a request is closed.
IDLE_TIMEOUT: Final = 60.0

# Bytes of requests that are read at once.
READ_SIZE: Final = 8192

# A body may be this many times as large as the server takes before its
# connection is cut.  Up to there it is discarded as it arrives, so that the
# client gets to read the error.
DISCARD_FACTOR: Final = 16


# RFC 9112 3.2.2: the absolute form, which clients send to a proxy.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


class BoundedRequest(Request):
    """
    A request whose body takes a bounded amount of memory, and no files.

    @ivar headBytes: How many bytes the head has, or L{None} if that is unknown.

    @ivar most: How many bytes the body may have.

    @ivar isTooLarge: Whether the body was larger than that; then it is empty.
    """

    # Any: Twisted's annotations do not know all of these.
    channel: Any
    content: Any
    _body: Any

    headBytes: int | None = None
    most = 0
    isTooLarge = False
    _isRefused = False
    _received = 0

    def gotLength(self, length: int | None) -> None:
        """
        The head has arrived.  Refuse a body that is declared much too large.

        @param length: The declared length in bytes, or L{None}.
        """
        # Twisted has counted the lines of the head without their ends.
        lines = getattr(self.channel, "_receivedHeaderCount", None)
        if lines is not None:
            self.headBytes = self.channel._receivedHeaderSize + 2 * (lines + 2)
        self.content = BytesIO()
        most = self._most()
        if length is not None and length > most:
            self.isTooLarge = True
            # RFC 9110 10.1.1: a client that expects 100 is refused before it
            # sends the body.
            if length > most * DISCARD_FACTOR or self.requestHeaders.hasHeader(b"Expect"):
                self._refuse(most)

    def _refuse(self, most: int) -> None:
        """
        Send an error before the body has arrived, and receive no more of it.
        """
        response = problem(bodyTooLarge(most))
        self._isRefused = True
        self.requestHeaders.removeHeader(b"Expect")
        if not isinstance(self.channel, HTTPChannel):
            # RFC 9113 8.1: a response may be complete before its request is.
            self.setResponseCode(response.status)
            setHeaders(self, response.headers)
            self.write(response.body)
            self.finish()
            return
        encoded = encodeResponse(
            (1, 1), response.status, response.headers, response.body, False, datetimeToString()
        )
        transport: Any = self.channel.transport
        transport.write(encoded)
        self.channel.loseConnection()

    def _most(self) -> int:
        """
        Return how many bytes the body may have.  Where it can only be one
        message, that is less: the client is not identified yet.
        """
        site = self.channel.site
        most: int = getattr(site, "maxBody", 0)
        message: int | None = getattr(site, "maxMessage", None)
        if message is not None and b"/channels/" in getattr(self.channel, "_path", b""):
            most = min(most, message)
        self.most = most
        return most

    def handleContentChunk(self, data: bytes) -> None:
        """
        Keep a part of the body, or discard it if the body is too large.
        """
        self._received += len(data)
        most = self._most()
        if self._received <= most and not self.isTooLarge:
            self.content.write(data)
        elif not self._isRefused:
            self.isTooLarge = True
            self.content.seek(0)
            self.content.truncate()
            if self._received > most * DISCARD_FACTOR:
                self._refuse(most)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        All of the request has arrived: have it answered.
        """
        if self._isRefused:
            return
        found = _ABSOLUTE.fullmatch(path)
        if found is not None:
            # RFC 9112 3.2.2: the absolute form overrides the header Host.
            self.requestHeaders.setRawHeaders(b"Host", [found[1]])
            path = b"/" + found[2].removeprefix(b"/")
        # Hide the body from Twisted: it would parse a form, and close the
        # connection if it cannot.  Here the resources read the body.
        self._body, self.content = self.content, BytesIO()
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """
        Give the body back, and have the resource answer.
        """
        self.content = self._body
        self.content.seek(0)
        super().process()


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class CometChannel(HTTPChannel):
    """
    A connection of HTTP/1, until TLS has negotiated HTTP/2.

    @ivar exchange: The exchange of the request under way, if comet answers it.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any
    site: Any

    exchange: Exchange | None = None
    _isInputOver = False

    def connectionMade(self) -> None:
        """
        Limit how much is read at once.
        """
        super().connectionMade()
        if isinstance(self.transport, TCPConnection):
            # All that is read at once is answered in one turn: with Twisted's
            # size a thousand requests would fit, and make all other clients
            # wait.
            self.transport.bufferSize = READ_SIZE

    def readConnectionLost(self) -> None:
        """
        The client has closed its writing side.  Answer what it has asked, and
        close the connection then.  Requests of an application's resources are
        given up, as Twisted does: they may wait until the client leaves.
        """
        self._isInputOver = True
        if self.exchange is None:
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
        super().requestDone(request)
        if self._isInputOver and self.exchange is None:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget the request under way.
        """
        self.exchange = None
        super().connectionLost(reason)

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

    @ivar maxBody: How many bytes the body of a request may have.

    @ivar maxMessage: How many bytes it may have where it is published to a
        channel, or L{None} for no other limit.
    """

    noisy = False
    protocol: Any = CometChannel

    def __init__(
        self, resource: IResource, maxBody: int, maxMessage: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(resource, requestFactory=BoundedRequest, timeout=IDLE_TIMEOUT, **kwargs)
        self.clock = steadyClock(self.reactor)
        self.maxBody = maxBody
        self.maxMessage = maxMessage
        self.displayTracebacks = False
        self._connections: set[HTTP2Connection] = set()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Make the protocol of a connection, with the site's clock for its timeouts.
        """
        channel: Any = super().buildProtocol(addr)
        channel.callLater = self.clock.callLater
        return channel

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

    def connectionClosed(self, connection: HTTP2Connection) -> None:
        """
        A connection of HTTP/2 is closed: forget it.
        """
        self._connections.discard(connection)

    def drain(self) -> Deferred[Any]:
        """
        Close each connection of HTTP/2 once all requests on it are answered.

        @return: Fires when all are closed.
        """
        drained = [connection.drain() for connection in list(self._connections)]
        return gatherResults(drained, consumeErrors=True)

    def log(self, request: Any) -> None:
        """
        Write no access log: there may be thousands of requests a second, and
        their URLs may hold private names.
        """
