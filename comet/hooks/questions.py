"""
Asking what an application has given to the hub, which may answer at once or later, or
fail.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from comet.errors import CometError, Internal, Unavailable
from comet.hooks.hookcounts import HookCount, HookCounts, Outcome
from comet.hooks.places import holderOf
from comet.logging.clientlog import ClientLogger
from comet.model.clients import Client
from comet.reactor.timers import NOT_SET, TimerWheel


class Questions:
    """
    Asks, and waits for the answers for some time.

    @ivar seconds: For how long.

    @ivar counts: Counts the questions.

    @ivar isBackend: Whether they are those of
        L{Webhooks<comet.hooks.webhooks.Webhooks>}.  These are counted where requests are
        sent; here only those of their answers are that turn out not to be allowed.

    @cvar log: Where failures are logged.
    """

    log = ClientLogger()

    isBackend = False

    def __init__(
        self, wheel: TimerWheel, seconds: float, counts: HookCounts, now: Callable[[], float]
    ) -> None:
        """
        @param now: Returns the time of a clock that goes on.
        """
        self._wheel = wheel
        self._now = now
        self.seconds = seconds
        self.counts = counts
        # For what is counted elsewhere.
        self._uncounted = HookCounts()

    def ask(
        self,
        kind: str,
        ask: Callable[..., Any],
        peer: object,
        client: Client,
        *arguments: object,
    ) -> Any:
        """
        Ask.

        @param kind: What is asked.

        @param peer: Where the client is; see L{holderOf}.

        @param client: For which client it is asked.

        @param arguments: What else C{ask} is given.

        @param ask: Returns the answer, or a Deferred or coroutine of it.

        @return: The answer; or a Deferred of it, which fails with a L{CometError}.
            If it is cancelled, so is the question.

        @raise CometError: If it is refused.
        """
        count = (self._uncounted if self.isBackend else self.counts).of[kind]
        count.asked += 1
        try:
            if self.isBackend:
                # With many others it may have to wait for its turn.
                answer = ask(client, *arguments, holderOf(client, peer))
            else:
                answer = ask(client, *arguments)
        except CometError:
            count.refused += 1
            raise
        except Exception:
            count.failed += 1
            self._failed(Failure())
        if iscoroutine(answer):
            answer = Deferred.fromCoroutine(answer)
        return self._within(answer, count) if isinstance(answer, Deferred) else answer

    def _within(self, asked: Deferred[Any], count: HookCount) -> Deferred[Any]:
        """
        Wait for an answer no longer than some time.
        """
        question = _Question(asked, self._wheel, self.seconds, count, self._now)
        return question.answer.addErrback(self._checkError)

    def _checkError(self, failure: Failure) -> Failure:
        if isinstance(failure.value, (CometError, CancelledError)):
            return failure
        self._failed(failure)

    def _failed(self, failure: Failure) -> NoReturn:
        self.log.failure("a hook failed", failure=failure)
        raise Internal() from None

    def notAllowed(self, kind: str, fault: str) -> Unavailable:
        """
        Return the error for an answer that is not allowed, and log it.

        @param kind: What was asked.
        """
        self.counts.of[kind].failed += 1
        self.log.error(
            "the answer of the hook to {kind} is not allowed: {fault}", kind=kind, fault=fault
        )
        return Unavailable("the server was told something about this that is not allowed")


class _Question:
    """
    A question whose answer comes later, or never.

    @ivar answer: Fires as the question does; or fails with L{Unavailable} if that takes
        too long.  The question is cancelled then, and if this is cancelled.
    """

    __slots__ = (
        "_asked",
        "_askedAt",
        "_count",
        "_isOver",
        "_now",
        "_seconds",
        "_wheel",
        "answer",
        "timerSlot",
    )

    def __init__(
        self,
        asked: Deferred[Any],
        wheel: TimerWheel,
        seconds: float,
        count: HookCount,
        now: Callable[[], float],
    ) -> None:
        self.timerSlot = NOT_SET
        self._count = count
        self._now = now
        self._askedAt = now()
        self._isOver = False
        count.underWay += 1
        self._asked = asked
        self._seconds = seconds
        self._wheel = wheel
        self.answer: Deferred[Any] = Deferred(lambda _: self._leave())
        wheel.set(self, seconds)
        asked.addBoth(self._came)

    def _came(self, result: Any) -> None:
        self._over(_outcomeOf(result))
        if not self.answer.called:
            # With a failure, a Deferred fails.
            self.answer.callback(result)

    def timedOut(self) -> None:
        """
        The answer is late.
        """
        self._over(Outcome.FAILED)
        self.answer.errback(
            Unavailable(
                f"the server did not find out within {self._seconds:g} seconds whether this is "
                "allowed"
            )
        )
        self._cancel()

    def _leave(self) -> None:
        self._over(Outcome.CANCELLED)
        self._cancel()

    def _cancel(self) -> None:
        """
        Cancel the question.  It may fail at that, which must not matter to the client.
        """
        try:
            self._asked.cancel()
        except Exception:
            Questions.log.failure("a question to a hook cannot be cancelled")

    def _over(self, outcome: Outcome) -> None:
        """
        Count the end, the first time.
        """
        if not self._isOver:
            self._isOver = True
            self._wheel.clear(self)
            self._count.underWay -= 1
            self._count.end(outcome, self._now() - self._askedAt)


def _outcomeOf(result: object) -> Outcome:
    if not isinstance(result, Failure):
        return Outcome.ANSWERED
    if result.check(CometError):
        return Outcome.REFUSED
    return Outcome.CANCELLED if result.check(CancelledError) else Outcome.FAILED
