"""
How HTTP is served by C{twistd comet}: Twisted's, with bounds on what it takes
in; and HTTP/2, where C{h2} is installed and TLS has chosen it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.tcp import Connection as TCPConnection
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from comet.errors import TooLarge
from comet.http.responses import encodeResponse, problem
from comet.transports.detach import setProtocol
from comet.transports.exchange import setHeaders

try:
    from comet.web.http2.connections import HTTP2Connection
except ImportError:
    HAS_HTTP2 = False
else:
    HAS_HTTP2 = True

# After how many seconds a connection without a request is closed.
IDLE_TIMEOUT: Final = 60.0

# How many bytes of requests are read at once.
READ_SIZE: Final = 8192

# How many times as large as all that is taken a body may be before its
# connection is cut.  Up to there it is thrown away as it comes, so that the
# client gets to read why.
DISCARD_FACTOR: Final = 16


# RFC 9112 3.2.2: the form that clients use who speak to a proxy.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


class BoundedRequest(Request):
    """
    A request whose body takes a bounded amount of memory, and no files.

    @ivar headBytes: How many bytes its head has, where that is known.

    @ivar most: How many bytes the body may have.

    @ivar isTooLarge: Whether the body had more bytes than are taken; it is
        empty then.
    """

    # Also those that Twisted's annotations do not know.
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
        The head has come.
        """
        # Twisted has counted its lines, without their ends.
        lines = getattr(self.channel, "_receivedHeaderCount", None)
        if lines is not None:
            self.headBytes = self.channel._receivedHeaderSize + 2 * (lines + 2)
        self.content = BytesIO()
        most = self._most()
        if length is not None and length > most:
            self.isTooLarge = True
            # RFC 9110 10.1.1: who asks first is told before the body comes.
            if length > most * DISCARD_FACTOR or self.requestHeaders.hasHeader(b"Expect"):
                self._refuse(most)

    def _refuse(self, most: int) -> None:
        """
        Answer before the body has come, which then never will.
        """
        answer = problem(
            TooLarge(f"the body has more than {most} bytes, which is all that is taken")
        )
        self._isRefused = True
        self.requestHeaders.removeHeader(b"Expect")
        if not isinstance(self.channel, HTTPChannel):
            # RFC 9113 8.1: an answer may be complete before its request is.
            self.setResponseCode(answer.status)
            setHeaders(self, answer.headers)
            self.write(answer.body)
            self.finish()
            return
        response = encodeResponse(
            (1, 1), answer.status, answer.headers, answer.body, False, datetimeToString()
        )
        transport: Any = self.channel.transport
        transport.write(response)
        self.channel.loseConnection()

    def _most(self) -> int:
        """
        How many bytes the body may have: those of one message where it can be
        no more, since nobody has been asked yet who sends it.
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
        Some of the body has come.
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
        All of the request has come.
        """
        if self._isRefused:
            return
        found = _ABSOLUTE.fullmatch(path)
        if found is not None:
            # RFC 9112 3.2.2: then the header Host does not count.
            self.requestHeaders.setRawHeaders(b"Host", [found[1]])
            path = b"/" + found[2].removeprefix(b"/")
        # A body is ours to read, whatever type it says that it is: Twisted
        # would take a form apart, and hang up where it cannot.
        self._body, self.content = self.content, BytesIO()
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """
        Answer it.
        """
        self.content = self._body
        self.content.seek(0)
        super().process()


@implementer(IHandshakeListener)
class CometChannel(HTTPChannel):
    """
    A connection of HTTP/1, until TLS has chosen HTTP/2.
    """

    # Whatever the endpoint makes: more than the interface of a transport says.
    transport: Any
    site: Any

    def connectionMade(self) -> None:
        """
        A client came.
        """
        super().connectionMade()
        if isinstance(self.transport, TCPConnection):
            # What is read at once is dealt with at once: a thousand requests
            # that lie in it would let everybody else wait.
            self.transport.bufferSize = READ_SIZE

    def handshakeCompleted(self) -> None:
        """
        It is known what the client speaks.
        """
        transport = self.transport
        if transport.negotiatedProtocol == b"h2":
            self.setTimeout(None)
            # The channel left itself there to be told when the buffer is full.
            transport.unregisterProducer()
            connection = self.site.makeConnection()
            setProtocol(transport, connection)
            connection.makeConnection(transport)


class CometSite(Site):
    """
    Serves a tree of resources.

    @ivar maxBody: How many bytes the body of a request has at most.

    @ivar maxMessage: How many it has where it is published to a channel, or
        L{None}.
    """

    noisy = False
    protocol: Any = CometChannel

    def __init__(
        self, resource: IResource, maxBody: int, maxMessage: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(resource, requestFactory=BoundedRequest, timeout=IDLE_TIMEOUT, **kwargs)
        self.maxBody = maxBody
        self.maxMessage = maxMessage
        self.displayTracebacks = False
        self._connections: set[HTTP2Connection] = set()

    def acceptableProtocols(self) -> list[bytes]:
        """
        What TLS may choose from, best first.
        """
        return [b"h2", b"http/1.1"] if HAS_HTTP2 else [b"http/1.1"]

    def makeConnection(self) -> HTTP2Connection:
        """
        Make a connection of HTTP/2.
        """
        connection = HTTP2Connection(self)
        self._connections.add(connection)
        return connection

    def connectionClosed(self, connection: HTTP2Connection) -> None:
        """
        A connection of HTTP/2 is closed.
        """
        self._connections.discard(connection)

    def drain(self) -> Deferred[Any]:
        """
        Close the connections of HTTP/2, each when everything that was asked
        on it is answered.

        @return: Fires when they are closed.
        """
        drained = [connection.drain() for connection in list(self._connections)]
        return gatherResults(drained, consumeErrors=True)

    def log(self, request: Any) -> None:
        """
        Keep no log of requests: there may be thousands in a second, and their
        addresses may hold what is nobody's business.
        """
