"""
Requests with one answer: to the place that a redirect names, and again until they are answered or
their time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from attrs import frozen

from comet.client.clientsteps import USER_AGENT, Read, Request, Response, Sleep, Steps
from comet.client.credential import Credential, headersOf
from comet.client.failures import (
    BadAnswer,
    Lost,
    NoToken,
    Silent,
    Unanswered,
    Unsent,
    isTemporary,
    readProblem,
)
from comet.client.serverurl import ServerURL
from comet.client.splitting import MAX_BYTES
from comet.errors import CometError

#: The statuses of redirects.
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# RFC 9110 15.4: after the others a browser makes a GET of a POST, which would publish nothing.
_KEEPING: Final = frozenset({307, 308})

#: How many redirects in a row are followed.
MOST_REDIRECTS: Final = 5

#: How many connections a shell keeps for further requests, and for how many seconds: less than a
#: server keeps them.
MOST_KEPT: Final = 16
KEPT: Final = 30.0

#: The most bytes of the body of a refusal.
MAX_PROBLEM: Final = 65536

# Seconds: the most for the first delay, and for any.
FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0


@frozen
class Timing:
    """
    How long a client waits, in seconds.

    @ivar heartbeat: After so long a silence the server sends a heartbeat.  After twice as long a
        connection is lost.  A long poll is held for as long, too.

    @ivar timeout: In which a connection, a transport, and an answer have to come.

    @ivar patience: For how long a request is repeated that has no answer.  Less than the five
        minutes for which a server remembers a key.
    """

    heartbeat: float = 25.0
    timeout: float = 10.0
    patience: float = 30.0


@frozen
class Answer:
    """
    A response, whole.
    """

    status: int
    body: bytes
    retryAfter: str | None

    @property
    def problem(self) -> CometError:
        """
        The error that it stands for, where its status is not 2xx.
        """
        return readProblem(self.status, self.body, self.retryAfter)


def delayAfter(failures: int, random: Random) -> float:
    """
    Choose a delay that grows with the failures: exponential, with full jitter.

    @return: In seconds.
    """
    return random.uniform(0, min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 10)))


class Requester:
    """
    Makes the requests of one client.

    @ivar now: The clock of the shell, in seconds.

    @ivar random: For delays.
    """

    def __init__(
        self,
        url: ServerURL,
        credential: Credential,
        parameters: Mapping[str, str],
        timing: Timing,
        now: Callable[[], float],
        random: Random,
    ) -> None:
        self.url = url
        self.credential = credential
        self.timing = timing
        self.now = now
        self.random = random
        self._parameters = dict(parameters)

    def resource(self, path: str, parameters: Mapping[str, str] | None = None) -> ServerURL:
        """
        Return the URL of a resource, with the parameters of every request.

        @raise ValueError: If the server's URL is that of raw TCP.
        """
        if self.url.isRaw:
            raise ValueError("a client of raw TCP only subscribes; the rest needs a URL of HTTP")
        return self.url.resource(path, {**self._parameters, **(parameters or {})})

    def persist(
        self, method: str, url: ServerURL, headers: Mapping[str, str], body: bytes = b""
    ) -> Steps[bytes]:
        """
        Make a request until it is answered.  It must do no harm to make it twice.

        @return: The body of the answer, whose status is 2xx.

        @raise Unsent: If it could not be sent in time.

        @raise Unanswered: If it was sent, and may have had an effect.

        @raise CometError: What the server answers.
        """
        over = self.now() + self.timing.patience
        wasSent, failures = False, 0
        while True:
            word = yield from self._word()
            deadline = min(over, self.now() + self.timing.timeout)
            try:
                response = yield from self.request(method, url, headers, body, deadline, word)
                if 200 <= response.status < 300:
                    return response.body
                error: CometError = response.problem
            except Lost as lost:
                error = lost
                wasSent = wasSent or lost.wasSent
            if self.credential.isOver(error, word):
                continue
            if not isTemporary(error):
                raise error
            delay = delayAfter(failures, self.random)
            failures += 1
            again = self.now() + max(delay, error.retryAfter or 0.0)
            if again >= over:
                raise self._given(error, wasSent)
            yield Sleep(again)

    def once(
        self, method: str, url: ServerURL, headers: Mapping[str, str], body: bytes
    ) -> Steps[bytes]:
        """
        Make a request that may not be made twice.  Only while it is not sent it is repeated.

        @return: The body of the answer, whose status is 2xx.

        @raise Unsent: If it could not be sent in time.

        @raise Unanswered: If it was sent, and may have had an effect.

        @raise CometError: What the server answers.
        """
        over = self.now() + self.timing.patience
        failures, isRenewed = 0, False
        while True:
            word = yield from self._word()
            deadline = min(over, self.now() + self.timing.timeout)
            try:
                answer = yield from self._once(method, url, headers, body, deadline, word)
            except Lost as lost:
                delay = delayAfter(failures, self.random)
                failures += 1
                if lost.wasSent or self.now() + delay >= over:
                    raise self._given(lost, lost.wasSent) from lost
                yield Sleep(self.now() + delay)
                continue
            if 200 <= answer.status < 300:
                return answer.body
            error = answer.problem
            if isRenewed or not self.credential.isOver(error, word):
                raise error
            # Refused before it had an effect.
            isRenewed = True

    def _word(self) -> Steps[str | None]:
        """
        Return what a request shows.

        @raise Exception: As the application's function for tokens fails.
        """
        try:
            return (yield from self.credential.show())
        except NoToken as failure:
            raise failure.error from None

    def _given(self, error: CometError, wasSent: bool) -> CometError:
        if wasSent:
            return Unanswered(f"there was no answer in time: {error.detail}")
        if isinstance(error, Lost):
            return Unsent(f"it could not be sent in time: {error.detail}")
        return error

    def request(
        self,
        method: str,
        url: ServerURL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
        word: str | None,
    ) -> Steps[Answer]:
        """
        Make a request.  It must do no harm to make it twice: where the connection breaks, it is
        made once more at once, since the server may have closed a kept connection just then.

        @param word: What is shown of the L{credential}.

        @raise Lost: If there was no answer.
        """
        try:
            return (yield from self._once(method, url, headers, body, deadline, word))
        except Lost as first:
            if isinstance(first, Silent) or not first.wasSent or self.now() >= deadline:
                raise
        try:
            return (yield from self._once(method, url, headers, body, deadline, word))
        except Lost as second:
            # The server may have done what the first connection brought it.
            second.wasSent = True
            raise

    def _once(
        self,
        method: str,
        url: ServerURL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
        word: str | None,
    ) -> Steps[Answer]:
        response = yield from self.open(method, url, headers, body, deadline, word)
        most = MAX_BYTES if response.status < 300 else MAX_PROBLEM
        data = yield from readBody(response, most, deadline)
        return Answer(response.status, data, response.header("retry-after"))

    def open(
        self,
        method: str,
        url: ServerURL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
        word: str | None,
    ) -> Steps[Response]:
        """
        Send a request.  Redirects are followed; those to another origin carry no credential.

        @param word: What is shown of the L{credential}.

        @return: What to read the body from.  The caller closes it.
        """
        shown = headersOf(word)
        for _ in range(MOST_REDIRECTS + 1):
            own = shown if url.origin == self.url.origin else {}
            sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers, **own}
            response: Response = yield Request(method, url, sent, body, deadline)
            location = response.header("location")
            mayFollow = REDIRECTS if method == "GET" else _KEEPING
            if response.status not in mayFollow or location is None:
                if response.status < 300 and own:
                    self.credential.taken(word)
                return response
            response.close()
            url = redirected(url, location)
        raise BadAnswer(f"the server redirects more than {MOST_REDIRECTS} times")


def readBody(response: Response, most: int, deadline: float) -> Steps[bytes]:
    """
    Wait for a whole body, and close the response.

    @raise BadAnswer: If it has more than C{most} bytes.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        while True:
            data: bytes = yield Read(response, deadline)
            if not data:
                return b"".join(pieces)
            pieces.append(data)
            size += len(data)
            if size > most:
                raise BadAnswer(f"the answer has more than {most} bytes")
    finally:
        response.close()


def redirected(url: ServerURL, location: str) -> ServerURL:
    """
    Return the URL to which a response redirects.

    @raise BadAnswer: If it is none for a client.
    """
    try:
        return url.redirected(location)
    except ValueError as error:
        raise BadAnswer(f"the server redirects to what is no URL of comet: {error}") from None
