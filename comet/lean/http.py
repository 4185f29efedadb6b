"""
A connection of HTTP/1.1 on the lean edge: one request after the other.
"""

from __future__ import annotations

import math
from socket import SHUT_WR
from typing import Final

from comet.errors import CometError
from comet.fanout.polls import HALF_CLOSED, PollReader
from comet.fanout.states import State
from comet.http.pace import UNSENT_TIMEOUT, extended
from comet.http.request import isBrokenHead
from comet.http.responses import Response, problem
from comet.interfaces.sockets import ClientSocket
from comet.lean.buffered import MOST_READ
from comet.lean.comebacks import Comeback
from comet.lean.connection import READ_SIZE
from comet.lean.httpedge import HTTPEdge
from comet.lean.identifying import IdentifyingConnection
from comet.lean.parser import MAX_HEAD, mayBeHead
from comet.lean.plans import HAND_OVER, NOTHING_TAKEN, ParsedRequest, ReadPlan
from comet.lean.publishing import Upload
from comet.lean.routes import mayBeAnswered
from comet.model.clients import Client
from comet.reactor.turns import MUCH
from comet.transports.detach import MAX_HELD_INPUT
from comet.web.heads import LINGER_TIME

# How many bytes of a body are read at once, and how many of them are dealt with
# before the clock is looked at: a batch is parsed as it comes.
_BODY_READ_SIZE: Final = 65536
_BODY_PIECE: Final = 2048

# What became of the first request in the buffer.
_STOPPED: Final = 0
_BEGUN: Final = 1
_INCOMPLETE: Final = 2

# Returned in the place of a size: the request is begun again once it is known who
# sends it, and that the client may read.
_ASKED: Final = -2


