"""
One request over HTTP/2, and its response.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, Protocol

from h2.errors import ErrorCodes
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import Request

from comet.errors import CometError
from comet.web.http2.fields import RequestHead

# Bytes that a stream keeps before its producer is paused.
HIGH_WATER_MARK: Final = 65536


class StreamCarrier(Protocol):
    """
    What a stream needs of its connection.

    @ivar site: The site, which makes the requests.

    @ivar transport: The transport of the connection.

    @ivar isSecure: Whether the connection is encrypted.
    """

    site: Any
    transport: Any
    isSecure: bool

    @property
    def isBehind(self) -> bool:
        """
        Whether the client should take some responses before it gets others.
        """

    def sendHead(
        self, stream: HTTP2Stream, status: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """
        Send the head of a response.
        """

    def wake(self, stream: HTTP2Stream) -> None:
        """
        Send what waits in a stream, as far as the client's window allows.
        """

    def finished(self, stream: HTTP2Stream) -> None:
        """
        All of the response was written to the stream.
        """

    def reset(self, stream: HTTP2Stream, code: ErrorCodes) -> object:
        """
        Give up a stream, and tell the client the code.
        """


class HTTP2Stream:
    """
    One request and its response: the channel of a
    L{Request<twisted.web.http.Request>}.

    @ivar ident: The number of the stream.

    @ivar refusal: Why the request is refused, or L{None}: a
        L{BoundedRequest<comet.web.boundedrequest.BoundedRequest>} looks here.

    @ivar isComplete: Whether all of the request has arrived.

    @ivar isFinished: Whether all of the response was written, or no more of it
        ever will be.

    @ivar length: How many bytes the request's body has as its head says, or
        L{None}.

    @ivar arrived: How many bytes of the request's body have arrived.

    @ivar taken: How many of them the request was given.

    @ivar unsent: How many bytes of the response's body wait.

    @ivar due: When the request's body has to go on; only its connection looks.
    """

    # Code that asks a request for its transport must not get that of the
    # connection.
    transport = None

    def __init__(self, carrier: StreamCarrier, ident: int) -> None:
        self.site = self.factory = carrier.site
        self.ident = ident
        self.refusal: CometError | None = None
        self.isComplete = False
        self.isFinished = False
        self.length: int | None = None
        self.arrived = 0
        self.taken = 0
        self.unsent = 0
        self.due = math.inf
        self._carrier = carrier
        self._method, self._path = b"", b"*"
        self._head: RequestHead | None = None
        self._request: Request | None = None
        self._queue: deque[bytes] = deque()
        # How many bytes of the first in the queue are sent.
        self._offset = 0
        self._producer: IPushProducer | None = None
        self._isPull = False
        self._isPaused = False
        self._whenGone: Callable[[], None] | None = None

    # -- What comes

    def begun(self, head: RequestHead, isEmpty: bool, refusal: CometError | None = None) -> None:
        """
        The head of the request has arrived.

        @param isEmpty: Whether the request has no body.

        @param refusal: Why the request is refused, or L{None}.
        """
        self.refusal = refusal
        self._method, self._path, self.length = head.method, head.target, head.length
        self._head = head
        if not isEmpty:
            self._makeRequest(head.length)

    def _makeRequest(self, length: int | None) -> None:
        """
        Make the request.  One without a body is made when it is served: the
        client may have reset the stream by then.

        @param length: How many bytes the body has as the head says, or L{None}.
        """
        head, self._head = self._head, None
        assert head is not None
        self._request = request = self.site.requestFactory(self)
        for name, value in head.fields:
            request.requestHeaders.addRawHeader(name, value)
        request.parseCookies()
        request.gotLength(length)

    @property
    def isExpecting(self) -> bool:
        """
        Whether the client waits for status 100 before it sends the body.
        """
        if self._request is None:
            return False
        expected = self._request.requestHeaders.getRawHeaders(b"Expect", ())
        return any(value.lower() == b"100-continue" for value in expected)

    def received(self, data: bytes) -> None:
        """
        A part of the body has arrived.
        """
        self.arrived += len(data)
        request = self._request
        if request is not None and not self.isFinished:
            self.taken += len(data)
            request.handleContentChunk(data)

    def serve(self) -> None:
        """
        All of the request has arrived: have it answered.
        """
        if self._head is not None:
            self._makeRequest(0)
        request = self._request
        if request is not None and not self.isFinished:
            request.requestReceived(self._method, self._path, b"HTTP/2")

    def getPeer(self) -> Any:
        """
        Return the client's address.
        """
        return self._carrier.transport.getPeer()

    def getPeerCertificate(self) -> Any:
        """
        Return the certificate that the client has shown, as pyOpenSSL has it.
        """
        return self._carrier.transport.getPeerCertificate()

    def getHost(self) -> Any:
        """
        Return the server's address.
        """
        return self._carrier.transport.getHost()

    def isSecure(self) -> bool:
        """
        Return whether the connection is encrypted.
        """
        return self._carrier.isSecure

    @property
    def isBehind(self) -> bool:
        """
        Whether the client should take some responses of its connection before it gets
        others.
        """
        return self._carrier.isBehind

    # -- What goes

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """
        Write the head of the response.
        """
        # Some versions of Twisted give a list.
        given: Sequence[tuple[bytes, bytes]] = (
            headers
            if isinstance(headers, list)
            else [(name, each) for name, values in headers.getAllRawHeaders() for each in values]
        )
        self._carrier.sendHead(self, code, given)

    def write(self, data: bytes) -> None:
        """
        Write a part of the body.
        """
        if data and not self.isFinished:
            self._queue.append(data)
            self.unsent += len(data)
            self._carrier.wake(self)
            self._pauseIfFull()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Write a part of the body that is in pieces.
        """
        self.write(b"".join(data))

    @property
    def pieces(self) -> Collection[bytes]:
        """
        The pieces of which all or a part waits.
        """
        return self._queue

    def take(self, size: int) -> bytes:
        """
        Take the next bytes to send.

        @param size: How many at most.
        """
        first, start = self._queue[0], self._offset
        data = first[start : start + size]
        if start + len(data) < len(first):
            # What is left may be shared with other streams, and is not copied.
            self._offset = start + len(data)
        else:
            self._queue.popleft()
            self._offset = 0
        self.unsent -= len(data)
        return data

    def requestDone(self, request: object) -> None:
        """
        Twisted has written all of the response.
        """
        self.isFinished = True
        self._request = None
        self._carrier.finished(self)

    def abortConnection(self) -> None:
        """
        Give up the stream, and what waits in it.
        """
        self._carrier.reset(self, ErrorCodes.CANCEL)

    loseConnection = abortConnection

    def whenGone(self, call: Callable[[], None]) -> None:
        """
        Name a function to call when all of the response was sent, or never will
        be.  It replaces the one that was named before.
        """
        self._whenGone = call

    def gone(self, reason: Failure | None) -> None:
        """
        The stream is over.

        @param reason: Why, or L{None} if all of the response was sent.
        """
        self.isFinished = True
        self._head = None
        self._queue.clear()
        self.unsent = self._offset = 0
        self._producer = None
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(reason)
        call, self._whenGone = self._whenGone, None
        if call is not None:
            call()

    # -- The producer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        See L{IConsumer.registerProducer
        <twisted.internet.interfaces.IConsumer.registerProducer>}.
        """
        self._producer, self._isPull, self._isPaused = producer, not streaming, False
        if self._isPull:
            self._pullLater()
        else:
            self._pauseIfFull()

    def unregisterProducer(self) -> None:
        """
        See L{IConsumer.unregisterProducer
        <twisted.internet.interfaces.IConsumer.unregisterProducer>}.
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
        All that waited is sent: let the producer go on.
        """
        if self._producer is not None and self._isPaused:
            self._isPaused = False
            if self._isPull:
                self._pullLater()
            else:
                self._producer.resumeProducing()

    def _pullLater(self) -> None:
        self.site.clock.callLater(0, self._pull)

    def _pull(self) -> None:
        if self._producer is None or not self._isPull:
            return
        self._producer.resumeProducing()
        if self._producer is not None:
            self._isPaused = bool(self.unsent)
            if not self._isPaused:
                self._pullLater()
