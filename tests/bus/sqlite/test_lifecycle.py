"""
Tests for L{comet.bus.sqlite.bus}: how a bus starts and stops, and what it does
while its disk fails.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from comet.bus.sqlite.bus import SQLiteBus
from comet.bus.sqlite.sweeper import PAUSE_SECONDS, SWEEP_SECONDS
from comet.errors import CometError, Unavailable, Unknown
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.model.positions import Earliest, Now
from comet.model.presence import Holding
from comet.testing.case import Listener, positionsOf
from tests.bus.sqlite.case import publication
from tests.bus.sqlite.threadscase import ThreadsTestCase


class FaultTests(ThreadsTestCase):
    """
    A bus whose disk fails, and works again.
    """

    async def test_isUnavailableWhileDiskFails(self) -> None:
        """
        While nothing can be stored, the bus is not available, and logs that
        once.  It becomes available by itself.
        """
        bus = await self.makeBus()
        await bus.publish([publication("a")])
        self.faults.before["INSERT"] = "database or disk is full"
        self.faults.before["UPDATE"] = "database or disk is full"
        for _ in range(3):
            error = await self.failure(bus.publish([publication("b")]))
            self.assertIn("the disk is full", error.detail)
            self.assertFalse(bus.isAvailable)
        self.clock.advance(SWEEP_SECONDS)
        await bus.resolve({"a": Earliest()})
        self.faults.clear()
        await self.assertUntil(bus, isAvailable=True)
        await bus.publish([publication("b")])
        self.assertEqual(bus.end.position, 2)

    async def test_publishMakesAvailable(self) -> None:
        """
        A publication that is stored makes the bus available.
        """
        bus = await self.makeBus()
        self.faults.before["BEGIN IMMEDIATE"] = "database is locked"
        await self.assertFailure(bus.publish([publication("a")]), Unavailable)
        self.assertFalse(bus.isAvailable)
        self.faults.clear()
        await bus.publish([publication("a")])
        self.assertTrue(bus.isAvailable)

    async def test_failedSweepMakesUnavailable(self) -> None:
        """
        A sweep that fails makes the bus unavailable.
        """
        bus = await self.makeBus(seconds=60.0)
        await bus.publish([publication("a")])
        self.faults.before["DELETE"] = "disk I/O error"
        await self.assertUntil(bus, isAvailable=False, seconds=70.0)
        self.faults.clear()
        await self.assertUntil(bus, isAvailable=True)

    async def test_lockFileFails(self) -> None:
        """
        While the lock file cannot be written, what is stored in the database is
        confirmed, but the bus says that it is not well.  It is well again once
        the log end is noted.
        """
        for statement in ("UPDATE notes", "PRAGMA wal_checkpoint"):
            bus = await self.makeBus()
            self.faults.lockFile[statement] = "database or disk is full"
            for _ in range(2):
                await bus.publish([publication("a")])
                self.assertFalse(bus.isAvailable)
            self.clock.advance(SWEEP_SECONDS)
            await bus.forget("nothing")
            self.assertFalse(bus.isAvailable)
            self.faults.clear()
            await self.assertUntil(bus, isAvailable=True)
            await bus.stop()
            with closing(sqlite3.connect(f"{self.folder}/{self.made}.db-guard")) as guard:
                self.assertEqual(guard.execute("SELECT position FROM notes").fetchall(), [(2,)])

    async def test_lockFileFailsForMembers(self) -> None:
        """
        A change of members that is stored counts, and the bus says that it is not well
        as long as the lock file cannot be written.
        """
        bus = await self.makeBus()
        self.faults.lockFile["UPDATE notes"] = "database or disk is full"
        self.assertEqual(await bus.setPresence([Holding("a", "ada", 1, isTaken=True)]), [])
        self.assertFalse(bus.isAvailable)
        self.assertEqual((await bus.membersOf("a", None, 9)).count, 1)
        self.faults.clear()
        await self.assertUntil(bus, isAvailable=True)

    async def test_membersNotStored(self) -> None:
        """
        When a change of members cannot be stored, the bus says that it is not well.
        """
        bus = await self.makeBus()
        self.faults.before["COMMIT"] = "disk I/O error"
        failure = bus.setPresence([Holding("a", "ada", 1, isTaken=True)])
        await self.assertFailure(failure, Unavailable)
        self.assertFalse(bus.isAvailable)
        self.faults.clear()
        self.assertEqual((await bus.membersOf("a", None, 9)).count, 0)
        await self.assertUntil(bus, isAvailable=True)

    async def assertUntil(
        self, bus: SQLiteBus, isAvailable: bool, seconds: float = SWEEP_SECONDS
    ) -> None:
        """
        Advance the time until the bus is available, or is not.
        """
        for _ in range(100):
            self.clock.advance(seconds)
            # The thread has done everything that it was given before.
            await bus.forget("nothing").addErrback(lambda _: None)
            if bus.isAvailable is isAvailable:
                return
        self.fail("it does not change")

    async def test_interruptsWhenLostCommitIsFound(self) -> None:
        """
        When a commit of unknown outcome is found in the file, listeners are
        interrupted.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        self.faults.after["COMMIT"] = "disk I/O error"
        self.faults.before["SELECT head FROM"] = "disk I/O error"
        await self.assertFailure(bus.publish([publication("a")]), Unknown)
        self.faults.clear()
        await bus.publish([publication("a")])
        self.assertEqual((listener.interruptions, listener.heard), ([0], [2]))
        reading = await bus.read(["a"], Cursor(bus.end.epoch, 0), 10, 1000, None)
        self.assertEqual(positionsOf(reading.messages), [1, 2])

    async def test_readFailsWhileDiskFails(self) -> None:
        """
        A read fails as unavailable while the database cannot be read, and
        succeeds afterwards.
        """
        bus = await self.makeBus()
        await bus.publish([publication("a")])
        start = Cursor(bus.end.epoch, 0)
        self.faults.before["SELECT epoch"] = "disk I/O error"
        for _ in range(2):
            asked = bus.read(["a"], start, 10, 1000, None)
            error = await self.failure(asked)
            self.assertIn("cannot be read", error.detail)
            await self.assertFailure(bus.resolve({"a": Earliest()}), Unavailable)
        self.faults.clear()
        reading = await bus.read(["a"], start, 10, 1000, None)
        self.assertEqual(positionsOf(reading.messages), [1])


