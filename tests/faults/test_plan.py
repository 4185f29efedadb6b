"""
Tests for L{tests.faults.plan}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.plan import draw, kindsOf


class PlanTests(SynchronousTestCase):
    """
    Drawing faults.
    """

    def test_seed(self) -> None:
        """
        The same seed gives the same faults, another one others.
        """
        kinds = kindsOf("redis")
        self.assertEqual(draw(7, kinds, 3, 60, 50.0), draw(7, kinds, 3, 60, 50.0))
        self.assertNotEqual(draw(7, kinds, 3, 60, 50.0), draw(8, kinds, 3, 60, 50.0))

    def test_all(self) -> None:
        """
        There are as many as were asked for, of each kind at least one where
        there are enough, within the time, in order, at nodes that exist.
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
        Fewer than there are kinds may be drawn.
        """
        self.assertEqual(len(draw(1, kindsOf("redis"), 3, 4, 5.0)), 4)
