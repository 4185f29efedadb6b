"""
What polling and long polling share: a request that is answered once.
"""

from __future__ import annotations

from socket import socket
from typing import Any

from twisted.internet.defer import maybeDeferred

from comet.fanout.polls import PollReader
from comet.http.contentcoding import chooseCoding
from comet.http.polls import HTTP1PollShape, PollResponseShape, entityTag, respondEmpty
from comet.http.reads import ReadRequest
from comet.http.responses import JSON
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.transports.detach import HeldRequest, isDetachable, sharedConnectionOf
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource


class PollingResource(HubResource):
    """
    Answers a request to read once.

    A subclass sets C{transport} and overrides C{wait}; it may override
    C{waiter}, which makes the response.  Both are called once for each request.

    @cvar transport: The name of the transport, under which it is counted.
    """

    transport: str

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Answer at once, or when the hold ends.
        """
        readRequest = exchange.parseReadRequest(self.names(exchange), self.transport)
        self.read(exchange, readRequest, self.begin, self.refuse)

    def wait(self, readRequest: ReadRequest) -> float:
        """
        Return for how many seconds a request may be held when there is no
        message.
        """
        raise NotImplementedError

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Answer a request that is parsed, now or later.

        @raise CometError: If the client may not read, or the request asks for
            what this transport does not have.
        """
        exchange.countAs(self.transport)
        waiter, wait = self.waiter(exchange, readRequest), self.wait(readRequest)
        waiter.opened(self.open(readRequest, client, waiter, wait))

    def open(
        self, readRequest: ReadRequest, client: Client, waiter: HeldPoll, wait: float
    ) -> PollReader[Any]:
        """
        Open the poll.

        @param wait: For how many seconds it may wait for a message.

        @raise CometError: If the client may not read.
        """
        names, since = readRequest.names, readRequest.since
        return self.hub.openPoll(
            client,
            names,
            since,
            waiter.shape,
            waiter,
            wait,
            peer=waiter.exchange,
            readerID=readRequest.reader,
            connection=sharedConnectionOf(waiter.exchange.request),
        )

    def waiter(self, exchange: Exchange, readRequest: ReadRequest) -> HeldPoll:
        """
        Make the waiter of a poll, which knows the shape of the response and
        sends it.

        @raise CometError: If the request asks for what this transport does not
            have.
        """
        compression = self.hub.settings.compression
        coding = chooseCoding(exchange.head, readRequest.names, compression)
        shape = PollResponseShape(readRequest.limit, readRequest.time, coding)
        if not isDetachable(exchange.request):
            return HeldPoll(exchange, readRequest, shape)
        encoded = HTTP1PollShape(
            shape,
            exchange.head.version,
            bool(exchange.request.channel.persistent),
            exchange.ownHeaders((entityTag(exchange.hub.end), *JSON)),
        )
        return HTTP1HeldPoll(exchange, readRequest, encoded)


class HeldPoll:
    """
    A request that waits for the outcome of its poll.

    @ivar exchange: The request.

    @ivar shape: Makes the response of an outcome.
    """

    __slots__ = ("_hold", "_isAnswered", "_reader", "_tags", "exchange", "shape")

    # The fan-out may not send to the socket: Twisted's transport buffers bytes
    # of its own.
    direct: socket | None = None
    keepsTime: bool = False

    def __init__(
        self,
        exchange: Exchange,
        readRequest: ReadRequest,
        shape: PollResponseShape | HTTP1PollShape,
    ) -> None:
        self.shape = shape
        self.exchange = exchange
        self._tags = readRequest.tags
        self._reader: PollReader[Any] | None = None
        self._hold: HeldRequest | None = None
        self._isAnswered = False

    @property
    def isBehind(self) -> bool:
        """
        See L{Waiter.isBehind<comet.fanout.waiters.Waiter.isBehind>}.
        """
        return bool(getattr(self.exchange.request.channel, "isBehind", False))

    def opened(self, reader: PollReader[Any]) -> None:
        """
        The poll has begun.  It may be answered already.
        """
        request = self.exchange.request
        if self._isAnswered:
            return
        self._reader = reader
        self.exchange.whenGone = self._clientLeft
        self.exchange.whenInputEnds = reader.inputEnded
        if isDetachable(request):
            # The bus alone is not waited for much longer.
            isLong = reader.isListening
            if isLong:
                # Any: it is noted on the channel.
                channel: Any = request.channel
                channel.hasHeld = True
            self._hold = HeldRequest(request, reader.hurry if isLong else _nothing)

    def _clientLeft(self) -> None:
        if self._reader is not None:
            self._reader.ended()
        self._forget()

    def _forget(self) -> bool:
        """
        @return: Whether the client is still there.
        """
        self._isAnswered = True
        self._reader = None
        exchange = self.exchange
        # Or each would keep the others until the collector finds them, which may be never.
        exchange.whenGone = exchange.whenInputEnds = None
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()
        return not exchange.isGone

    def pollAnswered(self, response: Any) -> None:
        """
        See L{Waiter.pollAnswered}.
        """
        if self._forget():
            maybeDeferred(self.send, response).addErrback(self.exchange.responseFailed)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter.pollEmpty}.
        """
        if self._forget():
            maybeDeferred(self._sendEmpty, cursor).addErrback(self.exchange.responseFailed)

    def _sendEmpty(self, cursor: Cursor) -> None:
        response: Any = respondEmpty(self.shape, self._tags, cursor)
        self.send(response)

    def send(self, response: Any) -> None:
        """
        Send what the shape has made.
        """
        self.exchange.respond(response)


class HTTP1HeldPoll(HeldPoll):
    """
    A held poll on a connection of HTTP/1, whose response is encoded already.
    """

    __slots__ = ()

    def send(self, response: bytes) -> None:
        """
        Send a response, head and body.
        """
        bodyBytes = len(response) - response.index(b"\r\n\r\n") - 4
        # A poll body is never empty, and only 304 has no body.
        self.exchange.send(response, bodyBytes, 200 if bodyBytes else 304)


def _nothing() -> None:
    """
    Do nothing.
    """
