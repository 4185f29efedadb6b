"""
Drops old messages from time to time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

# How often the bus drops old messages, or tries whether the disk works again,
# in seconds; and how long it pauses for other writers while there is more to
# drop.
SWEEP_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.02


class Sweeper:
    """
    Sweeps again and again, until it is stopped.
    """

    def __init__(
        self,
        clock: IReactorTime,
        sweep: Callable[[], Deferred[bool]],
        failed: Callable[[Failure], None],
    ) -> None:
        """
        @param sweep: Drops some messages.  Fires with whether there is more to drop.

        @param failed: Told why a sweep failed.  The next one comes all the same.
        """
        self._clock = clock
        self._sweep = sweep
        self._failed = failed
        self._isStopped = False
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """
        Sweep in a moment for the first time.
        """
        self._sweepAfter(PAUSE_SECONDS)

    def stop(self) -> None:
        """
        Sweep no more.  A sweep that is under way ends.
        """
        self._isStopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _sweepAfter(self, delay: float) -> None:
        if not self._isStopped:
            self._next = self._clock.callLater(delay, self._sweepNow)

    def _sweepNow(self) -> None:
        self._next = None
        self._sweep().addCallbacks(self._swept, self._notSwept)

    def _swept(self, more: bool) -> None:
        self._sweepAfter(PAUSE_SECONDS if more else SWEEP_SECONDS)

    def _notSwept(self, failure: Failure) -> None:
        self._failed(failure)
        self._sweepAfter(SWEEP_SECONDS)