class HTTPConnection(IdentifyingConnection):
    """
    A connection on which requests come.

    The next request waits until the one before it is not L{under way
    <RespondingConnection>} any more, and until the socket has taken the response.  Only
    publications are begun behind each other.
    """

    __slots__ = ("_isHeadBegun", "_upload", "isNew", "isPolling", "readSize")

    def __init__(self, edge: HTTPEdge, socket: ClientSocket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.readSize = READ_SIZE
        # The body that is waited for.
        self._upload: Upload | None = None
        # Whether a head has begun, and its time runs.
        self._isHeadBegun = False
        self.isNew = True
        self.isPolling = False
        edge.add(self)

    @property
    def isBusy(self) -> bool:
        """
        See L{EdgeConnection.isBusy<comet.lean.edge.EdgeConnection.isBusy>}.
        """
        hasRequest = self._isUnderWay or self._upload is not None or self._isRefused
        return bool(hasRequest or self.buffer or super().isBusy)

    @property
    def isIdle(self) -> bool:
        """
        See L{EdgeConnection.isIdle<comet.lean.edge.EdgeConnection.isIdle>}.
        """
        # A new connection, which has no deadline yet, is about to ask.
        return bool(self.due) and not self.isBusy

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
        elif self._upload is not None:
            self._takeBody(self._upload)
        elif self.isNew and self.edge.hub.turns.isCrowded and not self._isKnown(data):
            self._waitForTurn()
        elif self.answered is None or not self._comesBack(data, self.answered):
            self._answerInput()
        self.isNew = False

    def _comesBack(self, data: bytes, answered: PollReader[bytes]) -> bool:
        """
        Hold a poll if others have come back with the same head.

        @param answered: The reader of the last poll.

        @return: Whether it is held.
        """
        edge = self.edge
        comeback: Comeback | None = edge.comebacks.get(data)
        if comeback is None or self.unsent:
            return False
        if self._answers is not None and self._answers.waiting:
            return False
        bursts = edge.hub.bursts
        if bursts.added:
            # As for each poll: what was published before it is there.
            bursts.store()
        if not comeback.fits(answered, edge.turn):
            return False
        request = comeback.request
        plan = request.plan
        self.answered, self.buffer = None, b""
        self.plan, self.tags = plan, request.tags
        self.direct, self.forwarded = answered.direct, None
        answered.joinAgain(comeback.group, comeback.client)
        if answered.state is not State.CLOSED:
            self.hold(answered, comeback.wait)
        traffic = plan.traffic or plan.findTraffic()
        traffic.requests += 1
        traffic.headIn += len(data)
        return True

    def _isKnown(self, data: bytes) -> bool:
        """
        Whether the like of the first request of this connection was asked before.
        """
        edge = self.edge
        if edge.hub.proxies is None:
            return edge.requests.isKnown(data)
        return edge.requestsOf(self.peerAddress).isKnown(data)

    def _takeInput(self) -> None:
        """
        Deal with what is in the buffer: a part of a body, or requests.
        """
        if self._upload is not None:
            self._takeBody(self._upload)
        else:
            self._answerInput()

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
        elif self._identified is not None and self._identified.isPending:
            self._identified.hurry(HALF_CLOSED)
        elif self.reader is not None and self.reader.isListening:
            self.due = min(self.due, self.edge.seconds() + HALF_CLOSED)
            self.edge.hub.fanout.wheel.setBy(self, self.due)

    def drained(self) -> None:
        """
        See L{Connection.drained}.
        """
        if self._isRefused:
            self.resumeProducing()
            self._endOutput()
        elif self.plan is None and not self._isWaiting:
            if self._hasAnswers:
                self.due = math.inf
            else:
                idle = self.edge.idleTimeout
                self._wait(max(UNSENT_TIMEOUT, idle) if self._unread else idle)
            self.resumeProducing()
            self._answerInput()

    def gone(self) -> None:
        """
        See L{Connection.gone}.
        """
        self.edge.hub.fanout.wheel.clear(self)
        self._endUpload()
        identified, self._identified = self._identified, None
        if identified is not None:
            identified.abandon()
        # They keep the connection.
        answers, self._answers = self._answers, None
        if answers is not None:
            answers.drop()
        reader, self.reader = self.reader, None
        self.answered = None
        if reader is not None:
            reader.ended()

    # -- Requests

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
                if self.buffer:
                    now = seconds()
                    if over is None:
                        over = now + self.edge.hub.turns.share
                    elif now >= over:
                        self.pauseProducing()
                        self._waitForTurn()
                        break
                    begun = self._beginNext()
                    if begun == _STOPPED:
                        break
                    if begun == _BEGUN and (self.buffer or self._mayRead > 0):
                        continue
                # The rest has not come whole, or was not read.
                if self._mayRead <= 0 or not self._readOn():
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
        if self.fd < 0 or not self._hasAnswers:
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
        data = self.buffer
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            return self._beginHead(data)
        self._isHeadBegun = False
        size, edge = end + 4, self.edge
        requests = edge.requests if edge.hub.proxies is None else edge.requestsOf(self.peerAddress)
        try:
            request = requests.parse(data[:size])
        except CometError:
            # Twisted's edge finds the same error, and tells it.
            request = None
        answers = self._answers
        if answers is not None and answers.waiting:
            follows = self._follows(request, len(data) - size)
            if follows != _BEGUN:
                return follows
        if request is None:
            return self._leaveToTwisted()
        plan, headers, _, tags = request
        if (headers.length is None) is plan.hasBody:
            return self._leaveToTwisted()
        self.plan, self.tags = plan, tags
        self.isPolling = plan.comesBack
        self.direct = self.socket if plan.account is None else None
        self.forwarded = headers.address
        clientOf = requests.clientOf
        try:
            client = None if clientOf is None else clientOf(plan.credential)
            if client is None or plan.needsKey or edge.hub.subscribeHook is not None:
                taken = self._askAndBegin(request, client, data[:size])
            else:
                taken = plan.begin(self, request, client, size)
        except CometError as error:
            taken = HAND_OVER if plan.needsKey else plan.refused(self, request, size, error)
        if taken > 0:
            traffic = plan.traffic or plan.findTraffic()
            traffic.requests += 1
            traffic.headIn += size
            traffic.dataIn += taken - size
            # What follows may be another client's.
            self._identified = None
            self.buffer = self.buffer[taken:]
            return _BEGUN
        if taken == HAND_OVER:
            return self._leaveToTwisted()
        if taken == NOTHING_TAKEN:
            self._identified = None
        return _STOPPED

    def _follows(self, request: ParsedRequest | None, come: int) -> int:
        """
        Tell whether a request may be begun while publications before it are being
        stored: what is no publication waits until these are answered.

        @param come: How many bytes have come behind its head.

        @return: As L{_beginNext}.
        """
        isFull = self._answers is not None and self._answers.isFull
        if request is None or isFull or not request.plan.hasBody:
            return _STOPPED
        return _BEGUN if request.plan.mayFollow(request, come) else _INCOMPLETE

    def _askAndBegin(self, request: ParsedRequest, client: Client | None, head: bytes) -> int:
        """
        Begin to answer a request once it is known who sends it, and that the client may
        read.

        @param client: The client, if its credential alone has told it.

        @param head: The head of the request.

        @return: As L{Plan.begin<comet.lean.plans.Plan.begin>}; or L{_ASKED}.
        """
        if client is None:
            client = self._findClient(request, head)
            if client is None:
                return _ASKED
        plan = request.plan
        if plan.needsKey and not client.mayPublishAll:
            return HAND_OVER
        if self.edge.hub.subscribeHook is not None and isinstance(plan, ReadPlan):
            allowed = self._askToRead(request, client, head)
            if allowed is None:
                return _ASKED
            request = allowed
        return plan.begin(self, request, client, len(head))

    def _leaveToTwisted(self) -> int:
        """
        Have Twisted's edge answer the first request in the buffer, once those before it
        are answered.

        @return: L{_STOPPED}.
        """
        if self._hasAnswers:
            self.plan = None
        else:
            self._handOver()
        return _STOPPED

    def _beginHead(self, data: bytes) -> int:
        """
        See to a head that has not come whole.

        @param data: What has come of it.
        """
        if self._hasAnswers:
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

    def _handOver(self) -> None:
        """
        Give the connection to Twisted's edge, with all input that is not
        answered.
        """
        data, self.buffer = self.buffer, b""
        identified, self._identified = self._identified, None
        self.answered = self._answers = None
        # It is not asked there again.
        self.edge.factory.identified = identified and identified.of(data)
        self.edge.hub.fanout.wheel.clear(self)
        # The rest of the head has no more time there.
        self.edge.factory.headDue = self.due if self._isHeadBegun else math.inf
        self.edge.handOver(self, data)

    def release(self, size: int) -> tuple[ClientSocket, int, bytes]:
        """
        See L{RequestConnection.release
        <comet.lean.plans.RequestConnection.release>}.
        """
        self.edge.hub.fanout.wheel.clear(self)
        if self.isPaused:
            # The other connection takes over the descriptor as it is watched.
            self.resumeProducing()
        fd, self.fd = self.fd, -1
        self.answered = self._answers = None
        rest, self.buffer = self.buffer[size:], b""
        return self.socket, fd, rest

    # -- Bodies

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
            self.refuse(self._problem(error))
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
                self.respond(self._problem(error))
        except CometError as raised:
            self.respond(self._problem(raised))
        finally:
            self._isAnswering = False

    def _problem(self, error: CometError) -> Response:
        """
        Count an error, and make the response that tells it.
        """
        self.edge.hub.fanout.tally.refused.add(error.code)
        return problem(error)

    def _endUpload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.end()

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
