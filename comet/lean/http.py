"""
A connection of HTTP/1.1 on the lean edge: one request after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from socket import SHUT_WR, socket
from typing import Any, Final, TypeVar

from comet.access.lookups import Lookup
from comet.clientlog import ClientLogger
from comet.errors import CometError, Unauthorized
from comet.fanout.polls import BUS_SECONDS, HALF_CLOSED, PollReader
from comet.fanout.states import State
from comet.fanout.unsent import sharedRest
from comet.http.http1 import completeTemplate, endConnection
from comet.http.pace import BODY_TIME, HEAD_TIME, SMALL, UNSENT_TIMEOUT, extended
from comet.http.polls import respondEmpty
from comet.http.request import isBrokenHead
from comet.http.responses import Response, problem
from comet.lean.answers import Answer, Answers, encodeFor
from comet.lean.cache import RequestCache
from comet.lean.connection import READ_SIZE, Connection
from comet.lean.edge import Edge, EdgeConnection
from comet.lean.parser import MAX_HEAD, mayBeHead
from comet.lean.plans import HAND_OVER, NO_TAGS, Plan
from comet.lean.polls import PollPlan
from comet.lean.publishing import Upload
from comet.lean.routes import Routes, mayBeAnswered
from comet.lean.shown import makeCredentials
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.timers import NOT_SET
from comet.transports.detach import MAX_HELD_INPUT
from comet.transports.unread import unreadIn
from comet.transports.vanished import waitForReader
from comet.turns import MUCH
from comet.web.heads import LINGER_TIME

T = TypeVar("T")

# How many bytes of a body are read at once, and how many of them are dealt with
# before the clock is looked at: a batch is parsed as it comes.
_BODY_READ_SIZE: Final = 65536
_BODY_PIECE: Final = 2048

# How many bytes of publications are read in one turn at most.
MOST_READ: Final = 65536

# What became of the first request in the buffer.
_STOPPED: Final = 0
_BEGUN: Final = 1
_INCOMPLETE: Final = 2

# The timer wheel may call this much early, in seconds.
_EARLY: Final = 0.01


class HTTPEdge(Edge):
    """
    The connections of a port that speaks HTTP.

    @ivar requests: Parses the requests.

    @ivar idleTimeout: Seconds after which a connection without a request is
        closed.

    @ivar headTime: Seconds in which a head has to be whole.

    @ivar bodyTime: Seconds that a body may be late: see L{comet.http.pace}.
    """

    def __init__(self, reactor: Any, routes: Routes, factory: Any, family: int) -> None:
        super().__init__(reactor, routes.hub, factory, family)
        self.requests: RequestCache | _NoRequests = RequestCache(routes.hub, routes.makePlan)
        self.idleTimeout: float = factory.timeOut
        self.headTime = min(HEAD_TIME, self.idleTimeout)
        self.bodyTime = min(BODY_TIME, self.idleTimeout)

    def refusal(self) -> bytes:
        """
        See L{Edge.refusal}.
        """
        response = problem(self.hub.full())
        template = completeTemplate(response.status, response.headers)
        return endConnection(template.fill(response.body))

    def handOver(self, connection: EdgeConnection, data: bytes) -> None:
        """
        See L{Edge.handOver}.
        """
        self.factory.isAdopting = True
        try:
            super().handOver(connection, data)
        finally:
            self.factory.isAdopting = False

    def drain(self) -> None:
        """
        See L{Edge.drain}.  New requests are handed over: Twisted's edge answers
        them, and ends the connection.
        """
        self.requests = _NoRequests()


class _NoRequests:
    """
    Leaves all requests to Twisted's edge.
    """

    clientOf = None

    def parse(self, head: bytes) -> None:
        """
        Parse no request.
        """


class HTTPConnection(Connection):
    """
    A connection on which requests come.

    A request is I{under way} from the moment at which its plan begins until its
    response is handed to the socket.  The next request waits for that, and until
    the socket has taken the response.  Only publications are begun behind each
    other, so that all that have come are stored together: see L{comet.lean.answers}.
    Where the client has sent several requests, some of them wait for another turn:
    see L{comet.turns}.

    @ivar buffer: The input that is not answered.

    @ivar plan: The plan of the request under way, if there is one that is no
        publication which is being stored.

    @ivar tags: What the client of the request under way has already.

    @ivar reader: The reader of the held poll, if there is one.

    @ivar direct: See L{Waiter<comet.fanout.polls.Waiter>}.

    @ivar due: When the client, or the held poll, has had its time: in seconds of
        the reactor's clock.  Infinite while only the bus is waited for.
    """

    # The connection is on the timer wheel in any case, and times its polls.
    keepsTime = True

    # The next request waits until the socket has taken the response.
    isBehind = False

    direct: socket | None
    edge: HTTPEdge

    _log = ClientLogger()

    __slots__ = (
        "_answers",
        "_isAnswering",
        "_isHeadBegun",
        "_isRefused",
        "_isWaiting",
        "_lookup",
        "_mayRead",
        "_unread",
        "_upload",
        "buffer",
        "direct",
        "due",
        "plan",
        "readSize",
        "reader",
        "tags",
        "timerSlot",
    )

    def __init__(self, edge: HTTPEdge, socket: socket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.buffer = b""
        self.readSize = READ_SIZE
        self.timerSlot = NOT_SET
        # What finds out which client sends the request under way, and the head of
        # that request.
        self._lookup: tuple[Lookup, bytes] | None = None
        # The body that is waited for.
        self._upload: Upload | None = None
        # Whether a request was refused that had not come whole: the connection
        # ends then.
        self._isRefused = False
        # Whether a head has begun, and its time runs.
        self._isHeadBegun = False
        self.direct = None
        self._isAnswering = False
        # Whether the buffer waits for another turn.
        self._isWaiting = False
        # The answers to publications.
        self._answers: Answers | None = None
        # How many bytes may still be read in this turn.
        self._mayRead = 0
        # What the client had not taken of a large response when that was last looked
        # at.
        self._unread = 0
        self.plan: Plan | None = None
        self.reader: PollReader[bytes] | None = None
        self.due = 0.0
        self.tags: frozenset[str] = NO_TAGS
        edge.add(self)

    @property
    def isBusy(self) -> bool:
        """
        See L{EdgeConnection.isBusy<comet.lean.edge.EdgeConnection.isBusy>}.
        """
        hasRequest = self._isUnderWay or self._upload is not None or self._isRefused
        return bool(hasRequest or self.buffer or super().isBusy)

    @property
    def _isUnderWay(self) -> bool:
        """
        Whether any request is under way.
        """
        return self.plan is not None or bool(self._answers)

    @property
    def isIdle(self) -> bool:
        """
        See L{EdgeConnection.isIdle<comet.lean.edge.EdgeConnection.isIdle>}.
        """
        # A new connection, which has no deadline yet, is about to ask.
        return bool(self.due) and not self.isBusy

    # -- Time

    def _waitNoLonger(self, seconds: float) -> None:
        """
        Give the client this long, although the wheel may call later.
        """
        self._wait(seconds)
        self.edge.hub.fanout.wheel.setBy(self, self.due)

    def _wait(self, seconds: float) -> None:
        """
        Give the client this long.

        Mostly the connection is on the timer wheel already.  It is left there,
        and put on it again when that time is over: this is called with each
        response, and a timer is seldom needed.
        """
        self.due = self.edge.seconds() + seconds
        if self.timerSlot == NOT_SET:
            self.edge.hub.fanout.wheel.set(self, seconds)

    def graceOver(self) -> None:
        """
        See L{EdgeConnection.graceOver<comet.lean.edge.EdgeConnection.graceOver>}.
        """
        if not self.due:
            self._wait(self.edge.idleTimeout)

    def timedOut(self) -> None:
        """
        See L{Timed.timedOut<comet.timers.Timed.timedOut>}.  The client or the
        held poll may have been given more time since the timer was set.
        """
        left = self.due - self.edge.seconds()
        if left == math.inf or self.fd < 0:
            return
        if left > _EARLY:
            # A poll may be answered at any time; from then on the client has the
            # idle time, so the timer must not come later than that.
            self.edge.hub.fanout.wheel.set(self, min(left, self.edge.idleTimeout))
        elif self.reader is not None:
            reader, self.reader = self.reader, None
            if reader.state is State.CLOSED:
                # Its response waits in the backlog.
                self._wait(self.edge.idleTimeout)
            else:
                reader.timedOut()
        elif self.unsent or self._unread:
            self._giveTimeToTake()
        else:
            self.close()

    def _giveTimeToTake(self) -> None:
        """
        Give a client more time for what it has taken of a response, or cut the
        connection.  One that has taken all is idle.
        """
        before, self._unread = self._unread, self._countUnread()
        now = self.edge.seconds()
        if not self._isRefused:
            self.due = extended(self.due, now, before - self._unread, UNSENT_TIMEOUT)
        if not self._unread:
            self.close()
        elif self.due > now + _EARLY:
            self.edge.hub.fanout.wheel.set(self, self.due - now)
        else:
            # finish() would wait for the client to take it.
            self.abort()

    def _watchReading(self, size: int) -> None:
        """
        Give the client time to read a large response, of which the system may have
        taken all.
        """
        if self.fd >= 0:
            self._unread = self._countUnread()
            self._wait(max(UNSENT_TIMEOUT, self.edge.idleTimeout))
            waitForReader(self.socket, size)

    def _countUnread(self) -> int:
        return len(self.unsent) + unreadIn(self.socket)

    # -- Input

    def received(self, data: bytes) -> None:
        """
        See L{Connection.received}.
        """
        if self._isRefused:
            # The client may be in the middle of its body.
            return
        self._mayRead = MOST_READ - len(data) if len(data) == READ_SIZE else 0
        if self.buffer:
            data = self.buffer + data
        self.buffer = data
        if self.plan is not None or self._isWaiting:
            self._boundInput()
        elif len(data) > MUCH and self.edge.hub.turns.mustWait(len(data)):
            self.pauseProducing()
            self._waitForTurn()
        else:
            self._takeInput()

    def _takeInput(self) -> None:
        """
        Deal with what is in the buffer: a part of a body, or requests.
        """
        if self._upload is not None:
            self._takeBody(self._upload)
        else:
            self._answerInput()

    def _takeBody(self, upload: Upload) -> None:
        """
        Give an upload the part of the body in the buffer, until the share of this
        turn is over.  Once it is whole, go on with what follows.
        """
        data, at, seconds = self.buffer, 0, self.edge.seconds
        end = min(len(data), upload.left)
        traffic = upload.plan.traffic or upload.plan.findTraffic()
        over = seconds() + self.edge.hub.turns.share
        error: CometError | None = None
        while True:
            start, at = at, min(at + _BODY_PIECE, end)
            try:
                upload.received(data[start:at])
            except CometError as raised:
                error = raised
                # The rest that has come is of no use.
                upload.left -= end - at
                at = end
            if at == end or seconds() >= over:
                break
        traffic.dataIn += at
        self.buffer = data[at:]
        isWhole = not upload.left
        if error is None and not isWhole:
            now = self.edge.seconds()
            self.due = extended(self.due, now, at, self.edge.bodyTime)
            if self.buffer:
                self.pauseProducing()
                self._waitForTurn()
            return
        self.plan = upload.plan
        if error is not None and not isWhole:
            self.refuse(problem(error))
            return
        self.readSize = READ_SIZE
        self._endUpload()
        self._storeUpload(upload, error)
        self._answerInput()

    def _storeUpload(self, upload: Upload, error: CometError | None) -> None:
        """
        Have a body stored that is whole, or tell what is wrong with it.
        """
        # The response may be sent before this returns.
        self._isAnswering = True
        try:
            if error is None:
                upload.store(self)
            else:
                self.respond(problem(error))
        except CometError as raised:
            self.respond(problem(raised))
        finally:
            self._isAnswering = False

    def _endUpload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.end()

    def inputEnded(self) -> None:
        """
        See L{Connection.inputEnded}.  What the client has asked is answered before
        the connection is closed.
        """
        if self.fd < 0 or self._isWaiting:
            # The end comes again when the connection is read again.
            return
        if not self._isUnderWay:
            if not self.unsent:
                self.close()
        elif self._lookup is not None:
            self._lookup[0].hurry(HALF_CLOSED)
        elif self.reader is not None and self.reader.isListening:
            self.due = min(self.due, self.edge.seconds() + HALF_CLOSED)
            self.edge.hub.fanout.wheel.setBy(self, self.due)

    def _boundInput(self) -> None:
        """
        Bound the input that is kept behind the request under way, or for another
        turn.
        """
        isKept = self._isUnderWay or self._isWaiting
        if isKept and len(self.buffer) > MAX_HELD_INPUT:
            self.pauseProducing()
            reader = self.reader
            if reader is not None and reader.isListening:
                # The client does not wait for a message, or has forgotten it; and that
                # it leaves would not be noticed.
                reader.hurry()

    def _answerInput(self) -> None:
        """
        Answer the requests in the buffer, in order, until one of them has to
        wait, or the share of this turn is over.
        """
        self._isAnswering = True
        seconds = self.edge.seconds
        over: float | None = None
        try:
            while self.plan is None and not self.unsent and self.fd >= 0:
                begun = _INCOMPLETE
                if self.buffer:
                    now = seconds()
                    if over is None:
                        over = now + self.edge.hub.turns.share
                    elif now >= over:
                        self.pauseProducing()
                        self._waitForTurn()
                        break
                    begun = self._beginNext()
                if begun == _STOPPED or (begun == _INCOMPLETE and not self._readOn()):
                    break
        finally:
            self._isAnswering = False
        if len(self.buffer) > MAX_HELD_INPUT and not self.isPaused:
            self._boundInput()

    def _readOn(self) -> bool:
        """
        Read more publications, behind those that came in this turn.

        @return: Whether more has come.
        """
        if not self._answers or self._mayRead <= 0 or self.fd < 0:
            return False
        try:
            data = self.socket.recv(min(self._mayRead, 2 * READ_SIZE))
        except OSError:
            # If it is more than that nothing has come yet, an event will tell.
            data = b""
        self._mayRead = self._mayRead - len(data) if data else 0
        self.buffer += data
        return bool(data)

    def _beginNext(self) -> int:
        """
        Begin to answer the first request in the buffer.

        @return: L{_BEGUN} if there may be another one; L{_INCOMPLETE} if the rest of
            it has to come first; else L{_STOPPED}.
        """
        data, answers = self.buffer, self._answers
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            return self._beginHead(data)
        self._isHeadBegun = False
        size = end + 4
        taken = HAND_OVER
        try:
            request = self.edge.requests.parse(data[:size])
        except CometError:
            # Twisted's edge finds the same error, and tells it.
            request = None
        if answers:
            # What is no publication waits until these are answered.
            if request is None or answers.isFull or not request.plan.hasBody:
                return _STOPPED
            if not request.plan.mayFollow(request, len(data) - size):
                return _INCOMPLETE
        if request is None:
            self._handOver()
            return _STOPPED
        plan = request.plan
        if (request.headers.length is not None) is plan.hasBody:
            self.plan, self.tags = plan, request.tags
            self.direct = self.socket if plan.account is None else None
            clientOf = self.edge.requests.clientOf
            try:
                if clientOf is not None:
                    client = clientOf(plan.credential)
                else:
                    found = self._findClient(plan, data[:size])
                    if found is None:
                        return _STOPPED
                    client = found
                if not plan.needsKey or client.mayPublishAll:
                    taken = plan.begin(self, request, client, size)
            except CometError as error:
                if not plan.needsKey:
                    taken = plan.refused(self, request, size, error)
        if taken > 0:
            self.buffer = self.buffer[taken:]
            traffic = plan.traffic or plan.findTraffic()
            traffic.requests += 1
            traffic.headIn += size
            traffic.dataIn += taken - size
            return _BEGUN
        if taken == HAND_OVER:
            if answers:
                self.plan = None
            else:
                self._handOver()
        return _STOPPED

    def _beginHead(self, data: bytes) -> int:
        """
        See to a head that has not come whole.

        @param data: What has come of it.
        """
        if self._answers:
            # Its time begins when those before it are answered.
            return _INCOMPLETE
        isOurs = len(data) < MAX_HEAD and mayBeAnswered(data) and not isBrokenHead(data)
        if not (isOurs and mayBeHead(data)):
            self._handOver()
        elif not self._isHeadBegun:
            # From now on, however much more of it comes.
            self._isHeadBegun = True
            self._waitNoLonger(self.edge.headTime)
        return _STOPPED

    def _findClient(self, plan: Plan, head: bytes) -> Client | None:
        """
        Find out which client sends the request under way, where the access object
        needs more than its credential.

        @param head: The head of the request.

        @return: L{None} if it is not known yet.  The request is begun again when it
            is.

        @raise CometError: If the request is refused.
        """
        lookup, self._lookup = self._lookup, None
        if lookup is not None and lookup[1] == head:
            return lookup[0].result()
        if plan.needsKey:
            raise Unauthorized("Twisted's edge is to look at the key")
        hub = self.edge.hub
        known = hub.identify(makeCredentials(hub, plan, head, self.getPeer))
        if isinstance(known, Client):
            return known
        self._lookup = (known, head)
        # The lookup has a time of its own.
        self.due = math.inf
        known.then(self._clientKnown, self._clientKnown)
        return None

    def _clientKnown(self, result: object) -> None:
        """
        It is known which client sends the request under way: begin it again.
        """
        self.plan = None
        if not self._answers:
            self._wait(self.edge.idleTimeout)
        self._waitForTurn()

    def _handOver(self) -> None:
        """
        Give the connection to Twisted's edge, with all input that is not
        answered.
        """
        data, self.buffer = self.buffer, b""
        self._lookup = None
        self.edge.hub.fanout.wheel.clear(self)
        # The rest of the head has no more time there.
        self.edge.factory.headDue = self.due if self._isHeadBegun else math.inf
        self.edge.handOver(self, data)

    # -- What a plan asks for

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

    def awaitBody(self, upload: Upload, size: int) -> None:
        """
        See L{RequestConnection.awaitBody
        <comet.lean.plans.RequestConnection.awaitBody>}.
        """
        self.plan = None
        self.buffer = self.buffer[size:]
        traffic = upload.plan.traffic or upload.plan.findTraffic()
        traffic.requests += 1
        traffic.headIn += size
        self.readSize = _BODY_READ_SIZE
        self._upload = upload
        self._waitNoLonger(self.edge.bodyTime)
        self._takeBody(upload)

    def respond(self, response: Response) -> None:
        """
        See L{RequestConnection.respond
        <comet.lean.plans.RequestConnection.respond>}.
        """
        self._respond(response)

    def refuse(self, response: Response) -> None:
        """
        See L{RequestConnection.refuse<comet.lean.plans.RequestConnection.refuse>}.
        The client may send all of its body before it reads.  So what still comes is
        discarded, for a while: else its system would drop the response unread (RFC
        9112 9.6).
        """
        self._endUpload()
        self._isRefused = True
        self._respond(response)
        self.buffer = b""
        self._waitNoLonger(LINGER_TIME)
        if not self.unsent:
            self._endOutput()

    def _endOutput(self) -> None:
        try:
            self.socket.shutdown(SHUT_WR)
        except OSError:
            # The client has left; an event will tell.
            pass

    def awaitStore(self, size: int) -> Answer:
        """
        See L{RequestConnection.awaitStore
        <comet.lean.plans.RequestConnection.awaitStore>}.
        """
        plan, self.plan = self.plan, None
        assert plan is not None, "a publication without a request"
        self.due = math.inf
        if self._answers is None:
            self._answers = Answers(self, self.edge.hub.fanout)
        return self._answers.add(plan, size)

    def release(self, size: int) -> tuple[socket, int, bytes]:
        """
        See L{RequestConnection.release
        <comet.lean.plans.RequestConnection.release>}.
        """
        self.edge.hub.fanout.wheel.clear(self)
        if self.isPaused:
            # The other connection takes over the descriptor as it is watched.
            self.resumeProducing()
        fd, self.fd = self.fd, -1
        rest, self.buffer = self.buffer[size:], b""
        return self.socket, fd, rest

    # -- Responses

    def pollsSent(
        self, waiters: Sequence[HTTPConnection], response: bytes, short: Sequence[tuple[int, int]]
    ) -> None:
        """
        See L{DirectWaiter<comet.fanout.polls.DirectWaiter>}.
        """
        plan = self.plan
        assert plan is not None, "a response without a request"
        traffic, count = plan.traffic or plan.findTraffic(), len(waiters)
        head = response.index(b"\r\n\r\n") + 4
        traffic.headOut += count * head
        traffic.dataOut += count * (len(response) - head)
        due = self.edge.seconds() + self.edge.idleTimeout
        for connection in waiters:
            connection.plan = connection.reader = None
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
        See L{Waiter<comet.fanout.polls.Waiter>}.
        """
        self._send(response, len(response) - response.index(b"\r\n\r\n") - 4)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter<comet.fanout.polls.Waiter>}.
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
        if self._isUnderWay:
            if not self.unsent:
                # The next one waits for the bus, or for what is asked about its client.
                self.due = math.inf
        elif self.endsWithAnswers:
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
        if self._answers:
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
        self._wait(self.edge.idleTimeout)
        if size > SMALL:
            self._watchReading(size)
        if (self.buffer and not self._isAnswering) or self.unsent or self.isPaused:
            self.goOnLater()

    def keep(self, rest: bytes | memoryview) -> None:
        """
        See L{Connection.keep}.
        """
        if self.fd >= 0:
            self.edge.hub.fanout.unsent.add(len(rest))
        super().keep(rest)

    def _took(self, sent: int) -> None:
        self.edge.hub.fanout.unsent.add(-sent)
        super()._took(sent)

    def leave(self) -> None:
        """
        See L{Connection.leave}.
        """
        self.edge.hub.fanout.unsent.add(-len(self.unsent))
        self.unsent = b""
        super().leave()

    def goOnLater(self) -> None:
        """
        Take the slow path after a response: the client has sent more requests,
        or has not taken the response.
        """
        if self.unsent:
            # The next request waits until the client has taken this response.
            self.pauseProducing()
            self._unread = self._countUnread()
            self._waitNoLonger(UNSENT_TIMEOUT)
            return
        self._readAgain()
        if self.buffer and not self._isAnswering:
            self._waitForTurn()

    def _readAgain(self) -> None:
        """
        Read again, unless enough input waits.
        """
        if self.isPaused and len(self.buffer) <= MAX_HELD_INPUT:
            self.resumeProducing()

    def drained(self) -> None:
        """
        See L{Connection.drained}.
        """
        if self._isRefused:
            self.resumeProducing()
            self._endOutput()
        elif self.plan is None and not self._isWaiting:
            if self._answers:
                self.due = math.inf
            else:
                idle = self.edge.idleTimeout
                self._wait(max(UNSENT_TIMEOUT, idle) if self._unread else idle)
            self.resumeProducing()
            self._answerInput()

    def _waitForTurn(self) -> None:
        """
        Leave the rest of the input for another turn.
        """
        if not self._isWaiting:
            self._isWaiting = True
            self.edge.hub.turns.later(self._goOn)

    def _goOn(self) -> None:
        """
        Answer input that has waited for this turn.
        """
        self._isWaiting = False
        if self.fd < 0:
            return
        self._mayRead = MOST_READ
        try:
            self._takeInput()
            if not self._isWaiting and not self.unsent and self.fd >= 0:
                self._readAgain()
        except Exception:
            self.edge.broken(self)

    def gone(self) -> None:
        """
        See L{Connection.gone}.
        """
        self.edge.hub.fanout.wheel.clear(self)
        self._endUpload()
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup[0].abandon()
        if self._answers is not None:
            self._answers.drop()
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.ended()
