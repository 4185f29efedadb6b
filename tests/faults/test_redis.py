"""
Tests of the command with the Redis bus.
"""

from __future__ import annotations

from tests.faults.case import FaultsTestCase


class RedisTests(FaultsTestCase):
    """
    Three nodes, and a Redis that keeps all answered writes.
    """

    def test_faults(self) -> None:
        """
        After 60 faults every answered message has reached every reader once, in
        order, and no reader got a gap.
        """
        output = self.assertNothingFound("--bus", "redis", faults=60, seconds=60)
        self.assertEqual(self.count(output, "gaps"), 0, output)
        self.assertGreater(self.count(output, "kill engine"), 0, output)

    def test_lossy(self) -> None:
        """
        If Redis keeps nothing and is killed, readers get each gap, and no
        message is repeated or out of order within an epoch.
        """
        output = self.assertNothingFound("--bus", "redis", "--lossy", faults=26, seconds=26)
        self.assertGreater(self.count(output, "gaps"), 0, output)

    def test_ordinaryEdge(self) -> None:
        """
        On Twisted's edge every answered message has reached every reader once,
        in order, without a gap.
        """
        options = ("--bus", "redis", "--edge", "twisted")
        output = self.assertNothingFound(*options, faults=16, seconds=16)
        self.assertEqual(self.count(output, "gaps"), 0, output)
