"""
The command with the SQLite bus.
"""

from __future__ import annotations

from tests.faults.case import FaultsTestCase


class SQLiteTests(FaultsTestCase):
    """
    One server that keeps everything.
    """

    def test_faults(self) -> None:
        """
        After 60 faults every message that was answered has reached every
        reader once, in order, and none was told of a gap.
        """
        output = self.assertNothingFound("--bus", "sqlite", faults=60, seconds=70)
        self.assertEqual(self.count(output, "gaps"), 0, output)
        self.assertGreater(self.count(output, "kill"), 0, output)

    def test_ordinaryEdge(self) -> None:
        """
        It is no different where Twisted serves all clients.
        """
        options = ("--bus", "sqlite", "--edge", "twisted")
        output = self.assertNothingFound(*options, faults=16, seconds=16)
        self.assertEqual(self.count(output, "gaps"), 0, output)
