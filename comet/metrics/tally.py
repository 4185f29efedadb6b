"""
What is counted of messages and readers, and how long it takes.

Hot paths add to these counts and do nothing else; what asks for them adds up,
names and encodes them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

# The upper bounds of the buckets, in seconds: from a write to sockets of the same
# machine to a bus that does not answer.
SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

# How many reasons of closed readers, or codes of errors, are told apart.  An
# application may make up some.
MAX_CODES: Final = 64

# What is counted for codes beyond these.
OTHER: Final = "other"


class Histogram:
    """
    How often values were how large.

    @ivar bounds: The upper bound of each bucket but the last, rising.  A value that is
        equal to a bound is in its bucket.

    @ivar counts: How many values are in each bucket; one more than bounds.

    @ivar total: The sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, count: int = 1) -> None:
        """
        Count a value.  One below 0 is counted as 0: two clocks may differ.

        @param count: How many times.
        """
        if value < 0.0:
            value = 0.0
        self.counts[bisect_left(self.bounds, value)] += count
        self.total += value * count

    @property
    def count(self) -> int:
        """
        How many values were counted.
        """
        return sum(self.counts)


class CodeCounts(dict[str, int]):
    """
    How often something had which code.
    """

    def add(self, code: str) -> None:
        """
        Count a code; one beyond L{MAX_CODES} as C{other}.
        """
        if code not in self and len(self) >= MAX_CODES:
            code = OTHER
        self[code] = self.get(code, 0) + 1


class Tally:
    """
    What passes through a hub.

    @ivar published: How many messages of clients were stored.

    @ivar delivered: How many messages were given to readers: one that ten readers get
        counts ten times.  What nodes send one another is not counted.

    @ivar gaps: How many times a reader was told that it has lost messages.

    @ivar interruptions: How many times the bus has said that messages may have been
        missed.

    @ivar refused: How many requests and commands were refused, by the code of the error.

    @ivar closed: How many readers the server has closed, by the code that their clients
        were told.

    @ivar publishing: How long it took from a request to publish until its answer, in
        seconds; also of those that were not stored.

    @ivar written: How long it took from the moment at which a message was stored until it
        was written to the readers of this node, in seconds of the clocks of bus and node.

    @ivar stored: How long the bus took to answer that something is stored, or not, in
        seconds.  What it answers at once is not counted.

    @ivar queried: The same for questions to the bus.

    @ivar lateness: How much later than asked for the reactor has called, in seconds.
    """

    __slots__ = (
        "closed",
        "delivered",
        "gaps",
        "interruptions",
        "lateness",
        "published",
        "publishing",
        "queried",
        "refused",
        "stored",
        "written",
    )

    def __init__(self) -> None:
        self.published = 0
        self.delivered = 0
        self.gaps = 0
        self.interruptions = 0
        self.refused = CodeCounts()
        self.closed = CodeCounts()
        self.publishing = Histogram()
        self.written = Histogram()
        self.stored = Histogram()
        self.queried = Histogram()
        self.lateness = Histogram()
