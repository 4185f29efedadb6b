"""
When members have to leave whose grace is over: for buses that keep them in memory.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class GraceTimer:
    """
    Waits for the moment at which a member has to leave next.
    """

    def __init__(
        self, clock: IReactorTime, seconds: Callable[[], float], leave: Callable[[], object]
    ) -> None:
        """
        @param seconds: Returns the time by which a grace ends.

        @param leave: Called when one is over.  It lets a limited number of members leave,
            so that publishers have their turns when very many leave in one moment, and
            says when the next one is due.
        """
        self._clock = clock
        self._seconds = seconds
        self._leave = leave
        self._call: IDelayedCall | None = None

    def nextAt(self, due: float | None) -> None:
        """
        Wait for this moment, and no other one.

        @param due: In the time of C{seconds}; L{None} if no member is in its grace.
        """
        self.stop()
        if due is not None:
            self._call = self._clock.callLater(max(due - self._seconds(), 0.0), self._isDue)

    def stop(self) -> None:
        """
        Wait for nothing.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _isDue(self) -> None:
        self._call = None
        self._leave()
