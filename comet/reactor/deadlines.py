"""
Results that have to come within a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.reactor.timers import NOT_SET, TimerWheel

T = TypeVar("T")


def withDeadline(
    wanted: Deferred[T], wheel: TimerWheel, seconds: float, makeError: Callable[[], Exception]
) -> Deferred[T]:
    """
    Wait for a result, but not for longer than some time.

    @param wanted: What is waited for.  It is not cancelled; what it fires with too
        late is dropped, a failure as well.

    @param makeError: Makes the error for a result that is late.

    @return: Fires or fails as C{wanted} does, or fails with that error.
    """
    return _Wait(wanted, wheel, seconds, makeError).ended


class _Wait:
    """
    One wait.
    """

    __slots__ = ("_makeError", "_wheel", "ended", "timerSlot")

    def __init__(
        self,
        wanted: Deferred[Any],
        wheel: TimerWheel,
        seconds: float,
        makeError: Callable[[], Exception],
    ) -> None:
        self.timerSlot = NOT_SET
        self.ended: Deferred[Any] = Deferred()
        self._wheel = wheel
        self._makeError = makeError
        wheel.set(self, seconds)
        wanted.addBoth(self._came)

    def _came(self, result: Any) -> None:
        self._wheel.clear(self)
        if not self.ended.called:
            # With a failure, a Deferred fails.
            self.ended.callback(result)

    def timedOut(self) -> None:
        """
        The result is late.
        """
        self.ended.errback(Failure(self._makeError()))
