"""
Tests of L{comet.metrics.tally}: histograms, and counts by code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import floats, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from comet.metrics.tally import MAX_CODES, SECONDS, CodeCounts, Histogram


class HistogramTests(SynchronousTestCase):
    """
    Values in buckets.
    """

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(lists(tuples(floats(-1, 100), integers(1, 5))))
    def test_eachInItsBucket(self, values: list[tuple[float, int]]) -> None:
        """
        Up to each bound, there are as many values as are not larger.
        """
        histogram = Histogram()
        for value, count in values:
            histogram.add(value, count)
        for place, bound in enumerate(SECONDS):
            within = sum(count for value, count in values if value <= bound)
            self.assertEqual(sum(histogram.counts[: place + 1]), within)
        self.assertEqual(histogram.count, sum(count for _, count in values))
        total = sum(max(value, 0.0) * count for value, count in values)
        self.assertAlmostEqual(histogram.total, total, 3)

    def test_boundsRise(self) -> None:
        """
        The bounds rise, as bisecting needs it.
        """
        self.assertEqual(sorted(set(SECONDS)), list(SECONDS))


class CodeCountsTests(SynchronousTestCase):
    """
    Counts by code.
    """

    def test_counts(self) -> None:
        """
        Each code is counted, and those beyond the bound as C{other}.
        """
        counts = CodeCounts()
        for number in range(MAX_CODES + 5):
            counts.add(f"code{number}")
        counts.add("code0")
        self.assertEqual(counts["code0"], 2)
        self.assertEqual(counts["other"], 5)
        self.assertEqual(len(counts), MAX_CODES + 1)