class LifeTests(ThreadsTestCase):
    """
    How a bus starts and stops.
    """

    async def test_keepsLogAcrossRestart(self) -> None:
        """
        Messages that were published before a bus stopped are there after the
        next start, in the same epoch.  A key gets its first answer again.
        """
        path = str(self.folder / "comet.db")
        bus = self.newBus(path)
        await bus.start()
        asked = publication("b a", key="k")
        [answer] = await bus.publish([asked])
        await bus.stop()
        again = self.newBus(path)
        await again.start()
        self.addCleanup(self.stop, again)
        self.assertEqual(again.end, answer.cursor)
        self.assertEqual(await again.publish([asked]), [answer])
        reading = await again.read(["*"], Cursor(answer.epoch, 0), 10, 1000, None)
        self.assertEqual(positionsOf(reading.messages), [1, 2])

    async def test_warnsOfNewEpoch(self) -> None:
        """
        A new epoch is a warning in the log, with its reason; the first epoch of
        a new database is no warning.
        """
        path = str(self.folder / "comet.db")
        levels = []
        lines: list[LogEvent] = []
        observer = cast(ILogObserver, lines.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for _ in range(3):
            bus = self.newBus(path)
            await bus.start()
            await bus.publish([publication("a")])
            await bus.stop()
            levels.append(
                [(each["log_level"].name, each["reason"]) for each in lines if "reason" in each]
            )
            lines.clear()
            if len(levels) == 2:
                Path(path + "-guard").unlink()
        self.assertEqual(levels[:2], [[("info", "the database is new")], []])
        [(level, reason)] = levels[2]
        self.assertEqual(level, "warn")
        self.assertIn("proves that nothing is lost", reason)

    async def test_stopFinishesWork(self) -> None:
        """
        Work that is under way when a bus is stopped is finished and answered.
        Later calls are refused.
        """
        bus = self.newBus(str(self.folder / "comet.db"))
        await bus.start()
        event = self.hold("COMMIT")
        start = Cursor(bus.end.epoch, 0)
        first = self.publishAll(bus, 1)
        await self.awaitHeld()
        second = self.publishAll(bus, 3)
        forgotten = bus.forget("a")
        stopped = bus.stop()
        self.assertFalse(bus.isAvailable)
        await self.assertFailure(bus.publish([publication("a")]), Unavailable)
        await self.assertFailure(bus.forget("a"), Unavailable)
        await self.assertFailure(bus.resolve({"a": Now()}), Unavailable)
        await self.assertFailure(bus.read(["a"], start, 1, 1, None), Unavailable)
        self.assertNoResult(stopped)
        event.set()
        await first
        await second
        await forgotten
        await stopped
        self.assertEqual([each.name for each in self.folder.iterdir() if "-wal" in each.name], [])

    async def test_startFails(self) -> None:
        """
        A bus that cannot start says why, and can be stopped.
        """
        bus = self.newBus(str(self.folder / "no" / "comet.db"))
        error = await self.failure(bus.start(), CometError)
        self.assertIn("there is no folder", error.detail)
        self.assertFalse(bus.isAvailable)
        await self.assertFailure(bus.publish([publication("a")]), Unavailable)
        await bus.stop()

    async def test_secondBusDoesNotStart(self) -> None:
        """
        A second bus does not start on the same file.
        """
        path = str(self.folder / "comet.db")
        first, second = self.newBus(path), self.newBus(path)
        await first.start()
        self.addCleanup(self.stop, first)
        error = await self.failure(second.start(), CometError)
        self.assertIn("another server", error.detail)
        await second.stop()
        await first.publish([publication("a")])

    async def test_stopsBeforeStarted(self) -> None:
        """
        A bus can be stopped before it has started.
        """
        path = str(self.folder / "comet.db")
        await self.newBus(path).stop()
        self.assertFalse(Path(path).exists())
        bus = self.newBus(path)
        started = bus.start()
        await bus.stop()
        self.assertFalse(bus.isAvailable)
        started.addErrback(lambda _: None).cancel()
        again = self.newBus(path)
        opening = again.start()
        event = self.hold("PRAGMA journal_mode")
        await self.awaitHeld()
        stopped = again.stop()
        event.set()
        await opening
        await stopped
        self.assertEqual((again.isAvailable, self.clock.getDelayedCalls()), (False, []))

    async def test_sweepsByItself(self) -> None:
        """
        Messages that are too old are dropped without a call.
        """
        bus = self.newBus(str(self.folder / "comet.db"), Retention(seconds=60.0))
        await bus.start()
        self.addCleanup(self.stop, bus)
        await bus.publish([Publication(("a",), b"1")] * 3000)
        for _ in range(10):
            self.clock.advance(PAUSE_SECONDS)
            await bus.forget("nothing")
        self.clock.advance(61)
        counts = []
        for _ in range(5):
            await bus.forget("nothing")
            found = await deferToThread(self.count)
            counts.append(found)
            self.clock.advance(PAUSE_SECONDS)
        self.assertEqual(counts[-1], 0)
        self.assertEqual(counts, sorted(counts, reverse=True))

    def count(self) -> int:
        """
        Return how many messages are in the database.
        """
        connection = self.connect(str(self.folder / "comet.db"))
        [count] = connection.execute("SELECT count(*) FROM messages").fetchone()
        connection.close()
        assert isinstance(count, int)
        return count
