"""
Tests of L{comet.capacity}.
"""

from __future__ import annotations

import resource

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.capacity import PAUSE, Refusals, fullFrom, openFiles, readersWithin


class LimitTests(SynchronousTestCase):
    """
    What the limit of open files leaves.
    """

    def test_openFilesAsksTheSystem(self) -> None:
        """
        L{openFiles} returns the system's limits.
        """
        self.assertEqual(openFiles(), resource.getrlimit(resource.RLIMIT_NOFILE))

    def test_keepsSomeBack(self) -> None:
        """
        Readers leave 64 files, and all clients 16.  Where the limit is small, they
        leave a part of it.
        """
        for limit, readers, full in ((1024, 960, 1008), (100, 50, 84), (20, 10, 15)):
            self.assertEqual(readersWithin((limit, limit)), readers)
            self.assertEqual(fullFrom((limit, limit)), full)

    def test_withoutLimit(self) -> None:
        """
        Without a limit there are as many readers and connections as there may be.
        """
        for files in (None, (-1, -1)):
            self.assertEqual(readersWithin(files), 0)
            self.assertGreater(fullFrom(files), 1 << 32)


class RefusalTests(SynchronousTestCase):
    """
    L{Refusals}.
    """

    def test_logsOnceAMinute(self) -> None:
        """
        The first refusal is logged at once, and then the count of all that came
        within a minute in one line.
        """
        lines: list[int] = []
        clock = Clock()
        refusals = Refusals(clock.seconds)
        self.patch(
            Refusals,
            "_log",
            type("Log", (), {"warn": lambda _, text, count, reason: lines.append(count)})(),
        )
        for _ in range(100):
            refusals.add("of a test")
        self.assertEqual(lines, [1])
        clock.advance(PAUSE)
        refusals.add("of a test")
        self.assertEqual(lines, [1, 100])
        refusals.add("of a test")
        self.assertEqual(lines, [1, 100])
        self.assertEqual(clock.getDelayedCalls(), [])
