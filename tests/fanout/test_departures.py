"""
Closing many readers, each at its own moment.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.departures import LEAST, Departures, spanFor


class SpanTests(SynchronousTestCase):
    """
    L{spanFor}.
    """

    def test_growsWithReaders(self) -> None:
        """
        The time is a second for each thousand readers, within its bounds.
        """
        self.assertEqual([spanFor(count, 10.0) for count in (0, 3, 2500)], [LEAST, LEAST, 2.5])
        self.assertEqual([spanFor(10**6, most) for most in (10.0, 0.0)], [10.0, LEAST])


class DepartureTests(SynchronousTestCase):
    """
    L{Departures}.
    """

    def setUp(self) -> None:
        """
        Note which readers are closed.
        """
        self.clock = Clock()
        self.closed: list[int] = []

    def depart(self, count: int, span: float) -> Departures:
        """
        Make the departures of some readers.
        """
        return Departures(range(count), self.closed.append, span, self.clock)

    def test_closesEvenly(self) -> None:
        """
        Readers are closed in random order, evenly over the time.
        """
        done = self.depart(1000, 2.0).start()
        for tenth in range(1, 10):
            self.clock.pump([0.01] * 20)
            self.assertAlmostEqual(len(self.closed), tenth * 100, delta=10)
        self.assertNoResult(done)
        self.clock.pump([0.01] * 21)
        self.successResultOf(done)
        self.assertEqual(sorted(self.closed), list(range(1000)))
        self.assertNotEqual(self.closed, sorted(self.closed))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closesAllInTimeOnSlowMachine(self) -> None:
        """
        All are closed at the end of the time, though there was no turn before.
        """
        done = self.depart(50, 1.0).start()
        self.assertEqual(self.closed, [])
        self.clock.advance(1.0)
        self.successResultOf(done)
        self.assertEqual(len(self.closed), 50)

    def test_withoutReaders(self) -> None:
        """
        Without readers it is done at once.
        """
        self.successResultOf(self.depart(0, 1.0).start())

    def test_cancelled(self) -> None:
        """
        Once cancelled, it closes no more, and leaves no timer.
        """
        done = self.depart(50, 1.0).start()
        self.clock.advance(0.5)
        done.addErrback(lambda _: None)
        done.cancel()
        count = len(self.closed)
        self.assertTrue(0 < count < 50)
        self.assertEqual(self.clock.getDelayedCalls(), [])
