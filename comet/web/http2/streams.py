"""
One request over HTTP/2, and its answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from h2.errors import ErrorCodes
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import Request

# How many bytes a stream keeps before whoever writes to it has to wait.
HIGH_WATER_MARK: Final = 65536


class StreamCarrier(Protocol):
    """
    The connection that a stream is on.

    @ivar site: What answers.

    @ivar transport: What the connection is over.

    @ivar isSecure: Whether nobody else reads it.
    """

    site: Any
    transport: Any
    isSecure: bool

    def sendHead(self, stream: HTTP2Stream, head: Sequence[tuple[bytes, bytes]]) -> None:
        """
        Send the head of an answer.
        """

    def wake(self, stream: HTTP2Stream) -> None:
        """
        Send what waits in a stream, as far as the client takes it.
        """

    def finished(self, stream: HTTP2Stream) -> None:
        """
        All of the answer was written.
        """

    def reset(self, stream: HTTP2Stream, code: ErrorCodes) -> object:
        """
        Give up a stream.
        """


class HTTP2Stream:
    """
    One request and its answer: the channel of a
    L{Request<twisted.web.http.Request>}.

    @ivar ident: Its number.

    @ivar isComplete: Whether all of the request has come.

    @ivar isFinished: Whether all of the answer was written, or nothing more
        of it ever will be.

    @ivar taken: How many bytes of the request's body have come.

    @ivar unsent: How many bytes of the answer wait.
    """

    # Requests may ask for it; what the connection is over is not theirs.
    transport = None

    def __init__(self, carrier: StreamCarrier, ident: int) -> None:
        self.site = self.factory = carrier.site
        self.ident = ident
        self.isComplete = False
        self.isFinished = False
        self.taken = 0
        self.unsent = 0
        self._carrier = carrier
        self._method, self._path = b"", b"*"
        self._request: Request | None = None
        self._queue: deque[bytes] = deque()
        self._producer: IPushProducer | None = None
        self._isPull = False
        self._isPaused = False
        self._whenGone: Callable[[], None] | None = None

    # -- What comes

    def begun(self, headers: Iterable[tuple[bytes, bytes]], isEmpty: bool) -> None:
        """
        The head of the request came.

        @param isEmpty: Whether that is all of it.
        """
        self._request = request = self.site.requestFactory(self)
        own = {name: value for name, value in headers if name.startswith(b":")}
        self._method = own.get(b":method", b"")
        self._path = own.get(b":path", b"*")
        for name, value in headers:
            if not name.startswith(b":"):
                request.requestHeaders.addRawHeader(name, value)
        if b":authority" in own:
            # RFC 9113 8.3.1: then the header Host does not count.
            request.requestHeaders.setRawHeaders(b"Host", [own[b":authority"]])
        request.parseCookies()
        length = request.requestHeaders.getRawHeaders(b"Content-Length")
        # RFC 9113 8.1.1: whether it is true is seen where the frames are read.
        request.gotLength(int(length[0]) if length else 0 if isEmpty else None)

    @property
    def isExpecting(self) -> bool:
        """
        Whether the client sends the body only when it is told to.
        """
        if self._request is None:
            return False
        expected = self._request.requestHeaders.getRawHeaders(b"Expect", ())
        return any(value.lower() == b"100-continue" for value in expected)

    def received(self, data: bytes) -> None:
        """
        Some of the body came.
        """
        request = self._request
        if request is not None and not self.isFinished:
            self.taken += len(data)
            request.handleContentChunk(data)

    def serve(self) -> None:
        """
        Answer the request.
        """
        request = self._request
        if request is not None and not self.isFinished:
            request.requestReceived(self._method, self._path, b"HTTP/2")

    def getPeer(self) -> Any:
        """
        The client's address.
        """
        return self._carrier.transport.getPeer()

    def getHost(self) -> Any:
        """
        The server's address.
        """
        return self._carrier.transport.getHost()

    def isSecure(self) -> bool:
        """
        Whether nobody else reads it.
        """
        return self._carrier.isSecure

    # -- What goes

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """
        Write the head of the answer.
        """
        # Some versions of Twisted give a list.
        given: Sequence[tuple[bytes, bytes]] = (
            headers
            if isinstance(headers, list)
            else [(name, each) for name, values in headers.getAllRawHeaders() for each in values]
        )
        self._carrier.sendHead(self, [(b":status", code), *given])

    def write(self, data: bytes) -> None:
        """
        Write some of the body.
        """
        if data and not self.isFinished:
            self._queue.append(data)
            self.unsent += len(data)
            self._carrier.wake(self)
            self._pauseIfFull()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Write some of the body, in parts.
        """
        self.write(b"".join(data))

    def take(self, size: int) -> bytes:
        """
        Take up to so many bytes of what waits.
        """
        data = self._queue.popleft()
        if len(data) > size:
            self._queue.appendleft(data[size:])
            data = data[:size]
        self.unsent -= len(data)
        return data

    def requestDone(self, request: object) -> None:
        """
        All of the answer was written.
        """
        self.isFinished = True
        self._request = None
        self._carrier.finished(self)

    def abortConnection(self) -> None:
        """
        Give up the stream, and what waits.
        """
        self._carrier.reset(self, ErrorCodes.CANCEL)

    loseConnection = abortConnection

    def whenGone(self, call: Callable[[], None]) -> None:
        """
        Have something called when all of the answer went out, or never will.
        """
        self._whenGone = call

    def gone(self, reason: Failure | None) -> None:
        """
        The stream is over.

        @param reason: Why; L{None} if all of the answer went out.
        """
        self.isFinished = True
        self._queue.clear()
        self.unsent = 0
        self._producer = None
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(reason)
        call, self._whenGone = self._whenGone, None
        if call is not None:
            call()

    # -- Whoever writes

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Tell whoever writes when to wait, or, if it is not streaming, when to
        write.
        """
        self._producer, self._isPull, self._isPaused = producer, not streaming, False
        if self._isPull:
            self._pullLater()
        else:
            self._pauseIfFull()

    def unregisterProducer(self) -> None:
        """
        Tell it no more.
        """
        self._producer = None

    def _pauseIfFull(self) -> None:
        if self._producer is None or self._isPull or self._isPaused:
            return
        if self.unsent > HIGH_WATER_MARK:
            self._isPaused = True
            self._producer.pauseProducing()

    def drained(self) -> None:
        """
        Nothing waits any more.
        """
        if self._producer is not None and self._isPaused:
            self._isPaused = False
            if self._isPull:
                self._pullLater()
            else:
                self._producer.resumeProducing()

    def _pullLater(self) -> None:
        self.site.reactor.callLater(0, self._pull)

    def _pull(self) -> None:
        if self._producer is None or not self._isPull:
            return
        self._producer.resumeProducing()
        if self._producer is not None:
            self._isPaused = bool(self.unsent)
            if not self._isPaused:
                self._pullLater()
