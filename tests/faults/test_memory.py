"""
Tests of the command with the memory bus: links that break, and a log that is
lost.
"""

from __future__ import annotations

from tests.faults.case import FaultsTestCase


class MemoryTests(FaultsTestCase):
    """
    One server with a memory bus.
    """

    def test_links(self) -> None:
        """
        After any fault of the links of clients no message is lost, repeated or
        out of order.
        """
        for edge in ("lean", "twisted"):
            options = ("--bus", "memory", "--seed", "1", "--edge", edge)
            output = self.assertNothingFound(*options, faults=10, seconds=6)
            self.assertEqual(self.count(output, "gaps"), 0, output)

    def test_lossy(self) -> None:
        """
        If the log is lost, or holds only a part, readers get each gap.
        """
        options = ("--bus", "memory", "--lossy", "--history", "20", "--seed", "2")
        output = self.assertNothingFound(*options, faults=14, seconds=8)
        self.assertGreater(self.count(output, "gaps"), 0, output)

    def test_findsLostLog(self) -> None:
        """
        A log that loses messages it had to keep is found, and the report says
        where to look.
        """
        options = ("--bus", "memory", "--only", "kill", "--faults", "2", "--seed", "3")
        code, output = self.command(*options, seconds=3)
        self.assertEqual(code, 1, output)
        self.assertGreater(self.count(output, "gap"), 0, output)
        self.assertRegex(output, r"see /\S*comet-faults-\w+; again with --seed 3")
