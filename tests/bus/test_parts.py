"""
Tests for L{comet.bus.parts}.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.parts import PART_BYTES, PART_MESSAGES, isPart, partOf


def fitting(sizes: list[int], limit: int, maxBytes: int) -> int:
    """
    Count how many messages of these sizes are in a page.
    """
    size = 0
    for count, each in enumerate(sizes):
        size += each
        if count and (count == limit or size > maxBytes):
            return count
    return len(sizes)


class PartTests(SynchronousTestCase):
    """
    L{partOf} and L{isPart}.
    """

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        lists(integers(1, PART_BYTES * 2), min_size=1, max_size=20),
        integers(1, PART_MESSAGES * 2),
        integers(1, PART_BYTES * 4),
    )
    def test_large(self, sizes: list[int], limit: int, maxBytes: int) -> None:
        """
        A page that is cut is a part if the bytes were cut, and the caller allows more.
        """
        part = partOf(limit, maxBytes)
        self.assertLessEqual(part, (PART_MESSAGES, PART_BYTES))
        count = fitting(sizes, *part)
        if count < len(sizes):
            isCutByBytes = count < part[0]
            self.assertEqual(isPart(count, limit, maxBytes), isCutByBytes and maxBytes > PART_BYTES)

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(integers(1, PART_MESSAGES * 4), integers(1, PART_BYTES * 4))
    def test_many(self, limit: int, maxBytes: int) -> None:
        """
        A page with as many messages as a part may have is one if the caller allows more.
        """
        most, _ = partOf(limit, maxBytes)
        self.assertEqual(isPart(most, limit, maxBytes), limit > PART_MESSAGES)
