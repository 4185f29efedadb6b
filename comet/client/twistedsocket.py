"""
A WebSocket of the client for Twisted, by Autobahn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.types import ConnectingRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IProtocolFactory, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import fromChunk
from zope.interface import implementer

from comet.client.awaiting import Inbox
from comet.client.clientsteps import MAX_HEAD, USER_AGENT
from comet.client.failures import BadAnswer, Lost
from comet.client.serverurl import ServerURL
from comet.client.splitting import MAX_BYTES
from comet.client.twistedconnections import Connections, asFailure, valueOf
from comet.client.twistedwaiting import Arrivals, Waits

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_LAST_CHUNK: Final = b"0\r\n\r\n"
_END: Final = b"\r\n\r\n"
_SWITCHED: Final = 101
_SUBPROTOCOL: Final = "comet.v1"

# Autobahn bounds the size of a message, but not the number of its frames, which may be empty.
_MOST_FRAMES: Final = 65536


class _Quiet:
    """
    A log for Autobahn, which tells of every step.  What goes wrong is told by the core.
    """

    def debug(self, *given: object, **named: object) -> None:
        """
        Drop what Autobahn reports.
        """

    trace = info = warn = error = critical = failure = debug


@implementer(IHandshakeListener, IPushProducer)
class Socket(WebSocketClientProtocol):
    """
    A WebSocket.

    @ivar status: See L{Socket<comet.client.clientsteps.Socket>}.

    @ivar body: The same.

    @ivar shaken: Fires at the end of the handshake.
    """

    log = _Quiet()
    transport: Any

    def __init__(
        self, connections: Connections, waits: Waits, url: ServerURL, headers: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._connections = connections
        self._url = url
        self._asked = {name: value for name, value in headers.items() if name != "User-Agent"}
        self._frames = 0
        self._failure: Exception | None = None
        self.inbox = Inbox()
        self.arrivals = Arrivals(waits)
        self.status = 0
        self.body = b""
        self.wasOpen = not url.isSecure
        self.isLost = False
        # Whether the server takes so little that answers to its pings wait.
        self._isClogged = False
        self.shaken: Deferred[None] = Deferred(lambda _: self.close())

    def header(self, name: str) -> str | None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        value = self.http_headers.get(name)
        return None if value is None else str(value)

    def connectionMade(self) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._connections.opened.add(self)
        if self.wasOpen:
            self.transport.registerProducer(self, True)
        super().connectionMade()

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}: TLS has verified the certificate.
        """
        self.wasOpen = True
        # Not before: TLS pauses its producer while it waits for the server to shake hands.
        self.transport.registerProducer(self, True)

    def onConnecting(self, details: Any) -> ConnectingRequest:
        """
        Say what to ask for.
        """
        url = self._url
        return ConnectingRequest(
            host=f"[{url.host}]" if ":" in url.host else url.host,
            port=url.port,
            resource=url.target,
            headers=self._asked,
            useragent=USER_AGENT,
            protocols=[_SUBPROTOCOL],
        )

    def processHandshake(self) -> None:
        """
        Take the answer to the handshake, once it is whole.  Autobahn takes no body of a refusal.
        """
        end = self.data.find(_END)
        if end < 0:
            if len(self.data) > MAX_HEAD:
                self.failHandshake("its head is too large")
            return
        head = self.data[: end + len(_END)]
        status = _STATUS.match(head)
        if status is None or not head.isascii():
            self.failHandshake("the server does not speak HTTP")
        elif int(status[1]) == _SWITCHED or self._hasBody(head):
            super().processHandshake()

    def _hasBody(self, head: bytes) -> bool:
        length = _LENGTH.search(head)
        most = MAX_HEAD if length is None else min(int(length[1]), MAX_HEAD)
        isWhole = self.isLost or len(self.data) - len(head) >= most
        return isWhole or (self.data.endswith(_LAST_CHUNK) and bool(_CHUNKED.search(head)))

    def failHandshake(self, reason: str) -> None:
        """
        The answer is not 101, or not that of a WebSocket.
        """
        status = _STATUS.match(self.data)
        if status is not None and int(status[1]) != _SWITCHED and hasattr(self, "http_headers"):
            self.status = int(status[1])
            head, end, body = self.data.partition(_END)
            isChunked = _CHUNKED.search(head + end)
            self.body = (_joinChunks(body) if isChunked else body)[:MAX_HEAD]
            self._fire(None)
        else:
            self._fire(BadAnswer(f"there is no WebSocket: {reason}"))
        super().failHandshake(reason)

    def _fire(self, error: Exception | None) -> None:
        if self.shaken.called:
            return
        if error is None:
            self.shaken.callback(None)
        else:
            self.shaken.errback(error)

    def onOpen(self) -> None:
        """
        The handshake is done.
        """
        self.status = _SWITCHED
        self._fire(None)

    def onMessageFrameBegin(self, length: int) -> None:
        """
        Count the frames of a message.
        """
        self._frames += 1
        if self._frames > _MOST_FRAMES:
            self._failure = BadAnswer(f"a message has more than {_MOST_FRAMES} frames")
            self.close()
        super().onMessageFrameBegin(length)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """
        Keep a message until it is taken.
        """
        self._frames = 0
        if isBinary:
            self._failure = BadAnswer("the server sends what is not text")
            self.close()
            return
        self.inbox.received(payload)
        if self.inbox.isFull:
            self._throttle()
        self.arrivals.wake()

    def pauseProducing(self) -> None:
        """
        See L{IPushProducer}: the transport has much to send.
        """
        self._isClogged = True
        self._throttle()

    def resumeProducing(self) -> None:
        """
        See L{IPushProducer}.
        """
        self._isClogged = False
        self._throttle()

    def stopProducing(self) -> None:
        """
        See L{IPushProducer}.
        """

    def _throttle(self) -> None:
        """
        Read on, or stop to read until there is room for what comes and for what it is answered.
        """
        if self.isLost:
            return
        if self._isClogged or self.inbox.isFull:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def onCloseFrame(self, code: Any, reason: Any) -> None:
        """
        The server has ended it.  There is nothing to wait for.
        """
        self._failure = Lost(f"the connection has ended with {code}")
        super().onCloseFrame(code, reason)
        # TLS does not close while there is a producer.
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._connections.opened.discard(self)
        self.isLost = True
        if not self.shaken.called and _END in self.data:
            # A refusal whose body ends with the connection.
            self.processHandshake()
        error = self._failure or asFailure(valueOf(reason), self._url.authority, self.wasOpen)
        super().connectionLost(reason)
        self._fire(error)
        self.inbox.end(error)
        self.arrivals.wake()

    async def take(self, deadline: float) -> list[bytes]:
        """
        Wait for messages.

        @raise Lost: At the end.

        @raise TimeoutError: If the time is over.
        """
        while True:
            isFull = self.inbox.isFull
            texts = self.inbox.takePieces()
            if texts:
                if isFull:
                    self._throttle()
                return texts
            await self.arrivals.wait(deadline)

    def close(self) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        if not self.isLost:
            self.transport.abortConnection()


