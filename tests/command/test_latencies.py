"""
Tests of L{comet.command.latencies}.
"""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import floats, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from comet.command import latencies
from comet.command.latencies import Latencies


class LatencyTests(SynchronousTestCase):
    """
    L{Latencies}.
    """

    def test_none(self) -> None:
        """
        Without any, all is 0.
        """
        found = Latencies()
        self.assertEqual((found.count, found.longest, found.quantile(0.5)), (0, 0, 0))

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(lists(integers(1, 10**13), min_size=1), floats(0.01, 1.0))
    def test_quantile(self, values: list[int], share: float) -> None:
        """
        A quantile is that of the sorted values, within 1 %.
        """
        found = Latencies()
        found.add(values)
        self.assertEqual((found.count, found.longest), (len(values), max(values)))
        exact = sorted(values)[math.ceil(share * len(values)) - 1]
        self.assertLessEqual(abs(found.quantile(share) - exact), exact * 0.0101)

    def test_least(self) -> None:
        """
        What took no time that the clock knows is one of the others.
        """
        found = Latencies()
        found.add([0])
        self.assertEqual((found.count, found.quantile(1.0)), (1, 0))

    def test_many(self) -> None:
        """
        Not all are kept, and all count.
        """
        self.patch(latencies, "_MOST_ADDED", 10)
        found = latencies.Latencies()
        for number in range(1, 101):
            found.add([number] * 3)
        self.assertLessEqual(len(found._added), 10)
        self.assertEqual((found.count, found.longest), (300, 100))
        self.assertLess(abs(found.quantile(0.5) - 50), 1)
