"""
Time for many: one timer that serves any number of things that wait.

A server with 100,000 readers has 100,000 heartbeats to think of.  A
C{callLater} for each would be kept sorted by the reactor and walked again and
again; here they lie in buckets, one for each moment, and only the next bucket
has a timer.
"""

from __future__ import annotations

import heapq
import math
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

NOT_SET = -1


class Timed(Protocol):
    """
    Something that waits: for at most one moment at a time.

    @ivar moment: Belongs to the wheel; begins as L{NOT_SET}.
    """

    moment: int

    def timedOut(self) -> None:
        """
        The moment has come.  It may be set again from within this call.
        """


class TimerWheel:
    """
    Calls L{Timed.timedOut} of each thing when its time has come, never early,
    and late by at most the resolution.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, resolution: float = 0.1) -> None:
        """
        @param resolution: The distance between two moments, in seconds.
        """
        self._clock = clock
        self._resolution = resolution
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._moments: list[int] = []
        self._waiting = 0
        self._call: IDelayedCall | None = None
        self._callMoment = 0
        # While buckets are being emptied: up to this moment.
        self._isTurning = False
        self._now = 0

    def __len__(self) -> int:
        """
        How many things wait.
        """
        return self._waiting

    def set(self, item: Timed, delay: float) -> None:
        """
        Let C{item} wait for C{delay} seconds from now, whatever it waited for.
        """
        if item.moment != NOT_SET:
            self.clear(item)
        moment = math.ceil((self._clock.seconds() + max(delay, 0.0)) / self._resolution)
        if self._isTurning:
            # Never into a bucket that is being emptied.
            moment = max(moment, self._now + 1)
        bucket = self._buckets.get(moment)
        if bucket is None:
            bucket = self._buckets[moment] = {}
            heapq.heappush(self._moments, moment)
        bucket[item] = None
        item.moment = moment
        self._waiting += 1
        if not self._isTurning and (self._call is None or moment < self._callMoment):
            self._schedule()

    def setBy(self, item: Timed, due: float) -> None:
        """
        Let C{item} wait until a time, in seconds of the reactor's clock, if it
        does not wait for an earlier one: to set anew what is called in any
        case, and can see then what is due, costs more than to call it early.
        """
        moment = item.moment
        if moment == NOT_SET or moment * self._resolution > due + self._resolution:
            self.set(item, due - self._clock.seconds())

    def clear(self, item: Timed) -> None:
        """
        Let C{item} wait no more.  Does nothing if it does not wait.
        """
        if item.moment == NOT_SET:
            return
        del self._buckets[item.moment][item]
        item.moment = NOT_SET
        self._waiting -= 1
        if not self._waiting and not self._isTurning:
            self._schedule()

    def _schedule(self) -> None:
        """
        Set the timer for the next bucket.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        while self._moments and not self._buckets[self._moments[0]]:
            del self._buckets[heapq.heappop(self._moments)]
        if self._moments:
            self._callMoment = self._moments[0]
            delay = self._callMoment * self._resolution - self._clock.seconds()
            self._call = self._clock.callLater(max(delay, 0.0), self._turned)

    def _turned(self) -> None:
        """
        Call everything whose moment has come.
        """
        self._call = None
        # The timer may come a hair before its moment, which is a rounded product.
        now = math.floor(self._clock.seconds() / self._resolution)
        self._now = max(now, self._callMoment)
        self._isTurning = True
        try:
            while self._moments and self._moments[0] <= self._now:
                self._empty(self._buckets[self._moments[0]])
                del self._buckets[heapq.heappop(self._moments)]
        finally:
            self._isTurning = False
            self._schedule()

    def _empty(self, bucket: dict[Timed, None]) -> None:
        while bucket:
            item, _ = bucket.popitem()
            item.moment = NOT_SET
            self._waiting -= 1
            try:
                item.timedOut()
            except Exception:
                self._log.failure("{item} failed when its time had come", item=item)
