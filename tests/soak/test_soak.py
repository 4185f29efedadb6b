"""
Nothing is left of clients that have come and gone.

The command goes on for as long as it is let, and looks at the memory, too.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.edge.clients import StreamClient
from tests.soak.run import Figures, Soak, grown, left

# For how long clients come and go on each edge, in seconds.
_SECONDS: Final = 4.0


class SoakTests(SynchronousTestCase):
    """
    A short soak.
    """

    # All that is left is told.
    maxDiff = None

    def assertNothingLeft(self, bus: str, edge: str) -> None:
        """
        Check that the server holds as much after all clients have left as before.
        """
        soak = Soak(bus, edge, 1)
        self.addCleanup(soak.stop)
        idle = soak.figures()
        soak.load(_SECONDS)
        after = soak.settled(idle)
        soak.checkLog()
        self.assertEqual([*soak.faults, *left(idle, after)], [])
        self.assertGreater(soak.counts["events"], 0)
        self.assertGreater(soak.counts["published"], 0)

    def test_lean(self) -> None:
        """
        The lean edge, with the memory bus.
        """
        self.assertNothingLeft("memory", "lean")

    def test_sqlite(self) -> None:
        """
        Twisted's edge, with SQLite.
        """
        self.assertNothingLeft("sqlite", "twisted")

    def test_redis(self) -> None:
        """
        The lean edge, with Redis.
        """
        self.assertNothingLeft("redis", "lean")

    def test_readersAreSeen(self) -> None:
        """
        Readers that have not left are seen: their connections, groups and files.
        """
        soak = Soak("memory", "lean", 1)
        self.addCleanup(soak.stop)
        idle = soak.figures()
        readers = [StreamClient(soak.server.site) for _ in range(10)]
        for reader in readers:
            reader.open(["load/a"])
        found = left(idle, soak.figures())
        for reader in readers:
            reader.close()
        self.assertEqual(
            found[-1], f"open files: {idle.descriptors} before, {idle.descriptors + 10} after"
        )
        self.assertIn("StreamConnection", " ".join(found))


class VerdictTests(SynchronousTestCase):
    """
    What counts as left, and as grown.
    """

    before = Figures(100 * 2**20, 20, Counter({"a": 3}))

    def test_same(self) -> None:
        """
        Equal figures are no fault, and neither is what one client between two requests
        holds.
        """
        after = evolve(self.before, descriptors=22, counts=Counter({"a": 5, "b": 2}))
        self.assertEqual(left(self.before, after), [])
        self.assertEqual(grown(self.before, after), [])

    def test_objects(self) -> None:
        """
        Objects that are left are told by their class, also those of a new one.
        """
        after = evolve(self.before, counts=Counter({"a": 100, "b": 5}))
        self.assertEqual(
            left(self.before, after), ["a: 3 before, 100 after", "b: 0 before, 5 after"]
        )

    def test_descriptors(self) -> None:
        """
        Open files count, too.
        """
        after = evolve(self.before, descriptors=30)
        self.assertEqual(left(self.before, after), ["open files: 20 before, 30 after"])

    def test_memory(self) -> None:
        """
        Memory may grow by a tenth and some MiB, and no more.
        """
        self.assertEqual(grown(self.before, evolve(self.before, memory=118 * 2**20)), [])
        self.assertEqual(
            grown(self.before, evolve(self.before, memory=119 * 2**20)),
            ["memory: 100.0 MiB before, 119.0 after"],
        )
