"""
The command with the Redis bus.
"""

from __future__ import annotations

from tests.faults.case import FaultsTestCase


class RedisTests(FaultsTestCase):
    """
    Three nodes, and a Redis that keeps what it said that it has.
    """

    def test_faults(self) -> None:
        """
        After 60 faults every message that was answered has reached every
        reader once, in order, and none was told of a gap.
        """
        output = self.assertNothingFound("--bus", "redis", faults=60, seconds=60)
        self.assertEqual(self.count(output, "gaps"), 0, output)
        self.assertGreater(self.count(output, "kill engine"), 0, output)

    def test_lossy(self) -> None:
        """
        Where Redis keeps nothing, and is killed, readers are told of each gap,
        and nothing comes twice or out of order within an epoch.
        """
        output = self.assertNothingFound("--bus", "redis", "--lossy", faults=26, seconds=26)
        self.assertGreater(self.count(output, "gaps"), 0, output)

    def test_ordinaryEdge(self) -> None:
        """
        It is no different where Twisted serves all clients.
        """
        options = ("--bus", "redis", "--edge", "twisted")
        output = self.assertNothingFound(*options, faults=16, seconds=16)
        self.assertEqual(self.count(output, "gaps"), 0, output)
