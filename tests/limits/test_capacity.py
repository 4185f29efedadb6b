"""
Tests of L{comet.limits.capacity}.
"""

from __future__ import annotations

import resource

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import Unavailable
from comet.limits.capacity import (
    PAUSE,
    SMALL_PART,
    BodyCount,
    PartialCommands,
    Refusals,
    Uploads,
    fullFrom,
    openFiles,
    readersWithin,
)
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client


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


class UploadsTests(SynchronousTestCase):
    """
    L{Uploads}.
    """

    def setUp(self) -> None:
        """
        Make room for 1,000 bytes.
        """
        self.uploads = Uploads(1000, Refusals(Clock().seconds))

    def fill(self, *clients: Client) -> list[BodyCount]:
        """
        Have each client send many bodies, until every one of them is refused.
        """
        bodies = []
        for client in clients:
            for size in (100, 10, 1):
                for _ in range(20):
                    body = self.uploads.begin(client)
                    bodies.append(body)
                    try:
                        body.take(size)
                    except Unavailable:
                        self.assertRaises(Unavailable, body.check, size)
        return bodies

    def test_strangersLeaveRoom(self) -> None:
        """
        All clients without a name leave a half of the room, and those with one a
        quarter to the clients that may publish to every channel.
        """
        kept = []
        for client in (ANONYMOUS, Client("ada", False), Client("bob", False), KEY_HOLDER):
            self.fill(client)
            kept.append(self.uploads.kept)
        self.assertEqual(kept, [500, 750, 750, 1000])

    def test_holdersShutOutOthers(self) -> None:
        """
        The total is the same for all: what holders of the key have on its way is
        no longer there for others.
        """
        self.fill(KEY_HOLDER)
        self.assertRaises(Unavailable, self.uploads.begin(ANONYMOUS).take, 1)

    def test_takesLargeBodyAlone(self) -> None:
        """
        A body that is larger than the part of its client passes while no other
        such client sends one.
        """
        trusted, alone, other = map(self.uploads.begin, (KEY_HOLDER, ANONYMOUS, ANONYMOUS))
        trusted.take(50)
        alone.check(950)
        alone.take(600)
        self.assertRaises(Unavailable, other.take, 1)
        alone.take(350)
        self.assertRaises(Unavailable, alone.take, 1)

    def test_givesAllBack(self) -> None:
        """
        When all bodies are whole or given up there is room as before, and no name
        is remembered.
        """
        for body in self.fill(Client("ada", False), ANONYMOUS, KEY_HOLDER):
            body.end()
            body.end()
        self.assertEqual((self.uploads.kept, self.uploads._byName), (0, {}))
        self.uploads.begin(ANONYMOUS).check(1000)


class Command:
    """
    A command that notes that it was given up.
    """

    def __init__(self) -> None:
        self.isOver = False

    def crowdedOut(self) -> None:
        """
        Note it.
        """
        self.isOver = True


class PartialCommandTests(SynchronousTestCase):
    """
    L{PartialCommands}.
    """

    def setUp(self) -> None:
        """
        Make room for three commands.
        """
        refusals = Refusals(Clock().seconds)
        self.partial = PartialCommands(30_000, refusals)
        self.commands = [Command() for _ in range(5)]

    def test_countsWhatIsKept(self) -> None:
        """
        What is kept of a command replaces what was counted of it; small parts are
        not counted.
        """
        command = self.commands[0]
        for size, kept in ((SMALL_PART, 0), (5000, 5000), (9000, 9000), (0, 0), (7000, 7000)):
            self.partial.keep(command, size)
            self.assertEqual(self.partial.kept, kept)
        for _ in range(2):
            self.partial.forget(command)
            self.assertEqual(self.partial.kept, 0)

    def test_givesUpTheOldest(self) -> None:
        """
        As many are given up as make room, the oldest first, even if they have grown
        last.
        """
        small, *others = self.commands
        self.partial.keep(small, SMALL_PART)
        for size in (9000, 10_000):
            for command in others[:3]:
                self.partial.keep(command, size)
        self.assertEqual(self.partial.kept, 30_000)
        self.partial.keep(others[3], 11_000)
        self.assertEqual([one.isOver for one in self.commands], [False, True, True, False, False])
        self.assertEqual(self.partial.kept, 21_000)
