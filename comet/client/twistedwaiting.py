"""
Waits of the client for Twisted: each ends by its result, by the clock, when its caller gives up, or
when the client is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

T = TypeVar("T")


class Waits:
    """
    The waits of one client.

    @ivar clock: What they are timed by.
    """

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self._waiting: set[Deferred[Any]] = set()

    def cancel(self) -> None:
        """
        End all waits.
        """
        for waiting in list(self._waiting):
            waiting.cancel()

    def turn(self) -> Deferred[None]:
        """
        Wait until the next turn of the reactor.
        """
        turn: Deferred[None] = Deferred()
        self.clock.callLater(0, turn.callback, None)
        return turn

    async def until(
        self, given: Deferred[T], deadline: float, late: Callable[[T], object] | None = None
    ) -> T:
        """
        Wait for a result, but not longer than until a time.

        @param late: Is called with a result that comes when nothing waits for it any more.

        @raise TimeoutError: If the time is over.

        @raise CancelledError: If the caller has given up.
        """
        isOver = False

        def over() -> None:
            nonlocal isOver
            isOver = True
            waiting.cancel()

        waiting = _waitFor(given, late)
        timer = self.clock.callLater(max(deadline - self.clock.seconds(), 0), over)
        try:
            return await self._waitOn(waiting)
        except CancelledError:
            if isOver:
                raise TimeoutError from None
            raise
        finally:
            if timer.active():
                timer.cancel()

    async def forever(self, given: Deferred[T]) -> T:
        """
        Wait for a result, however long it takes.

        @raise CancelledError: If the caller has given up.
        """
        return await self._waitOn(_waitFor(given, None))

    async def _waitOn(self, waiting: Deferred[T]) -> T:
        self._waiting.add(waiting)
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)


def _waitFor(given: Deferred[T], late: Callable[[T], object] | None) -> Deferred[T]:
    """
    Make a wait for a result.  To cancel it cancels what gives the result, too.

    @param late: Is called with a result that comes when the wait was cancelled.
    """
    isEnded = False

    def cancel(_: object) -> None:
        nonlocal isEnded
        isEnded = True
        given.cancel()

    def done(result: Any) -> None:
        if not isEnded:
            waiting.callback(result)
        elif late is not None and not hasattr(result, "getTraceback"):
            late(result)

    waiting: Deferred[T] = Deferred(cancel)
    given.addBoth(done)
    return waiting


class Arrivals:
    """
    What has arrived, for a coroutine that waits for it.  It wakes in the next turn of the reactor,
    so that it takes all that one read has brought.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._waiting: Deferred[None] | None = None
        self._isWaking = False

    def wake(self) -> None:
        """
        Something has arrived.
        """
        if self._waiting is not None and not self._isWaking:
            self._isWaking = True
            self._waits.clock.callLater(0, self._fire)

    def _fire(self) -> None:
        self._isWaking = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    async def wait(self, deadline: float) -> None:
        """
        Wait until something arrives.

        @raise TimeoutError: If the time is over.
        """
        self._waiting = Deferred()
        await self._waits.until(self._waiting, deadline)
