"""
A connection of HTTP/1.1 on the lean edge: one request after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from socket import socket
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError, publicError
from comet.fanout.polls import PollReader
from comet.fanout.states import State
from comet.http.polls import respondEmpty
from comet.http.responses import (
    Response,
    batchResponse,
    completeTemplate,
    problem,
    publishedResponse,
)
from comet.lean.cache import CHANNELS, PUBLISH, SOCKET
from comet.lean.connection import READ, Connection
from comet.lean.parser import MOST_HEAD
from comet.lean.plans import NO_TAGS, PUBLISHING, Plan
from comet.lean.polls import beginPoll
from comet.lean.publishing import beginPublish
from comet.lean.streams import beginStream
from comet.lean.websocket import beginSocket
from comet.model.cursors import Cursor
from comet.model.messages import Published
from comet.timers import NOT_SET
from comet.transports.detach import MAX_HELD_INPUT, UNSENT_TIMEOUT
from comet.web.site import IDLE_TIMEOUT

if TYPE_CHECKING:
    from comet.lean.edge import Edge

T = TypeVar("T")

# What the requests begin with that may be answered here.
_BEGINNINGS: Final = (
    b"GET " + CHANNELS,
    b"POST " + CHANNELS,
    b"PUT " + CHANNELS,
    b"POST " + PUBLISH,
    b"GET " + SOCKET,
)

# How many bytes of a body are read at once.
_BODY: Final = 65536


def mayBeOurs(data: bytes) -> bool:
    """
    Whether something may become a request that is answered here.
    """
    return data.startswith(_BEGINNINGS) or any(each.startswith(data) for each in _BEGINNINGS)


class HTTPConnection(Connection):
    """
    A connection on which requests come.

    @ivar buffer: What was read and not answered.

    @ivar isBusy: Whether a request is to be answered.

    @ivar plan: What that request asks for.

    @ivar direct: See L{Waiter<comet.fanout.polls.Waiter>}.

    @ivar reader: The poll that waits, if it is one.

    @ivar tags: What the client of a poll has already.

    @ivar due: Until when somebody is waited for, in seconds of the reactor's
        clock: the client, or what a poll waits for.
    """

    # Its polls are timed by what times the connection in any case.
    keepsTime = True

    direct: socket | None

    _log = Logger()

    __slots__ = (
        "_body",
        "_isGoingOn",
        "_need",
        "appetite",
        "buffer",
        "direct",
        "due",
        "isBusy",
        "plan",
        "reader",
        "tags",
        "timerSlot",
    )

    def __init__(self, edge: Edge, socket: socket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.buffer = b""
        self.appetite = READ
        self.timerSlot = NOT_SET
        self._need = 0
        # While something is needed: what has come of it beside the buffer.
        self._body: bytearray | None = None
        self.direct = None
        self.isBusy = False
        self._isGoingOn = False
        self.plan: Plan | None = None
        self.reader: PollReader[bytes] | None = None
        self.due = 0.0
        self.tags: frozenset[str] = NO_TAGS
        edge.add(self)

    # -- Time

    def _wait(self, seconds: float) -> None:
        """
        Wait no longer than this for the client.  It is on the wheel already, in
        most cases, and goes on it again when that time is over.
        """
        self.due = self.edge.seconds() + seconds
        if self.timerSlot == NOT_SET:
            self.edge.hub.fanout.wheel.set(self, seconds)

    def stays(self) -> None:
        """
        See L{Connection.stays}.
        """
        if not self.due:
            self._wait(IDLE_TIMEOUT)

    def timedOut(self) -> None:
        """
        It may be that the client has kept the server waiting for too long, or
        a poll has waited for long enough.
        """
        left = self.due - self.edge.seconds()
        if left == math.inf or self.fd < 0:
            return
        if left > 0.01:
            # A poll may be answered at any time, and that is the client's.
            self.edge.hub.fanout.wheel.set(self, min(left, IDLE_TIMEOUT))
        elif self.reader is not None:
            reader, self.reader = self.reader, None
            if reader.state is State.CLOSED:
                # It is about to be answered.
                self._wait(IDLE_TIMEOUT)
            else:
                reader.timedOut()
        elif self.rest:
            # To close in peace would wait until all is taken.
            self.abort()
        else:
            self.close()

    # -- What the client says

    def received(self, data: bytes) -> None:
        """
        Some bytes came.
        """
        if self._body is not None:
            # To join it with each piece that comes would copy it each time.
            self._body += data
            if len(self.buffer) + len(self._body) < self._need:
                self._wait(IDLE_TIMEOUT)
                return
            data = bytes(self._body)
            self._body = None
        if self.buffer:
            data = self.buffer + data
        self.buffer = data
        if self.isBusy:
            self._heldUp()
        else:
            self._goOn()

    def need(self, count: int) -> None:
        """
        Wait for so many bytes in all.
        """
        self._need = count
        self.appetite = _BODY
        self._body = bytearray()

    def _heldUp(self) -> None:
        """
        The client sends more while it is to be answered.
        """
        if len(self.buffer) > MAX_HELD_INPUT:
            if self.reader is not None and self.reader.state is not State.CLOSED:
                # It is not waiting for the answer any more.
                self.reader.hurry()
            else:
                self.pauseProducing()

    def _goOn(self) -> None:
        """
        Answer what there is, in order, until one has to wait.
        """
        self._need = 0
        self.appetite = READ
        self._isGoingOn = True
        try:
            while self.buffer and not self.isBusy and not self.rest and self.fd >= 0:
                if not self._next():
                    break
        finally:
            self._isGoingOn = False

    def _next(self) -> bool:
        """
        Begin to answer the next request.

        @return: Whether there may be another one.
        """
        data = self.buffer
        end = data.find(b"\r\n\r\n", 0, MOST_HEAD)
        if end < 0:
            if len(data) >= MOST_HEAD or not mayBeOurs(data):
                self.hand()
            return False
        asked = self.edge.tree.plans.of(data[: end + 4])
        if asked is None:
            self.hand()
            return False
        plan, size = asked.plan, end + 4
        kind = plan.kind
        try:
            client = self.edge.hub.access.identify(plan.authorization)
            if kind in PUBLISHING:
                return beginPublish(self, asked, client, size)
            if asked.known.length is None:
                if kind == "poll":
                    beginPoll(self, asked, client, size)
                    return True
                if kind == "endless":
                    beginStream(self, asked, client, size)
                    return False
                if beginSocket(self, asked, client, size):
                    return False
        except CometError:
            # Nothing has happened yet, and the other edge tells it.
            pass
        self.hand()
        return False

    def hand(self) -> None:
        """
        Give the connection to the ordinary edge, from this request on.
        """
        data, self.buffer = self.buffer, b""
        self.edge.hub.fanout.wheel.clear(self)
        self.edge.hand(self, data)

    def release(self, size: int) -> tuple[socket, int, bytes]:
        """
        Be a connection of HTTP no more, after the head of a request.

        @return: The socket, its descriptor, and what came after the head.
        """
        self.edge.hub.fanout.wheel.clear(self)
        fd, self.fd = self.fd, -1
        rest, self.buffer = self.buffer[size:], b""
        return self.socket, fd, rest

    # -- What it is answered

    def hold(self, plan: Plan) -> None:
        """
        The client waits for an answer.
        """
        self.isBusy = True
        self.plan = plan
        self.due = math.inf

    def take(self, plan: Plan, size: int, body: int = 0) -> None:
        """
        A request is being answered.

        @param size: How many bytes its head has.

        @param body: How many bytes its body has.
        """
        self.buffer = self.buffer[size + body :]
        traffic = plan.traffic or self.edge.traffic(plan)
        traffic.requests += 1
        traffic.headIn += size
        traffic.dataIn += body

    def pollsSent(
        self, waiters: Sequence[HTTPConnection], response: bytes, short: Sequence[tuple[int, int]]
    ) -> None:
        """
        See L{DirectWaiter<comet.fanout.polls.DirectWaiter>}.
        """
        plan: Any = self.plan
        traffic, count = self.edge.traffic(plan), len(waiters)
        head = response.index(b"\r\n\r\n") + 4
        traffic.headOut += count * head
        traffic.dataOut += count * (len(response) - head)
        due = self.edge.seconds() + IDLE_TIMEOUT
        for connection in waiters:
            connection.isBusy = False
            connection.plan = connection.reader = None
            # It is on the wheel, and not for later than this.
            connection.due = due
        for index, sent in short:
            waiters[index].keep(response[sent:])
        for connection in waiters:
            if connection.buffer or connection.rest or connection.isPaused:
                connection.goOnLater()

    def pollAnswered(self, response: bytes) -> None:
        """
        See L{Waiter<comet.fanout.polls.Waiter>}.
        """
        self.send(response, len(response) - response.index(b"\r\n\r\n") - 4)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter<comet.fanout.polls.Waiter>}.
        """
        plan: Any = self.plan
        self.pollAnswered(respondEmpty(plan.shape, self.tags, cursor))

    def respond(self, answer: Response) -> None:
        """
        Send an answer.
        """
        own = () if self.plan is None else self.plan.own
        headers = answer.headers + own if own else answer.headers
        response = completeTemplate(answer.status, headers).fill(answer.body)
        self.send(response, len(answer.body))

    def send(self, response: bytes, bodyBytes: int) -> None:
        """
        Send all the bytes of a response.

        @param bodyBytes: How many of them are the body.
        """
        if self.fd >= 0:
            self.push(response)
            self._answered(len(response), bodyBytes)

    def _answered(self, size: int, bodyBytes: int) -> None:
        plan: Any = self.plan
        traffic = plan.traffic or self.edge.traffic(plan)
        traffic.headOut += size - bodyBytes
        traffic.dataOut += bodyBytes
        self.isBusy = False
        self.plan = self.reader = None
        self._wait(IDLE_TIMEOUT)
        if self.buffer or self.rest or self.isPaused:
            self.goOnLater()

    def goOnLater(self) -> None:
        """
        The client was answered, and something is not as it is with most: it
        has said more already, or does not take the answer.
        """
        if self.rest:
            # The next request waits until this answer is taken.
            self.pauseProducing()
            self._wait(UNSENT_TIMEOUT)
            return
        if self.isPaused:
            self.resumeProducing()
        if self.buffer and not self._isGoingOn:
            self.edge.later(self._goOnIfIdle)

    def drained(self) -> None:
        """
        The client has taken the answer.
        """
        if not self.isBusy:
            self._wait(IDLE_TIMEOUT)
            self.resumeProducing()
            self._goOn()

    def _goOnIfIdle(self) -> None:
        if not self.isBusy and self.fd >= 0:
            self._goOn()

    def stored(self, results: Sequence[Published]) -> None:
        """
        What the client has published is stored.
        """
        self._respondLate(publishedResponse, results[0])

    def batchStored(self, results: Sequence[Published]) -> None:
        """
        What the client has published in one go is stored.
        """
        self._respondLate(batchResponse, results)

    def failed(self, failure: Failure) -> None:
        """
        What the client asked for cannot be had.
        """
        error = publicError(
            failure.value, lambda: self._log.failure("a request failed", failure=failure)
        )
        self._respondLate(problem, error)

    def _respondLate(self, makeAnswer: Callable[[T], Response], result: T) -> None:
        """
        Answer in a turn that may be another connection's.
        """
        try:
            self.respond(makeAnswer(result))
        except Exception:
            self._log.failure("an answer failed")
            self.close()

    def gone(self) -> None:
        """
        The client left.
        """
        self.edge.hub.fanout.wheel.clear(self)
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.ended()
