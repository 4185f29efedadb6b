"""
Tests of the command: with each bus, and on each edge.

All are in one module, so that no test of another one runs beside their runs, some
of which are begun before their test.
"""

from __future__ import annotations

from tests.faults.case import FaultsTestCase, runs


class MemoryTests(FaultsTestCase):
    """
    One server with a memory bus.
    """

    @runs("--bus", "memory", "--seed", "1", "--edge", "lean", faults=10, seconds=6)
    @runs("--bus", "memory", "--seed", "1", "--edge", "twisted", faults=10, seconds=6)
    def test_links(self) -> None:
        """
        After any fault of the links of clients no message is lost, repeated or
        out of order.
        """
        for output in self.assertNothingFound():
            self.assertEqual(self.count(output, "gaps"), 0, output)

    @runs("--bus", "memory", "--lossy", "--history", "20", "--seed", "2", faults=14, seconds=8)
    def test_lossy(self) -> None:
        """
        If the log is lost, or holds only a part, readers get each gap.
        """
        (output,) = self.assertNothingFound()
        self.assertGreater(self.count(output, "gaps"), 0, output)

    @runs("--bus", "memory", "--only", "kill", "--seed", "3", faults=2, seconds=3)
    def test_findsLostLog(self) -> None:
        """
        A log that loses messages it had to keep is found, and the report says
        where to look.
        """
        ((_, code, output),) = self.outcomes()
        self.assertEqual(code, 1, output)
        self.assertGreater(self.count(output, "gap"), 0, output)
        self.assertRegex(output, r"see /\S*comet-faults-\w+; again with --seed 3")


class SQLiteTests(FaultsTestCase):
    """
    One server that keeps all messages in a file.
    """

    @runs("--bus", "sqlite", faults=60, seconds=70)
    def test_faults(self) -> None:
        """
        After 60 faults every answered message has reached every reader once, in
        order, and no reader got a gap.
        """
        (output,) = self.assertNothingFound()
        self.assertEqual(self.count(output, "gaps"), 0, output)
        self.assertGreater(self.count(output, "kill"), 0, output)

    @runs("--bus", "sqlite", "--edge", "twisted", faults=16, seconds=16)
    def test_ordinaryEdge(self) -> None:
        """
        On Twisted's edge every answered message has reached every reader once,
        in order, without a gap.
        """
        (output,) = self.assertNothingFound()
        self.assertEqual(self.count(output, "gaps"), 0, output)


class RedisTests(FaultsTestCase):
    """
    Three nodes, and a Redis that keeps all answered writes.
    """

    @runs("--bus", "redis", faults=60, seconds=60)
    def test_faults(self) -> None:
        """
        After 60 faults every answered message has reached every reader once, in
        order, and no reader got a gap.
        """
        (output,) = self.assertNothingFound()
        self.assertEqual(self.count(output, "gaps"), 0, output)
        self.assertGreater(self.count(output, "kill engine"), 0, output)
        self.assertGreater(self.count(output, "stop long"), 0, output)
        self.assertGreater(self.count(output, "leave"), 0, output)

    @runs("--bus", "redis", "--lossy", faults=26, seconds=26)
    def test_lossy(self) -> None:
        """
        If Redis keeps nothing and is killed, readers get each gap, and no
        message is repeated or out of order within an epoch.
        """
        (output,) = self.assertNothingFound()
        self.assertGreater(self.count(output, "gaps"), 0, output)

    @runs("--bus", "redis", "--stale", faults=20, seconds=20)
    def test_stale(self) -> None:
        """
        If Redis comes back with what it had a while ago, the members that it has no
        proof of leave, and those that are there are right in the end.
        """
        (output,) = self.assertNothingFound()
        self.assertGreater(self.count(output, "kill engine"), 0, output)

    @runs("--bus", "redis", "--edge", "twisted", faults=16, seconds=16)
    def test_ordinaryEdge(self) -> None:
        """
        On Twisted's edge every answered message has reached every reader once,
        in order, without a gap.
        """
        (output,) = self.assertNothingFound()
        self.assertEqual(self.count(output, "gaps"), 0, output)
