"""
How late the reactor is: what one turn takes, all others wait for.
"""

from __future__ import annotations

from typing import Final

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from comet.metrics.tally import Histogram

# How often it is measured, in seconds.
INTERVAL: Final = 0.25


class LatenessService(Service):
    """
    Asks the reactor to call again and again, and counts how much later it does.
    """

    def __init__(self, clock: IReactorTime, lateness: Histogram) -> None:
        """
        @param lateness: Counts it, in seconds.
        """
        self._clock = clock
        self._lateness = lateness
        self._due = 0.0
        self._call: IDelayedCall | None = None

    def startService(self) -> None:
        """
        Begin to measure.
        """
        super().startService()
        self._later()

    def _later(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._call = self._clock.callLater(INTERVAL, self._measure)

    def _measure(self) -> None:
        self._lateness.add(self._clock.seconds() - self._due)
        self._later()

    def stopService(self) -> None:
        """
        Measure no more.
        """
        super().stopService()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
