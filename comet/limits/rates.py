"""
So much in a second: token buckets.

A bucket that is full is not kept at all, so a quiet client costs nothing.  Of another
one only the moment is kept at which it will be full again (the generic cell rate
algorithm): a number for each client, which says by itself when it may be forgotten.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# How many buckets a table has at most that are not full.
MOST_BUCKETS: Final = 100_000

# From how many on those that have become full are looked for.
_FIRST_SWEEP: Final = 1024


class Rate:
    """
    How much may be done in a second, and at once.

    @ivar perSecond: How much in a second; more than 0.

    @ivar burst: How much at once; at least 1.
    """

    __slots__ = ("burst", "perSecond")

    def __init__(self, perSecond: float, burst: float) -> None:
        self.perSecond = perSecond
        self.burst = max(burst, 1.0)

    def take(self, full: float, now: float, count: float) -> float:
        """
        Take from a bucket.  A bucket that is full lets pass more than it holds, and is
        in debt then: else what is larger than the burst could never pass.

        @param full: When the bucket will be full, or became full; in seconds.

        @param now: The time of now.

        @param count: How much is to be taken.

        @return: When the bucket will be full then; or, if there is too little in it, a
            negative number: for how many seconds to wait.
        """
        lacking = max(full - now, 0.0)
        wait = lacking - (self.burst - min(count, self.burst)) / self.perSecond
        # Not by a rounding error, which a client that has waited would meet.
        if wait > 1e-6:
            return -wait
        return now + lacking + count / self.perSecond


class Buckets(Generic[K]):
    """
    The buckets of many clients, bounded in number: when there are too many, those
    are forgotten that are the nearest to being full.

    @ivar rate: The rate of all; may be changed.
    """

    def __init__(self, rate: Rate, most: int = MOST_BUCKETS) -> None:
        """
        @param most: How many buckets are kept at most.
        """
        self.rate = rate
        self._most = most
        self._full: dict[K, float] = {}
        self._sweepAt = min(_FIRST_SWEEP, most)

    def __len__(self) -> int:
        """
        Return how many buckets are kept.
        """
        return len(self._full)

    def lacks(self, key: K, now: float, count: float) -> float:
        """
        Return for how many seconds a client has to wait before it may take this much;
        0 if it may now.
        """
        return max(-self.rate.take(self._full.get(key, 0.0), now, count), 0.0)

    def take(self, key: K, now: float, count: float) -> float:
        """
        Take from the bucket of a client.

        @param now: The time of now, in seconds from any moment after 0.

        @return: For how many seconds the client has to wait; then nothing is taken.  0
            if it was taken.
        """
        taken = self.rate.take(self._full.get(key, 0.0), now, count)
        if taken < 0:
            return -taken
        self._full[key] = taken
        if len(self._full) > self._sweepAt:
            self._sweep(now)
        return 0.0

    def _sweep(self, now: float) -> None:
        """
        Forget the buckets that are full, and if they are still too many, half of
        what there may be: those that are the nearest to being full.
        """
        kept = {key: full for key, full in self._full.items() if full > now}
        if len(kept) > self._most:
            last = sorted(kept.items(), key=lambda item: item[1])[-(self._most // 2) :]
            kept = dict(last)
        self._full = kept
        # Each bucket is looked at a few times only, however many there are.
        self._sweepAt = min(max(2 * len(kept), _FIRST_SWEEP), self._most)
