"""
An HTTP connection that answers requests: each at once, or when its poll ends, or when
its publication is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from comet.fanout.polls import BUS_SECONDS, PollReader
from comet.fanout.unsent import sharedRest
from comet.http.http1 import endConnection
from comet.http.pace import SMALL
from comet.http.polls import respondEmpty
from comet.http.responses import Response
from comet.interfaces.sockets import ClientSocket, DirectSocket
from comet.lean.answers import Answer, Answers, encodeFor, logAnswered
from comet.lean.buffered import BufferedConnection
from comet.lean.httpedge import HTTPEdge
from comet.lean.plans import NO_TAGS, Plan
from comet.lean.polls import PollPlan
from comet.logging.clientlog import ClientLogger
from comet.model.cursors import Cursor
from comet.reactor.timers import NOT_SET
from comet.transports.vanished import waitForReader


class RespondingConnection(BufferedConnection):
    """
    A connection that answers one request after the other.

    A request is I{under way} from the moment at which its plan begins until its
    response is handed to the socket.  Only publications are under way together, so
    that all that have come are stored together: see L{comet.lean.answers}.

    @ivar plan: The plan of the request under way, if there is one that is no
        publication which is being stored.

    @ivar tags: What the client of the request under way has already.

    @ivar direct: See L{Waiter<comet.fanout.waiters.Waiter>}.

    @ivar answered: See L{RequestConnection.answered
        <comet.lean.plans.RequestConnection.answered>}.
    """

    # The next request waits until the socket has taken the response.
    isBehind = False

    direct: DirectSocket | None

    _log = ClientLogger()

    __slots__ = ("_answers", "answered", "direct", "plan", "tags")

    def __init__(self, edge: HTTPEdge, socket: ClientSocket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.direct = None
        self.answered: PollReader[bytes] | None = None
        self.plan: Plan | None = None
        self.tags: frozenset[str] = NO_TAGS
        # The answers to publications.
        self._answers: Answers | None = None

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        raise NotImplementedError

    @property
    def _isUnderWay(self) -> bool:
        """
        Whether any request is under way.
        """
        return self.plan is not None or self._hasAnswers

    @property
    def _hasAnswers(self) -> bool:
        """
        Whether any publication is being stored.
        """
        return self._answers is not None and bool(self._answers.waiting)

    def hold(self, reader: PollReader[bytes], wait: float) -> None:
        """
        See L{RequestConnection.hold<comet.lean.plans.RequestConnection.hold>}.
        """
        fanout = self.edge.hub.fanout
        now = fanout.seconds()
        self.reader = reader
        if self._unread:
            # The client has asked again.
            self._unread = 0
            waitForReader(self.socket, 0)
        self.due = now + (wait or BUS_SECONDS)
        # The same timer is the client's once the poll is answered.
        idle = self.edge.idleTimeout
        fanout.wheel.setBy(self, now + min(wait or BUS_SECONDS, idle))

    def awaitStore(self, size: int, client: str = "", isBatch: bool = False) -> Answer:
        """
        See L{RequestConnection.awaitStore
        <comet.lean.plans.RequestConnection.awaitStore>}.
        """
        plan, self.plan = self.plan, None
        assert plan is not None, "a publication without a request"
        self.due = math.inf
        if self._answers is None:
            self._answers = Answers(self, self.edge.hub.fanout)
        return Answer(self._answers, plan, size, client, isBatch)

    def respond(self, response: Response) -> None:
        """
        See L{RequestConnection.respond
        <comet.lean.plans.RequestConnection.respond>}.
        """
        self._respond(response)

    # -- Responses

    def pollsSent(
        self,
        waiters: Sequence[RespondingConnection],
        response: bytes,
        short: Sequence[tuple[int, int]],
    ) -> None:
        """
        See L{DirectWaiter<comet.fanout.waiters.DirectWaiter>}.
        """
        plan = self.plan
        assert plan is not None, "a response without a request"
        traffic, count = plan.traffic or plan.findTraffic(), len(waiters)
        head = response.index(b"\r\n\r\n") + 4
        traffic.headOut += count * head
        traffic.dataOut += count * (len(response) - head)
        due = self.edge.seconds() + self.edge.idleTimeout
        log = self.edge.hub.accessLog
        if log is not None:
            for connection in waiters:
                reader = connection.reader
                name = "" if reader is None else reader.client.name
                size = len(response) - head
                logAnswered(log, connection.address, name, plan, response, size)
        for connection in waiters:
            connection.plan = None
            # A connection that is closed has none.
            connection.answered, connection.reader = connection.reader, None
            # The connection is on the timer wheel, and not for later than this.
            connection.due = due
        for index, sent in short:
            waiters[index].keep(sharedRest(response, sent))
        if len(response) > SMALL:
            for connection in waiters:
                connection._watchReading(len(response))
        for connection in waiters:
            if connection.buffer or connection.unsent or connection.isPaused:
                connection.goOnLater()

    def pollAnswered(self, response: bytes) -> None:
        """
        See L{Waiter<comet.fanout.waiters.Waiter>}.
        """
        self._send(response, len(response) - response.index(b"\r\n\r\n") - 4)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter<comet.fanout.waiters.Waiter>}.
        """
        plan = self.plan
        assert isinstance(plan, PollPlan), plan
        self.pollAnswered(respondEmpty(plan.shape, self.tags, cursor))

    @property
    def endsWithAnswers(self) -> bool:
        """
        See L{AnsweredConnection.endsWithAnswers
        <comet.lean.answers.AnsweredConnection.endsWithAnswers>}.
        """
        # What the client has sent behind its request is handed over.
        return self.edge.hub.isDraining and not self.buffer

    def answersMade(self, responses: bytes) -> None:
        """
        See L{AnsweredConnection.answersMade
        <comet.lean.answers.AnsweredConnection.answersMade>}.
        """
        if self.fd < 0:
            return
        self.push(responses)
        self._sent(len(responses))
        answers = self._answers
        if self.plan is not None or (answers is not None and answers.waiting):
            if not self.unsent:
                # The next one waits for the bus, or for what is asked about its client.
                self.due = math.inf
        elif self.edge.hub.isDraining and self.endsWithAnswers:
            self.finish()

    def answerFailed(self) -> None:
        """
        See L{AnsweredConnection.answerFailed
        <comet.lean.answers.AnsweredConnection.answerFailed>}.
        """
        peer = self.edge.peerOf(self.socket)
        self._log.failure("The response to publisher {peer} failed; it is closed", peer=peer)
        self.close()

    def _respond(self, response: Response) -> None:
        plan = self.plan
        assert plan is not None, "a response without a request"
        if self._hasAnswers:
            # Those before it are answered first.
            self.awaitStore(0).respond(response)
        else:
            self._send(encodeFor(plan, response), len(response.body))

    def _send(self, response: bytes, bodySize: int) -> None:
        """
        Send the bytes of a whole response, and end the request under way.

        @param bodySize: How many of the bytes are the body.
        """
        if self.fd >= 0:
            isLast = self.endsWithAnswers
            if isLast or self._isRefused:
                response = endConnection(response)
            self.push(response)
            log = self.edge.hub.accessLog
            if log is not None and self.plan is not None:
                reader = self.reader
                name = "" if reader is None else reader.client.name
                logAnswered(log, self.address, name, self.plan, response, bodySize)
            self._answered(len(response), bodySize)
            if isLast and not self._isRefused:
                self.finish()

    def _answered(self, size: int, bodySize: int) -> None:
        plan = self.plan
        assert plan is not None, "a response without a request"
        traffic = plan.traffic or plan.findTraffic()
        traffic.headOut += size - bodySize
        traffic.dataOut += bodySize
        self.plan = self.reader = None
        self._sent(size)

    def _sent(self, size: int) -> None:
        """
        Give the client time to take a response, and go on with its input.

        @param size: How many bytes the response has.
        """
        edge = self.edge
        self.due = edge.seconds() + edge.idleTimeout
        if self.timerSlot == NOT_SET:
            self._wait(edge.idleTimeout)
        if size > SMALL:
            self._watchReading(size)
        if (self.buffer and not self._isAnswering) or self.unsent or self.isPaused:
            self.goOnLater()
