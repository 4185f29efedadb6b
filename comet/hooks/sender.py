"""
Sending one request to the backend.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from comet.errors import CometError
from comet.hooks.hookcounts import HookCount, HookCounts, Outcome
from comet.hooks.hooksettings import HookSettings
from comet.hooks.places import Places
from comet.hooks.roundrobin import RoundRobin
from comet.hooks.signing import sign
from comet.hooks.verdicts import BadRefusal, readAnswer
from comet.limits.answerbodies import MAX_ANSWER, BodyTooLarge, readBounded
from comet.limits.answerheads import makePool
from comet.logging.clientlog import ClientLogger
from comet.reactor.timers import NOT_SET, TimerWheel

# After how many seconds a connection without a request is closed.
IDLE: Final = 30

# Failures are logged once in so many seconds.
LOG_SECONDS: Final = 10.0

# How many requests may wait for their turn, and how many bytes their bodies have.
MOST_WAITING: Final = 10_000
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024

T = TypeVar("T")

_AGENT: Final = b"comet"


class HookFailure(Exception):
    """
    The backend gave no answer, or one that is not allowed.
    """


class BadAnswer(HookFailure):
    """
    The backend's answer says something that is not allowed.
    """


class NoPlace(HookFailure):
    """
    The backend was not asked, or too late, since there was no place for the question.
    """


class HookSender:
    """
    Sends requests to the backend, so many at once.  Others wait for their turn, in which no
    client waits for all that another one asks.

    @ivar counts: Counts the questions by kind.  Those under way are counted where they
        began.

    @ivar places: The places of the requests that wait for their turn.
    """

    _log = ClientLogger()

    def __init__(
        self,
        settings: HookSettings,
        agent: IAgent,
        wheel: TimerWheel,
        now: Callable[[], float],
        seconds: Callable[[], float],
        makeID: Callable[[], str] = lambda: f"msg_{secrets.token_hex(16)}",
        pool: HTTPConnectionPool | None = None,
    ) -> None:
        """
        @param agent: Sends the requests.  It follows no redirects.

        @param wheel: Ends requests that take too long.

        @param now: Returns the wall-clock time, in seconds since 1970.

        @param seconds: Returns the time of a clock that goes on.

        @param makeID: Makes an id that no other request has.

        @param pool: The connections of the agent, for L{stop}.
        """
        self.settings = settings
        self._agent = agent
        self._wheel = wheel
        self._now = now
        self._seconds = seconds
        self._makeID = makeID
        self._pool = pool
        self._underWay = 0
        self._isFilling = False
        self._waiting: RoundRobin[_Sending[Any]] = RoundRobin()
        self.places = Places(MOST_WAITING, MOST_WAITING_BYTES)
        self.counts = HookCounts()
        # When the backend has answered last.
        self._answeredAt: float | None = None
        # When a failure was logged last, and how many were not logged since.
        self._loggedAt: float | None = None
        self._notLogged = 0

    @property
    def load(self) -> tuple[int, int]:
        """
        How many requests are under way, and how many wait for their turn.
        """
        return self._underWay, self.places.waiting

    def send(
        self,
        kind: str,
        content: Mapping[str, Any],
        read: Callable[[dict[str, Any]], T],
        holder: Hashable = None,
    ) -> Deferred[T]:
        """
        Ask the backend.

        @param kind: What it is asked, for C{type}.

        @param content: What the body has besides C{type} and C{time}.

        @param read: Reads the object that is the answer.  Raises L{ValueError} if it is
            not allowed.

        @param holder: Stands for the client for which it is asked, where the request has to
            wait.

        @return: Fires with what C{read} has made of the answer.  Fails with the
            L{CometError<comet.errors.CometError>} with which it refuses, or with
            L{HookFailure}, which is counted and logged already; with L{NoPlace} if the backend
            answers others.  If it is cancelled, the
            request is given up.
        """
        body = {"type": kind, "time": round(self._now(), 3), **content}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # A header may have had bytes that are no UTF-8: they are replaced.
        raw = text.encode("utf-8", "replace")
        count = self.counts.of[kind]
        count.asked += 1
        count.waiting += 1
        sending = _Sending(self, raw, self._makeID(), read, count, self._seconds(), holder)
        done = sending.done
        self._wheel.set(sending, self.settings.timeout)
        if self._underWay < self.settings.concurrency:
            self._begin(sending)
        elif self.places.take(holder, 1, sending.size):
            sending.isWaiting = True
            self._waiting.add(holder, sending)
        else:
            sending.hasNoPlace()
        return done

    def stop(self) -> Deferred[Any]:
        """
        Close the connections that wait for another request.  One that is in use waits for
        another one no longer than L{IDLE} seconds.

        @return: Fires when they are closed.
        """
        return succeed(None) if self._pool is None else self._pool.closeCachedConnections()

    def _begin(self, sending: _Sending[Any]) -> None:
        self._underWay += 1
        sending.count.waiting -= 1
        sending.count.underWay += 1
        sending.begin()

    def request(self, body: bytes, id: str) -> Deferred[IResponse]:
        """
        Send a signed request.
        """
        timestamp = int(self._now())
        headers = Headers(
            {
                b"Content-Type": [b"application/json"],
                b"User-Agent": [_AGENT],
                b"Webhook-Id": [id.encode("ascii")],
                b"Webhook-Timestamp": [b"%d" % timestamp],
                b"Webhook-Signature": [
                    sign(self.settings.secrets, id, timestamp, body).encode("ascii")
                ],
            }
        )
        url = self.settings.url.encode("ascii")
        return self._agent.request(b"POST", url, headers, _Body(body))

    def ended(self, sending: _Sending[Any], outcome: Outcome, fault: str = "") -> None:
        """
        A request is over: let the next one begin.

        @param outcome: How it ended.
        """
        self._wheel.clear(sending)
        now, count = self._seconds(), sending.count
        count.end(outcome, now - sending.askedAt)
        if outcome in (Outcome.ANSWERED, Outcome.REFUSED):
            self._answeredAt = now
        if sending.isBegun:
            self._underWay -= 1
            count.underWay -= 1
        else:
            count.waiting -= 1
            if sending.isWaiting:
                self._waiting.remove(sending.holder, sending)
                self._leave(sending)
        if fault:
            self._logFailure(fault)
        if self._isFilling:
            # One that has failed at once.
            return
        self._isFilling = True
        while self._waiting and self._underWay < self.settings.concurrency:
            following = self._waiting.take()
            self._leave(following)
            self._begin(following)
        self._isFilling = False

    @property
    def isAnswered(self) -> bool:
        """
        Whether the backend has answered of late: if there is no place, it has too much to
        do, but is there.
        """
        at, timeout = self._answeredAt, self.settings.timeout
        return at is not None and self._seconds() - at <= timeout

    def _leave(self, sending: _Sending[Any]) -> None:
        self.places.leave(sending.holder, 1, sending.size)

    def _logFailure(self, fault: str) -> None:
        now = self._seconds()
        if self._loggedAt is not None and now - self._loggedAt < LOG_SECONDS:
            self._notLogged += 1
            return
        self._loggedAt, count, self._notLogged = now, self._notLogged, 0
        self._log.warn(
            "the backend at {url} gave no answer: {fault} ({count} others since the last line)",
            # Its query may hold a secret.
            url=self.settings.url.partition("?")[0],
            fault=fault,
            count=count,
        )


class _Sending(Generic[T]):
    """
    A request that waits or is under way.  It ends once.

    @ivar isWaiting: Whether it has waited for its turn.

    @ivar isBegun: Whether it was sent.
    """

    __slots__ = (
        "_body",
        "_id",
        "_isOver",
        "_isRepeated",
        "_read",
        "_sender",
        "_step",
        "askedAt",
        "count",
        "done",
        "holder",
        "isBegun",
        "isWaiting",
        "size",
        "timerSlot",
    )

    def __init__(
        self,
        sender: HookSender,
        body: bytes,
        id: str,
        read: Callable[[dict[str, Any]], T],
        count: HookCount,
        askedAt: float,
        holder: Hashable,
    ) -> None:
        self.timerSlot = NOT_SET
        self.isBegun = self.isWaiting = False
        self.holder = holder
        self.size = len(body)
        self.count = count
        self.askedAt = askedAt
        self.done: Deferred[T] = Deferred(lambda _: self._end(Outcome.CANCELLED))
        self._read = read
        self._isOver = self._isRepeated = False
        self._sender = sender
        self._body = body
        self._id = id
        # What is waited for: the head of the answer, or its body.
        self._step: Deferred[Any] | None = None

    def begin(self) -> None:
        """
        Send the request.
        """
        self.isBegun = True
        try:
            step: Deferred[Any] = self._sender.request(self._body, self._id)
        except Exception:
            self._failed(Failure())
            return
        self._step = step
        step.addCallback(self._headCame)
        step.addCallbacks(self._bodyCame, self._failed)

    def _headCame(self, response: IResponse) -> Deferred[bytes]:
        if response.code != 200:
            # The rest is not read.
            body = readBounded(response, 0)
            body.addErrback(lambda _: None)
            body.cancel()
            raise HookFailure(f"the status is {response.code}, not 200")
        return readBounded(response)

    def _bodyCame(self, body: bytes) -> None:
        if self._isOver:
            return
        told: T | None = None
        error: type[HookFailure] = HookFailure
        try:
            answer = readAnswer(body)
            if not isinstance(answer, CometError):
                error = BadAnswer
                told = self._read(answer)
        except ValueError as fault:
            if isinstance(fault, BadRefusal):
                error = BadAnswer
            self._failWith(f"the answer is not allowed: {fault}", error)
            return
        if isinstance(answer, CometError):
            self._end(Outcome.REFUSED)
            self.done.errback(Failure(answer))
        else:
            self._end(Outcome.ANSWERED)
            # Any: it was read just now.
            result: Any = told
            self.done.callback(result)

    def _failed(self, failure: Failure) -> None:
        if self._isOver:
            return
        if not self._isRepeated and _wasClosed(failure.value):
            self._isRepeated = True
            self.begin()
        else:
            self._failWith(_say(failure.value))

    def timedOut(self) -> None:
        """
        The answer has not come in time, or there was no place for the request.
        """
        seconds = f"{self._sender.settings.timeout:g} seconds"
        fault = f"there was no place for the request within {seconds}"
        if self.isBegun:
            fault = f"it took longer than {seconds}"
        isCrowded = self.isWaiting and self._sender.isAnswered
        self._failWith(fault, NoPlace if isCrowded else HookFailure)

    def hasNoPlace(self) -> None:
        """
        Too many requests wait already, of this client or of all.
        """
        self._failWith("too many requests of this client wait for their turn", NoPlace)

    def _failWith(self, fault: str, error: type[HookFailure] = HookFailure) -> None:
        self._end(Outcome.FAILED, fault)
        self.done.errback(Failure(error(fault)))

    def _end(self, outcome: Outcome, fault: str = "") -> None:
        self._isOver = True
        step, self._step = self._step, None
        if step is not None:
            # Does nothing to one that has fired.
            step.cancel()
        self._sender.ended(self, outcome, fault)


def _wasClosed(error: BaseException | None) -> bool:
    """
    Tell whether the backend closed the connection before it began to answer, as it may do
    to one that was idle for a while.  Then the request is sent once more.
    """
    if not isinstance(error, (ResponseNeverReceived, RequestTransmissionFailed)):
        return False
    return all(reason.check(ConnectionClosed) for reason in error.reasons)


def _say(error: BaseException | None) -> str:
    """
    Say why there is no answer, without anything that it held.
    """
    if isinstance(error, HookFailure):
        return str(error)
    if isinstance(error, BodyTooLarge):
        return f"the answer has more than {MAX_ANSWER} bytes"
    reasons = getattr(error, "reasons", None) or [error]
    causes = [getattr(each, "value", each) for each in reasons]
    first = causes[0]
    if isinstance(first, (ConnectError, ConnectionClosed, DNSLookupError, CancelledError)):
        return str(first) or type(first).__name__
    return f"{type(first).__name__}: {first}"


@implementer(IBodyProducer)
class _Body:
    """
    The body of a request.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        See L{IBodyProducer}.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        See L{IBodyProducer}.
        """

    def resumeProducing(self) -> None:
        """
        See L{IBodyProducer}.
        """

    def stopProducing(self) -> None:
        """
        See L{IBodyProducer}.
        """


def makeAgent(reactor: Any, settings: HookSettings) -> tuple[IAgent, HTTPConnectionPool]:
    """
    Make what sends the requests.  It follows no redirects, and keeps no cookies.

    @return: The agent, and the pool of its connections, to be closed at the end.

    @raise ImportError: If TLS is needed and not installed.
    """
    if settings.url.startswith("https:"):
        # Agent would fail only with the first request.
        import OpenSSL  # noqa: F401
        import service_identity  # noqa: F401
    pool = makePool(reactor)
    pool.maxPersistentPerHost = settings.concurrency
    pool.cachedConnectionTimeout = IDLE
    pool.retryAutomatically = False
    return Agent(reactor, connectTimeout=settings.timeout, pool=pool), pool
