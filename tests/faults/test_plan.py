"""
Tests for L{tests.faults.plan}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.plan import ABSENCE, draw, kindsOf


class PlanTests(SynchronousTestCase):
    """
    L{draw}.
    """

    def test_seed(self) -> None:
        """
        A seed determines the faults; another seed gives others.
        """
        kinds = kindsOf("redis")
        self.assertEqual(draw(7, kinds, 3, 60, 50.0), draw(7, kinds, 3, 60, 50.0))
        self.assertNotEqual(draw(7, kinds, 3, 60, 50.0), draw(8, kinds, 3, 60, 50.0))

    def test_all(self) -> None:
        """
        The plan has the given number of faults, in order and within the time, at
        existing nodes; and at least one of each kind, if there are enough.
        """
        for bus, nodes in (("sqlite", 1), ("redis", 3), ("memory", 1)):
            kinds = kindsOf(bus)
            faults = draw(1, kinds, nodes, 60, 50.0)
            self.assertEqual(len(faults), 60)
            self.assertEqual({fault.kind for fault in faults}, set(kinds))
            self.assertEqual(faults, sorted(faults))
            self.assertTrue(all(0 <= fault.at <= 50.0 for fault in faults))
            self.assertEqual({fault.node for fault in faults}, set(range(nodes)))

    def test_few(self) -> None:
        """
        A plan may have fewer faults than there are kinds.
        """
        self.assertEqual(len(draw(1, kindsOf("redis"), 3, 4, 5.0)), 4)

    def test_absences(self) -> None:
        """
        One of 60 faults is an absence, and no two nodes are absent at once: else nobody
        would be left to see it.
        """
        for seed in range(20):
            faults = draw(seed, kindsOf("redis"), 3, 300, 300.0)
            absences = [fault for fault in faults if fault.kind == ABSENCE]
            self.assertEqual(len(absences), 5)
            over = 0.0
            for fault in absences:
                self.assertGreaterEqual(fault.at, over)
                self.assertGreaterEqual(fault.seconds, 14)
                over = fault.at + fault.seconds
            self.assertLessEqual(over, 300)
        self.assertEqual([fault.at for fault in draw(1, [ABSENCE], 3, 1, 5.0)], [0])
