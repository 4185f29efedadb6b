"""
The responses to publications, in the order of their requests.

A client may send many publications without waiting for their responses
(pipelining, RFC 9112 9.3.2).  All that have come are begun in one turn, and the hub
stores them together.  Each has an L{Answer}, which keeps its place: a publication
that is refused at once must not be answered before those that are still being
stored.  What can be sent of them when the turn ends is sent by one system call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from twisted.python.failure import Failure

from comet.errors import publicError
from comet.fanout.core import Fanout
from comet.http.http1 import completeTemplate, endConnection
from comet.http.responses import JSON, Headers, Response, batchResponse, problem, publishedBody
from comet.lean.plans import Plan
from comet.logging.accesslog import AccessLog
from comet.logging.clientlog import ClientLogger
from comet.model.messages import Published

# How many publications of one connection are under way at most, and how many bytes
# of their bodies.
MOST_UNDER_WAY: Final = 256
MOST_BYTES: Final = 1024 * 1024

T = TypeVar("T")


class AnsweredConnection(Protocol):
    """
    What the answers need of their connection.
    """

    @property
    def endsWithAnswers(self) -> bool:
        """
        Whether the connection ends after the last of the answers.
        """

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """

    def answersMade(self, responses: bytes) -> None:
        """
        Send some responses, which are counted already.  If no publication is under
        way any longer, the requests that have come are all answered.
        """

    def answerFailed(self) -> None:
        """
        A response could not be made, by the exception that is being handled: log it,
        and close the connection.
        """


class Answer:
    """
    The answer to one publication, or batch.

    @ivar plan: The plan of its request.

    @ivar size: How many bytes its body has.

    @ivar response: The response; empty until it is made.

    @ivar bodySize: How many bytes of it are its body.

    @ivar client: The name of the client.
    """

    _log = ClientLogger()

    __slots__ = ("_answers", "bodySize", "client", "plan", "response", "size")

    def __init__(self, answers: Answers, plan: Plan, size: int) -> None:
        self._answers = answers
        self.plan = plan
        self.size = size
        self.response = b""
        self.bodySize = 0
        self.client = ""

    def stored(self, results: Sequence[Published]) -> None:
        """
        Answer that the publication is stored.
        """
        try:
            body = publishedBody(results[0])
            self.response = encode(self.plan, 201, JSON, body)
            self.bodySize = len(body)
            self._answers.made(self)
        except Exception:
            # This may be called while another connection is dealt with, which must not
            # fail in the place of this one.
            self._answers.connection.answerFailed()

    def batchStored(self, results: Sequence[Published]) -> None:
        """
        Answer that the batch is stored.
        """
        self._respondWith(batchResponse, results)

    def notStored(self, failure: Failure) -> None:
        """
        Answer why nothing is stored.
        """
        names = self.plan.names
        error = publicError(
            failure.value,
            lambda: self._log.failure("Publishing to {names} failed", failure=failure, names=names),
        )
        self.plan.hub.fanout.tally.refused.add(error.code)
        self._respondWith(problem, error)

    def respond(self, response: Response) -> None:
        """
        Answer with a response.
        """
        self.response = encodeFor(self.plan, response)
        self.bodySize = len(response.body)
        self._answers.made(self)

    def _respondWith(self, makeResponse: Callable[[T], Response], result: T) -> None:
        try:
            self.respond(makeResponse(result))
        except Exception:
            # As above.
            self._answers.connection.answerFailed()


class Answers:
    """
    The answers of one connection to publications that are under way.

    @ivar connection: The connection.

    @ivar waiting: The answers.
    """

    __slots__ = ("_fanout", "_isDue", "_size", "connection", "waiting")

    def __init__(self, connection: AnsweredConnection, fanout: Fanout) -> None:
        self.connection = connection
        self._fanout = fanout
        self.waiting: list[Answer] = []
        self._size = 0
        self._isDue = False

    @property
    def isFull(self) -> bool:
        """
        Whether no other publication may be begun.
        """
        return len(self.waiting) >= MOST_UNDER_WAY or self._size >= MOST_BYTES

    def add(self, plan: Plan, size: int) -> Answer:
        """
        Make the answer to the next publication.

        @param size: How many bytes its body has.
        """
        answer = Answer(self, plan, size)
        self.waiting.append(answer)
        self._size += size
        return answer

    def made(self, answer: Answer) -> None:
        """
        A response is made.  Send it, or have it sent with those that follow.
        """
        waiting = self.waiting
        if self._isDue or not waiting or waiting[0] is not answer:
            # Another one sends it, too; or the client is gone.
            return
        if len(waiting) == 1:
            self._send()
        else:
            # The next ones are probably made in a moment.
            self._isDue = True
            self._fanout.afterAnswers(self._send)

    def _send(self) -> None:
        """
        Send all responses before which none is missing.
        """
        self._isDue = False
        waiting, count = self.waiting, 0
        for answer in waiting:
            if not answer.response:
                break
            count += 1
        if not count:
            return
        made = waiting[:count]
        del waiting[:count]
        if not waiting and self._fanout.isDraining and self.connection.endsWithAnswers:
            made[-1].response = endConnection(made[-1].response)
        log = made[0].plan.hub.accessLog
        if log is not None:
            for answer in made:
                address, name = self.connection.address, answer.client
                logAnswered(log, address, name, answer.plan, answer.response, answer.bodySize)
        for answer in made:
            self._size -= answer.size
            traffic = answer.plan.traffic or answer.plan.findTraffic()
            traffic.headOut += len(answer.response) - answer.bodySize
            traffic.dataOut += answer.bodySize
        responses = [answer.response for answer in made] if count > 1 else [made[0].response]
        self.connection.answersMade(b"".join(responses))

    def drop(self) -> None:
        """
        Forget all answers: the client is gone.
        """
        self.waiting.clear()
        self._size = 0


def logAnswered(
    log: AccessLog, address: str, client: str, plan: Plan, response: bytes, size: int
) -> None:
    """
    Tell the access log of a response to a request that has this plan.

    @param client: The name of the client.

    @param size: How many bytes of the response are its body.
    """
    path = "/channels/" + ",".join(plan.names) if plan.names else "/publish"
    log.answered(address, client, plan.transport, plan.method, path, int(response[9:12]), size)


def encodeFor(plan: Plan, response: Response) -> bytes:
    """
    Encode a response to a request that has this plan.
    """
    return encode(plan, response.status, response.headers, response.body)


def encode(plan: Plan, status: int, headers: Headers, body: bytes) -> bytes:
    """
    Encode the parts of a response to a request that has this plan.
    """
    own = plan.ownHeaders
    return completeTemplate(status, headers + own if own else headers).fill(body)
