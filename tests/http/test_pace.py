"""
Tests of L{comet.http.pace}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.http.pace import BODY_TIME, LEAST_RATE, extended


class PaceTests(SynchronousTestCase):
    """
    L{extended}.
    """

    def last(self, size: int, every: float) -> float:
        """
        Send a part of a body every few seconds.

        @return: After how many seconds that is too late, or 1,000.
        """
        now, due = 0.0, BODY_TIME
        while now < 1000:
            now += every
            if now > due:
                return now
            due = extended(due, now, size)
        return now

    def test_keepsUpAtTheRate(self) -> None:
        """
        A body that comes at the least rate may take any time; one that is slower
        is late in proportion.
        """
        self.assertEqual(self.last(int(LEAST_RATE), 1.0), 1000)
        self.assertEqual(self.last(int(LEAST_RATE) * 30, 30.0), 1020)
        self.assertEqual(self.last(int(LEAST_RATE) // 2, 1.0), 2 * BODY_TIME)
        self.assertEqual(self.last(1, 1.0), BODY_TIME + 1)

    def test_keepsNoCredit(self) -> None:
        """
        What has come fast gives no time beyond that of a body that has just begun.
        """
        self.assertEqual(extended(70.0, 20.0, 10**9), 20.0 + BODY_TIME)
        self.assertEqual(extended(70.0, 20.0, 10**9, 5.0), 25.0)
