"""
What polling and long-polling share: a request that is answered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from socket import socket
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import maybeDeferred

from comet.fanout.polls import Outcome, PollReader, PollShape
from comet.framing.envelope import encodeEnvelope
from comet.framing.pollbody import encodePollBody
from comet.http.reads import ReadRequest
from comet.http.responses import COMMON, Headers, Response, dateOfNow, encodeResponse
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.transports.detach import HeldRequest, isDetachable
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource

# How many heads are remembered.
MOST_HEADS: Final = 256

# Stand for what differs from answer to answer.
_DATE: Final = b"Thu, 01 Jan 1970 00:00:00 GMT"
_CURSOR: Final = Cursor("", 0)

JSON: Final[Headers] = ((b"Content-Type", b"application/json"), *COMMON)


def entityTag(cursor: Cursor) -> tuple[bytes, bytes]:
    """
    The header of an answer that ends with a cursor.
    """
    return (b"ETag", b'"%s"' % str(cursor).encode("ascii"))


@frozen(cache_hash=True)
class AnswerShape:
    """
    An answer to a poll, for Twisted to frame.

    @ivar limit: How many messages it has at most.

    @ivar time: Whether envelopes tell the time.
    """

    limit: int
    time: bool

    def respond(self, outcome: Outcome) -> Response:
        """
        See L{PollShape.respond}.
        """
        return Response(200, (entityTag(outcome.cursor), *JSON), self.body(outcome))

    def body(self, outcome: Outcome) -> bytes:
        """
        The body alone.
        """
        return encodePollBody(
            outcome.cursor,
            [encodeEnvelope(message, self.time, replay) for message, replay in outcome.messages],
            outcome.gap,
            outcome.more,
            outcome.close,
        )


@frozen(cache_hash=True)
class ResponseShape:
    """
    An answer to a poll as all the bytes of a response of HTTP/1, which many
    readers share.

    @ivar answer: The answer in it.

    @ivar version: The version of HTTP of the request.

    @ivar persistent: Whether the connection stays.

    @ivar headers: Headers besides those that all have.
    """

    answer: AnswerShape
    version: tuple[int, int]
    persistent: bool
    headers: Headers

    @property
    def limit(self) -> int:
        """
        See L{PollShape.limit}.
        """
        return self.answer.limit

    def respond(self, outcome: Outcome) -> bytes:
        """
        See L{PollShape.respond}.
        """
        body = self.answer.body(outcome)
        before, middle, after, end = _around(self)
        tag = str(outcome.cursor).encode("ascii")
        return b"%b%b%b%b%b%d%b%b" % (before, dateOfNow(), middle, tag, after, len(body), end, body)


@lru_cache(MOST_HEADS)
def _around(shape: ResponseShape) -> Sequence[bytes]:
    """
    What is around the date, the cursor in the entity tag, and the length, in
    the head of an answer.
    """
    headers = (entityTag(_CURSOR), *JSON, *shape.headers)
    head = encodeResponse(shape.version, 200, headers, b"", shape.persistent, _DATE)
    before, _, rest = head.partition(_DATE)
    middle, _, rest = rest.partition(str(_CURSOR).encode("ascii"))
    after, length, end = rest.partition(b"Content-Length: ")
    # The length of nothing is a single digit.
    return before, middle, after + length, end[1:]


class PollingResource(HubResource):
    """
    Answers a request to read once.

    @cvar transport: The name of the transport.
    """

    transport: str

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Answer, now or within the time that it may wait.
        """
        readRequest = exchange.parseReadRequest(self.names(exchange), self.transport)
        self.begin(exchange, readRequest, self.client(exchange))

    def wait(self, readRequest: ReadRequest) -> float:
        """
        For how many seconds a request may wait for a message.
        """
        raise NotImplementedError

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Answer what was asked for.
        """
        exchange.countAs(self.transport)
        waiter, wait = self.waiter(exchange, readRequest), self.wait(readRequest)
        waiter.opened(
            self.hub.openPoll(
                client, readRequest.names, readRequest.since, waiter.shape, waiter, wait
            )
        )

    def waiter(self, exchange: Exchange, readRequest: ReadRequest) -> HeldPoll:
        """
        Whoever is to be given the answer, with the shape that it is to have.

        @raise CometError: If what was asked for cannot be had.
        """
        shape = AnswerShape(readRequest.limit, readRequest.time)
        if not isDetachable(exchange.request):
            return HeldPoll(exchange, readRequest, shape)
        raw = ResponseShape(
            shape,
            exchange.head.version,
            bool(exchange.request.channel.persistent),
            exchange.ownHeaders((entityTag(exchange.hub.end), *JSON)),
        )
        return _Raw(exchange, readRequest, raw)


class HeldPoll:
    """
    A request that waits for the outcome of its poll.
    """

    __slots__ = ("_exchange", "_hold", "_isAnswered", "_reader", "_tags", "shape")

    # Twisted's own transport has bytes of its own that wait.
    direct: socket | None = None
    keepsTime: bool = False

    def __init__(self, exchange: Exchange, readRequest: ReadRequest, shape: PollShape[Any]) -> None:
        self.shape = shape
        self._exchange = exchange
        self._tags = readRequest.tags
        self._reader: PollReader[Any] | None = None
        self._hold: HeldRequest | None = None
        self._isAnswered = False

    def opened(self, reader: PollReader[Any]) -> None:
        """
        The poll has begun; it may be answered already.
        """
        request = self._exchange.request
        if self._isAnswered:
            return
        self._reader = reader
        self._exchange.whenGone = self._clientLeft
        if isDetachable(request):
            self._hold = HeldRequest(request, reader.hurry)

    def _clientLeft(self) -> None:
        if self._reader is not None:
            self._reader.ended()
        self._forget()

    def _forget(self) -> bool:
        """
        @return: Whether there is still somebody to answer.
        """
        self._isAnswered = True
        self._reader = None
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()
        return not self._exchange.isGone

    def pollAnswered(self, response: Any) -> None:
        """
        See L{Waiter.pollAnswered}.
        """
        if self._forget():
            maybeDeferred(self.send, response).addErrback(self._exchange.responseFailed)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter.pollEmpty}.
        """
        if self._forget():
            maybeDeferred(self._sendEmpty, cursor).addErrback(self._exchange.responseFailed)

    def _sendEmpty(self, cursor: Cursor) -> None:
        if str(cursor) in self._tags:
            self._exchange.respond(Response(304, (entityTag(cursor), *COMMON), b""))
        else:
            self.send(self.shape.respond(Outcome(cursor)))

    def send(self, response: Any) -> None:
        """
        Send what the shape made.
        """
        self._exchange.respond(response)


class _Raw(HeldPoll):
    """
    A request whose response is sent as it is.
    """

    __slots__ = ()

    def send(self, response: bytes) -> None:
        """
        Send all the bytes of a response.
        """
        bodyBytes = len(response) - response.index(b"\r\n\r\n") - 4
        self._exchange.send(response, bodyBytes)
