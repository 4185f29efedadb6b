"""
A connection of HTTP/1.1 on the lean edge: one request after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from socket import socket
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.answers import Answer, problem
from comet.errors import CometError, Internal
from comet.fanout.life import State
from comet.fanout.polls import PollReader
from comet.lean.heads import MOST_HEAD
from comet.lean.plan import Known, Plan
from comet.lean.plans import CHANNELS, PUBLISH, SOCKET
from comet.lean.polls import beginPoll, emptyAnswer
from comet.lean.publishing import beginPublish
from comet.lean.sockets import beginSocket
from comet.lean.streams import beginStream
from comet.lean.wires import READ, Wire
from comet.messages import Cursor
from comet.site import IDLE
from comet.traffic import Traffic
from comet.transports.takeover import MOST_AHEAD
from comet.transports.unread import UNREAD
from comet.wheel import NOT_SET

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


class RequestWire(Wire):
    """
    A connection on which requests come.

    @ivar buffer: What was read and not answered.
    """

    _log = Logger()

    __slots__ = (
        "_body",
        "_due",
        "_isBusy",
        "_isGoingOn",
        "_need",
        "_plan",
        "_reader",
        "buffer",
        "moment",
    )

    def __init__(self, edge: Edge, socket: socket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.buffer = b""
        self.moment = NOT_SET
        self._need = 0
        # While something is needed: what has come of it beside the buffer.
        self._body: bytearray | None = None
        self._isBusy = False
        self._isGoingOn = False
        self._plan: Plan | None = None
        self._reader: PollReader[bytes] | None = None
        self._due = 0.0
        edge.add(self)
        self._wait(IDLE)

    # -- Time

    def _wait(self, seconds: float) -> None:
        """
        Wait no longer than this for the client.  It is on the wheel already, in
        most cases, and goes on it again when that time is over.
        """
        self._due = self.edge.seconds() + seconds
        if self.moment == NOT_SET:
            self.edge.hub.fanout.wheel.set(self, seconds)

    def timedOut(self) -> None:
        """
        It may be that the client has kept the server waiting for too long.
        """
        left = self._due - self.edge.seconds()
        if left == math.inf or self.fd < 0:
            return
        if left > 0.01:
            self.edge.hub.fanout.wheel.set(self, left)
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
                self._wait(IDLE)
                return
            data = bytes(self._body)
            self._body = None
        if self.buffer:
            data = self.buffer + data
        self.buffer = data
        if self._isBusy:
            self._heldUp()
        else:
            self._goOn()

    @property
    def appetite(self) -> int:
        """
        How many bytes are read at once.
        """
        return _BODY if self._need else READ

    def need(self, count: int) -> None:
        """
        Wait for so many bytes in all.
        """
        self._need = count
        self._body = bytearray()

    def _heldUp(self) -> None:
        """
        The client sends more while it is to be answered.
        """
        if len(self.buffer) > MOST_AHEAD:
            if self._reader is not None:
                # It is not waiting for the answer any more.
                self._reader.hurry()
            else:
                self.pauseProducing()

    def _goOn(self) -> None:
        """
        Answer what there is, in order, until one has to wait.
        """
        self._need = 0
        self._isGoingOn = True
        try:
            while self.buffer and not self._isBusy and not self.rest and self.fd >= 0:
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
        first = data.find(b"\r\n")
        plans = self.edge.tree.plans
        known = plans.known(data[first + 2 : end + 2])
        plan = None if known is None else plans.find(data[:first], known)
        if known is None or plan is None:
            self.hand()
            return False
        try:
            return self._begin(plan, known, end + 4)
        except CometError:
            # Nothing has happened yet, and the other edge tells it.
            self.hand()
            return False

    def _begin(self, plan: Plan, known: Known, size: int) -> bool:
        if plan.isPublishing:
            return beginPublish(self, plan, known, size)
        if known.length is not None:
            self.hand()
            return False
        client = self.edge.tree.plans.client(plan)
        if plan.kind == "poll":
            beginPoll(self, plan, client, size)
            return True
        if plan.kind == "endless":
            beginStream(self, plan, client, size)
        elif not beginSocket(self, plan, known, client, size):
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

    def take(self, plan: Plan, size: int, traffic: Traffic, body: int = 0) -> None:
        """
        A request is being answered.

        @param size: How many bytes its head has.

        @param body: How many bytes its body has.
        """
        self.buffer = self.buffer[size + body :]
        traffic.requests += 1
        traffic.headIn += size
        traffic.dataIn += body

    def hold(self, plan: Plan) -> None:
        """
        The client waits for an answer.
        """
        self._isBusy = True
        self._plan = plan
        self._due = math.inf

    def unhold(self) -> None:
        """
        It does not, since it cannot be answered here.
        """
        self._isBusy = False
        self._plan = None

    def parked(self, reader: PollReader[bytes]) -> None:
        """
        A poll waits, if it was not answered already.
        """
        if reader.state is not State.CLOSED:
            self._reader = reader

    @property
    def direct(self) -> socket | None:
        """
        See L{DirectWaiter<comet.fanout.polls.DirectWaiter>}.
        """
        return self.socket if self._plan is not None and self._plan.account is None else None

    def pollSent(self, response: bytes, sent: int) -> None:
        """
        See L{DirectWaiter<comet.fanout.polls.DirectWaiter>}.
        """
        size = len(response)
        if sent < size:
            self.keep(response[sent:])
        self._answered(size, size - response.index(b"\r\n\r\n") - 4)

    def pollAnswered(self, response: bytes) -> None:
        """
        See L{Waiter<comet.fanout.polls.Waiter>}.
        """
        self.send(response, len(response) - response.index(b"\r\n\r\n") - 4)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter<comet.fanout.polls.Waiter>}.
        """
        plan: Any = self._plan
        answer = emptyAnswer(plan, cursor)
        if isinstance(answer, Answer):
            self.respond(answer)
        else:
            self.pollAnswered(answer)

    def respond(self, answer: Answer) -> None:
        """
        Send an answer.
        """
        own = () if self._plan is None else self._plan.own
        self.send(self.edge.responses.encode(answer, own), len(answer.body))

    def send(self, response: bytes, bodyBytes: int) -> None:
        """
        Send all the bytes of a response.

        @param bodyBytes: How many of them are the body.
        """
        if self.fd >= 0:
            self.push(response)
            self._answered(len(response), bodyBytes)

    def _answered(self, size: int, bodyBytes: int) -> None:
        plan: Any = self._plan
        traffic = self.edge.hub.ledger.of(plan.transport, plan.account)
        traffic.headOut += size - bodyBytes
        traffic.dataOut += bodyBytes
        self._isBusy = False
        self._plan = self._reader = None
        if self.rest:
            # The next request waits until this answer is taken.
            self.pauseProducing()
            self._wait(UNREAD)
            return
        self._wait(IDLE)
        if self._isPaused:
            self.resumeProducing()
        if self.buffer and not self._isGoingOn:
            self.edge.later(self._goOnIfIdle)

    def drained(self) -> None:
        """
        The client has taken the answer.
        """
        if not self._isBusy:
            self._wait(IDLE)
            self.resumeProducing()
            self._goOn()

    def _goOnIfIdle(self) -> None:
        if not self._isBusy and self.fd >= 0:
            self._goOn()

    def answerWhen(self, asked: Deferred[T], makeAnswer: Callable[[T], Answer]) -> None:
        """
        Answer when something is done.

        @param makeAnswer: Makes the answer of what came of it.
        """
        asked.addCallbacks(self._done, self._failed, callbackArgs=(makeAnswer,))
        asked.addErrback(self._brokenOff)

    def _done(self, result: T, makeAnswer: Callable[[T], Answer]) -> None:
        try:
            answer = makeAnswer(result)
        except Exception:
            self._failed(Failure())
            return
        self.respond(answer)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, CometError):
            self._log.failure("a request failed", failure=failure)
            error = Internal()
        self.respond(problem(error))

    def _brokenOff(self, failure: Failure) -> None:
        self._log.failure("an answer failed", failure=failure)
        self.close()

    def gone(self) -> None:
        """
        The client left.
        """
        self.edge.hub.fanout.wheel.clear(self)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.ended()
