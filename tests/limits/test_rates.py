"""
Tests of L{comet.limits.rates}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.limits.rates import Buckets, Rate

# Times between requests, and how much each takes.
_REQUESTS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 30)), max_size=60)


class RateTests(SynchronousTestCase):
    """
    One bucket.
    """

    @settings(deadline=None)
    @given(st.floats(0.1, 1000), st.floats(1, 50), _REQUESTS)
    def test_agreesWithBucket(
        self, perSecond: float, burst: float, requests: list[tuple[float, int]]
    ) -> None:
        """
        What passes is what passes with a bucket whose content is counted.
        """
        rate = Rate(perSecond, burst)
        now, full, content = 1000.0, 0.0, burst
        for pause, count in requests:
            now += pause
            content = min(burst, content + pause * perSecond)
            taken = rate.take(full, now, count)
            needed = min(count, burst)
            if abs(content - needed) < 1e-3:
                # Too near to say.
                content = burst - max(full - now, 0) * perSecond
                passes = taken >= 0
            else:
                passes = content >= needed
            self.assertEqual(taken >= 0, passes, (now, full, content, count))
            if passes:
                full, content = taken, content - count
            else:
                self.assertAlmostEqual(-taken, (needed - content) / perSecond, 2)

    @settings(deadline=None)
    @given(st.floats(0.001, 1e6), st.floats(0, 50), st.integers(1, 1000))
    def test_passesAfterWait(self, perSecond: float, burst: float, count: int) -> None:
        """
        A client that waits for as long as it is told passes.
        """
        rate = Rate(perSecond, burst)
        full, now = 0.0, 5.0
        for _ in range(3):
            taken = rate.take(full, now, count)
            if taken < 0:
                now -= taken
                taken = rate.take(full, now, count)
            self.assertGreaterEqual(taken, 0)
            full = taken

    def test_moreThanBurst(self) -> None:
        """
        What is more than the burst passes when the bucket is full, and makes the
        client wait for all of it.
        """
        rate = Rate(10, 10)
        full = rate.take(0, 100, 50)
        self.assertEqual(full, 105)
        self.assertEqual(rate.take(full, 100, 1), -4.1)
        self.assertEqual(rate.take(full, 104.5, 50), -0.5)


class BucketsTests(SynchronousTestCase):
    """
    The buckets of many clients.
    """

    def test_eachHasOwn(self) -> None:
        """
        A client that has taken too much keeps no other from taking; what is asked
        and not taken counts for nothing.
        """
        buckets: Buckets[str] = Buckets(Rate(1, 2))
        self.assertEqual([buckets.take("a", 10, 1) for _ in range(3)], [0, 0, 1])
        self.assertEqual(buckets.lacks("b", 10, 1), 0)
        self.assertEqual(buckets.lacks("a", 10.25, 1), 0.75)
        self.assertEqual([buckets.take("b", 10, 1) for _ in range(3)], [0, 0, 1])
        self.assertEqual(buckets.take("a", 11, 1), 0)

    def test_forgetsFullOnes(self) -> None:
        """
        Clients that were quiet for long enough take no place, however many come.
        """
        buckets: Buckets[int] = Buckets(Rate(1, 1))
        for number in range(20000):
            buckets.take(number, 10 + number / 10, 1)
            self.assertLess(len(buckets), 1026)

    def test_isBounded(self) -> None:
        """
        Of too many clients those are forgotten that have the least to wait: who has
        taken much stays limited, whatever others do.
        """
        buckets: Buckets[str] = Buckets(Rate(1, 1), 100)
        buckets.take("greedy", 10, 500)
        for number in range(1000):
            buckets.take(f"other{number}", 10, 1)
            self.assertLessEqual(len(buckets), 101)
        self.assertEqual(buckets.lacks("greedy", 10, 1), 500)
