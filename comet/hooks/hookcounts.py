"""
Counts of what the backend, or the application, was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from comet.http.outgoing import ASKED


class Outcome(Enum):
    """
    How a question ended.
    """

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class HookCount:
    """
    Counts the questions of one kind.

    @ivar asked: How many there were.

    @ivar refused: How many were refused.

    @ivar failed: How many got no answer, or none that is allowed.

    @ivar cancelled: How many were given up, since the client that they were about has
        left, say.

    @ivar underWay: How many wait for their answers now.

    @ivar waiting: How many wait for their turn now.

    @ivar seconds: For how long those waited, in all, that were not answered at once.
    """

    __slots__ = ("asked", "cancelled", "failed", "refused", "seconds", "underWay", "waiting")

    def __init__(self) -> None:
        self.asked = self.refused = self.failed = self.cancelled = 0
        self.underWay = self.waiting = 0
        self.seconds = 0.0

    @property
    def answered(self) -> int:
        """
        How many were answered, and not refused.
        """
        # Not counted on its own: to ask has to cost little.
        over = self.refused + self.failed + self.cancelled
        return self.asked - over - self.underWay - self.waiting

    def end(self, outcome: Outcome, seconds: float) -> None:
        """
        Count the end of a question that was not answered at once.

        @param seconds: How long it took.
        """
        self.seconds += seconds
        if outcome is Outcome.REFUSED:
            self.refused += 1
        elif outcome is Outcome.FAILED:
            self.failed += 1
        elif outcome is Outcome.CANCELLED:
            self.cancelled += 1

    def asDict(self) -> dict[str, int | float]:
        """
        Return the counts by their names.
        """
        return {
            "asked": self.asked,
            "answered": self.answered,
            "refused": self.refused,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "underWay": self.underWay,
            "waiting": self.waiting,
            "seconds": round(self.seconds, 3),
        }


class HookCounts:
    """
    Counts all questions.

    @ivar of: The counts of each kind, of L{ASKED}.
    """

    def __init__(self) -> None:
        self.of: Mapping[str, HookCount] = {kind: HookCount() for kind in ASKED}

    def asDict(self) -> dict[str, Any]:
        """
        Return the counts by kind.
        """
        return {kind: count.asDict() for kind, count in self.of.items()}
