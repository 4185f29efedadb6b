"""
Requests with one answer: over connections that are kept, to the place that a redirect names, and
again until they are answered or their time is over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from attrs import frozen

from comet.client.clientsteps import Sleep, Steps
from comet.client.credential import Credential
from comet.client.failures import (
    BadAnswer,
    Lost,
    Unanswered,
    Unsent,
    isTemporary,
    readProblem,
)
from comet.client.httpexchange import HTTPExchange
from comet.client.serverurl import ServerURL
from comet.client.splitting import MAX_BYTES
from comet.client.wire import connect
from comet.errors import CometError

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# RFC 9110 15.4: after the others a browser makes a GET of a POST, which would publish nothing.
_KEEPING: Final = frozenset({307, 308})
_MOST_REDIRECTS: Final = 5

# How many connections are kept, and for how many seconds: less than a server keeps them.
_MOST_KEPT: Final = 16
_KEPT: Final = 30.0

_MAX_PROBLEM: Final = 65536

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
class Response:
    """
    A response, whole.
    """

    status: int
    body: bytes
    retryAfter: str | None


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
        self._kept: list[tuple[tuple[str, int, bool], float, HTTPExchange]] = []
        self._process = os.getpid()

    def resource(self, path: str, parameters: Mapping[str, str] | None = None) -> ServerURL:
        """
        Return the URL of a resource, with the parameters of every request.
        """
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
            deadline = min(over, self.now() + self.timing.timeout)
            try:
                response = yield from self.request(method, url, headers, body, deadline)
                if 200 <= response.status < 300:
                    return response.body
                error: CometError = readProblem(response.status, response.body, response.retryAfter)
            except Lost as lost:
                error = lost
                wasSent = wasSent or lost.wasSent
            if self.credential.isOver(error):
                continue
            if not isTemporary(error):
                raise error
            delay = delayAfter(failures, self.random)
            failures += 1
            again = self.now() + max(delay, error.retryAfter or 0.0)
            if again >= over:
                raise self._given(error, wasSent)
            yield Sleep(again)

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
    ) -> Steps[Response]:
        """
        Make a request once.

        @raise Lost: If there was no answer.
        """
        exchange = yield from self.open(method, url, headers, body, deadline)
        try:
            data = yield from exchange.body(MAX_BYTES, deadline)
        except BaseException:
            exchange.close()
            raise
        response = Response(exchange.status, data, exchange.header("retry-after"))
        self._keep(exchange)
        return response

    def open(
        self,
        method: str,
        url: ServerURL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> Steps[HTTPExchange]:
        """
        Make a request, and wait for the head of its response.  Redirects are followed; those to
        another origin carry no credential.

        @return: What to read the body from.  The caller closes it.
        """
        shown = yield from self.credential.headers()
        for _ in range(_MOST_REDIRECTS + 1):
            own = shown if url.origin == self.url.origin else {}
            exchange = yield from self._send(method, url, {**headers, **own}, body, deadline)
            location = exchange.header("location")
            mayFollow = _REDIRECTS if method == "GET" else _KEEPING
            if exchange.status not in mayFollow or location is None:
                if exchange.status < 300 and own:
                    self.credential.taken()
                return exchange
            exchange.close()
            url = redirected(url, location)
        raise BadAnswer(f"the server redirects more than {_MOST_REDIRECTS} times")

    def _send(
        self,
        method: str,
        url: ServerURL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> Steps[HTTPExchange]:
        kept, wasSent = self._take(url), False
        if kept is not None:
            try:
                return (yield from _ask(kept, method, url, headers, body, deadline))
            except Lost as lost:
                # The server may have closed it just then.  Nothing was answered, and every request
                # may be made twice.
                if self.now() >= deadline:
                    raise
                wasSent = lost.wasSent
        try:
            exchange = HTTPExchange((yield from connect(url, deadline)), url)
        except Lost as lost:
            # The server may have done what the first connection brought it.
            lost.wasSent = wasSent
            raise
        return (yield from _ask(exchange, method, url, headers, body, deadline))

    def _take(self, url: ServerURL) -> HTTPExchange | None:
        if self._process != os.getpid():
            # After a fork the connections are those of the parent, which goes on using them.
            self._kept, self._process = [], os.getpid()
        found = None
        # Threads share the list: what one of them has removed is its own.
        while found is None and self._kept:
            try:
                origin, at, exchange = self._kept.pop()
            except IndexError:
                break
            if origin == url.origin and self.now() - at < _KEPT:
                found = exchange
            else:
                exchange.close()
        return found

    def _keep(self, exchange: HTTPExchange) -> None:
        if exchange.isReusable() and len(self._kept) < _MOST_KEPT:
            self._kept.append((exchange.origin, self.now(), exchange))
        else:
            exchange.close()

    def close(self) -> None:
        """
        Close the connections that are kept.
        """
        kept, self._kept = self._kept, []
        for _, _, exchange in kept:
            exchange.close()


def redirected(url: ServerURL, location: str) -> ServerURL:
    """
    Return the URL to which a response redirects.

    @raise BadAnswer: If it is none for a client.
    """
    try:
        return url.redirected(location)
    except ValueError as error:
        raise BadAnswer(f"the server redirects to what is no URL of comet: {error}") from None


def _ask(
    exchange: HTTPExchange,
    method: str,
    url: ServerURL,
    headers: Mapping[str, str],
    body: bytes,
    deadline: float,
) -> Steps[HTTPExchange]:
    try:
        yield from exchange.request(method, url, headers, body, deadline)
    except BaseException:
        # Also if the shell gives up the step.
        exchange.close()
        raise
    return exchange