def _joinChunks(body: bytes) -> bytes:
    """
    Return what is in the chunks of a body (RFC 9112 7.1), up to the first that is not whole.
    """
    pieces: list[bytes] = []
    try:
        while not pieces or pieces[-1]:
            piece, body = fromChunk(body)
            pieces.append(piece)
    except ValueError:
        pass
    return b"".join(pieces)


def makeFactory(
    reactor: Any,
    connections: Connections,
    waits: Waits,
    url: ServerURL,
    headers: Mapping[str, str],
) -> IProtocolFactory:
    """
    Make what makes a L{Socket} for an endpoint.
    """
    # Autobahn reads the URL itself only to know where to connect, which the endpoint does.
    factory: Any = WebSocketClientFactory(protocols=[_SUBPROTOCOL], reactor=reactor)
    factory.log = _Quiet()
    factory.noisy = False
    factory.protocol = lambda: Socket(connections, waits, url, headers)
    factory.setProtocolOptions(
        maxFramePayloadSize=MAX_BYTES,
        maxMessagePayloadSize=MAX_BYTES,
        failByDrop=True,
        tcpNoDelay=True,
        # All times are the core's.
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        serverConnectionDropTimeout=0,
        autoPingInterval=0,
    )
    made: IProtocolFactory = factory
    return made
