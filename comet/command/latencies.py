"""
How long things took: their distribution, in little memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

# So many buckets for each factor e: a value is known within 1 %.
_FINENESS: Final = 100

# How many are kept as they are.
_MOST_ADDED: Final = 100_000


class Latencies:
    """
    Durations in nanoseconds, each known within 1 %, but for the longest, which is exact.
    """

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0
        self._longest = 0
        # Those that are in no bucket yet: to add one must cost next to nothing.
        self._added: list[int] = []

    def add(self, nanoseconds: Iterable[int]) -> None:
        """
        Add some.
        """
        self._added += nanoseconds
        if len(self._added) > _MOST_ADDED:
            self._sort()

    def _sort(self) -> None:
        """
        Put all into buckets.
        """
        added, self._added = self._added, []
        self._count += len(added)
        self._longest = max(self._longest, *added, 0)
        # A clock has steps: none took less than one of them.
        self._buckets.update(math.floor(math.log(max(n, 1)) * _FINENESS) for n in added)

    @property
    def count(self) -> int:
        """
        How many there are.
        """
        return self._count + len(self._added)

    @property
    def longest(self) -> int:
        """
        The longest; 0 if there is none.
        """
        self._sort()
        return self._longest

    def quantile(self, share: float) -> float:
        """
        Return the least duration that a share of all does not exceed; 0 if there is none.
        """
        self._sort()
        wanted = math.ceil(share * self._count)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(math.exp((bucket + 0.5) / _FINENESS), self._longest)
        return 0.0
