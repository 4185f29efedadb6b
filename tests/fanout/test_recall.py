"""
Tests for L{comet.fanout.recall}.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.historypage import PageBefore
from comet.fanout.recall import Recall
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import HistoryPage


class RecallTests(SynchronousTestCase):
    """
    L{Recall}.
    """

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        lists(integers(1, 9), max_size=20),
        integers(1, 25),
        integers(1, 60),
        integers(1, 5),
        integers(1, 20),
    )
    def test_sameAsWhole(
        self, sizes: list[int], limit: int, maxBytes: int, part: int, partBytes: int
    ) -> None:
        """
        A page that a bus gives in parts is the page that it would give at once.
        """
        held = [
            Message("a", "e", number + 1, 0.0, b"1" * size) for number, size in enumerate(sizes)
        ]

        def page(before: Cursor | None, limit: int, maxBytes: int) -> HistoryPage:
            found = PageBefore(limit, maxBytes)
            older = held if before is None else held[: before.position - 1]
            found.fill(reversed(older))
            return found.ended(0, before)

        def ask(before: Cursor | None, limit: int, maxBytes: int) -> Deferred[HistoryPage]:
            given = page(before, min(limit, part), min(maxBytes, partBytes))
            count = len(given.messages)
            isCutByBytes = count < min(limit, part)
            isPart = maxBytes > partBytes if isCutByBytes else limit > part
            return succeed(HistoryPage(given.messages, given.more, False, given.more and isPart))

        whole = page(None, limit, maxBytes)
        recalled = self.successResultOf(Recall(ask, limit, maxBytes).read(None))
        self.assertEqual((list(recalled.messages), recalled.more), (whole.messages, whole.more))
        self.assertFalse(recalled.isPart)
