"""
Tests of the command with the SQLite bus.
"""

from __future__ import annotations

from tests.faults.case import FaultsTestCase


class SQLiteTests(FaultsTestCase):
    """
    One server that keeps all messages in a file.
    """

    def test_faults(self) -> None:
        """
        After 60 faults every answered message has reached every reader once, in
        order, and no reader got a gap.
        """
        output = self.assertNothingFound("--bus", "sqlite", faults=60, seconds=70)
        self.assertEqual(self.count(output, "gaps"), 0, output)
        self.assertGreater(self.count(output, "kill"), 0, output)

    def test_ordinaryEdge(self) -> None:
        """
        On Twisted's edge every answered message has reached every reader once,
        in order, without a gap.
        """
        options = ("--bus", "sqlite", "--edge", "twisted")
        output = self.assertNothingFound(*options, faults=16, seconds=16)
        self.assertEqual(self.count(output, "gaps"), 0, output)
