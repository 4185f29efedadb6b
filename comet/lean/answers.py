"""
The responses to publications, in the order of their requests.

A client may send many publications without waiting for their responses
(pipelining, RFC 9112 9.3.2).  All that have come are begun in one turn, and the hub
stores them together.  Each has an L{Answer}, which keeps its place: a publication
that is refused at once must not be answered before those that are still being
stored.  What can be sent of them when the turn ends is sent by one system call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol

from twisted.python.failure import Failure

from comet.errors import publicError
from comet.fanout.core import Fanout
from comet.http.http1 import (
    TEMPLATE_CACHE_SIZE,
    ResponseTemplate,
    completeTemplate,
    endConnection,
)
from comet.http.responses import JSON, Headers, Response, batchBody, problem, publishedBody
from comet.hub.requests import PublishRequest
from comet.lean.plans import Plan
from comet.logging.accesslog import AccessLog
from comet.logging.clientlog import ClientLogger
from comet.model.messages import Published

# How many publications of one connection are under way at most, and how many bytes
# of their bodies.
MOST_UNDER_WAY: Final = 256
MOST_BYTES: Final = 1024 * 1024


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


class Answer(PublishRequest):
    """
    A request to publish, one message or a batch, and its answer.

    @ivar plan: The plan of its request.

    @ivar size: How many bytes its body has.

    @ivar response: The response; empty until it is made.

    @ivar bodySize: How many bytes of it are its body.

    @ivar isBatch: Whether the cursor of each publication is told.

    @ivar client: The name of the client.
    """

    _log = ClientLogger()

    __slots__ = ("_answers", "bodySize", "client", "isBatch", "plan", "response", "size")

    def __init__(self, answers: Answers, plan: Plan, size: int, client: str, isBatch: bool) -> None:
        """
        Take the place behind all others of the connection.
        """
        self._answers = answers
        self.plan = plan
        self.size = size
        self.response = b""
        self.client = client
        self.isBatch = isBatch
        answers.waiting.append(self)
        answers.size += size

    def stored(self, results: Sequence[Published]) -> None:
        """
        See L{PublishRequest.stored<comet.hub.requests.PublishRequest.stored>}.
        """
        try:
            body = batchBody(results) if self.isBatch else publishedBody(results[0])
            self.response = _createdTemplate(self.plan.ownHeaders).fill(body)
            self.bodySize = len(body)
            self._answers.made(self)
        except Exception:
            # This may be called while another connection is dealt with, which must not
            # fail in the place of this one.
            self._answers.connection.answerFailed()

    def notStored(self, failure: Failure) -> None:
        """
        See L{PublishRequest.notStored<comet.hub.requests.PublishRequest.notStored>}.
        """
        names = self.plan.names
        error = publicError(
            failure.value,
            lambda: self._log.failure("Publishing to {names} failed", failure=failure, names=names),
        )
        self.plan.hub.fanout.tally.refused.add(error.code)
        try:
            self.respond(problem(error))
        except Exception:
            # As above.
            self._answers.connection.answerFailed()

    def respond(self, response: Response) -> None:
        """
        Answer with a response.
        """
        self.response = encodeFor(self.plan, response)
        self.bodySize = len(response.body)
        self._answers.made(self)


class Answers:
    """
    The answers of one connection to publications that are under way.

    @ivar connection: The connection.

    @ivar waiting: The answers.

    @ivar size: How many bytes the bodies of their requests have.

    @ivar isDue: Whether L{send} will be called.
    """

    __slots__ = ("_fanout", "connection", "isDue", "size", "waiting")

    def __init__(self, connection: AnsweredConnection, fanout: Fanout) -> None:
        self.connection = connection
        self._fanout = fanout
        self.waiting: list[Answer] = []
        self.size = 0
        self.isDue = False

    @property
    def isFull(self) -> bool:
        """
        Whether no other publication may be begun.
        """
        return len(self.waiting) >= MOST_UNDER_WAY or self.size >= MOST_BYTES

    def made(self, answer: Answer) -> None:
        """
        A response is made.  Send it, or have it sent with those that are probably made in a
        moment.
        """
        waiting = self.waiting
        if self.isDue or not waiting or waiting[0] is not answer:
            # Another one sends it, too; or the client is gone.
            return
        if len(waiting) > 1:
            self.isDue = True
            self._fanout.afterAnswers(self.send)
            return
        waiting.clear()
        if self._fanout.isDraining:
            self._endWith(answer)
        self._count(answer)
        self.connection.answersMade(answer.response)

    def send(self) -> None:
        """
        Send all responses before which none is missing.
        """
        self.isDue = False
        waiting, count = self.waiting, 0
        for answer in waiting:
            if not answer.response:
                break
            count += 1
        if not count:
            return
        made = waiting[:count]
        del waiting[:count]
        if not waiting and self._fanout.isDraining:
            self._endWith(made[-1])
        for answer in made:
            self._count(answer)
        self.connection.answersMade(b"".join([answer.response for answer in made]))

    def _endWith(self, answer: Answer) -> None:
        """
        Tell the client that the connection ends with an answer, if it does.
        """
        if self.connection.endsWithAnswers:
            answer.response = endConnection(answer.response)

    def _count(self, answer: Answer) -> None:
        """
        Count a response, and tell the access log of it.
        """
        plan, response, bodySize = answer.plan, answer.response, answer.bodySize
        self.size -= answer.size
        traffic = plan.traffic or plan.findTraffic()
        traffic.headOut += len(response) - bodySize
        traffic.dataOut += bodySize
        log = plan.hub.accessLog
        if log is not None:
            logAnswered(log, self.connection.address, answer.client, plan, response, bodySize)

    def drop(self) -> None:
        """
        Forget all answers: the client is gone.
        """
        self.waiting.clear()
        self.size = 0


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


@lru_cache(TEMPLATE_CACHE_SIZE)
def _createdTemplate(own: Headers) -> ResponseTemplate:
    """
    Get the template for responses to what was stored.  It is looked up for each of them,
    and for most by an empty key.

    @param own: The response headers for the client that asked.
    """
    return completeTemplate(201, JSON + own)


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
