"""
The base of the tests of the SQLite bus.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from comet.bus.idempotency import KeyBudget
from comet.bus.sqlite.bus import SQLiteBus
from comet.bus.sqlite.lockfile import Connect
from comet.bus.sqlite.reader import LogReader
from comet.bus.sqlite.store import Store
from comet.interfaces.busabilities import Outcome
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Publication, Published
from comet.model.positions import ReadResult
from comet.testing.case import EPOCH_SECONDS, HOUR, BusCase, positionsOf

TOTAL = 268435456


class Carefree(sqlite3.Connection):
    """
    A connection that does not wait for the disk: for tests in which nothing
    crashes.
    """

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """
        Execute a statement, unless it makes SQLite wait for the disk.
        """
        if statement in ("PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"):
            statement = "PRAGMA synchronous = OFF"
        return super().execute(statement, *values)


carefree: Connect = partial(sqlite3.connect, factory=Carefree)


def publication(channels: str, payload: bytes = b"1", key: str | None = None) -> Publication:
    """
    Make a publication to some channels, which are named with spaces between.
    """
    return Publication(tuple(channels.split()), payload, publisher="me", key=key)


def threads() -> IReactorFromThreads:
    """
    Return the reactor in which the tests run.
    """
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    return reactor


class StoreTestCase(SynchronousTestCase):
    """
    Tests that need no reactor.

    @ivar path: The path of the database.

    @ivar now: The present time, in seconds since 1970.
    """

    def setUp(self) -> None:
        """
        Make a folder.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = str((folder / "comet.db").absolute())
        self.now = EPOCH_SECONDS

    def openStore(
        self,
        retention: Retention | None = None,
        totalBytes: int = TOTAL,
        connect: Connect = carefree,
        path: str | None = None,
    ) -> Store:
        """
        Open the database.
        """
        held = Retention() if retention is None else retention
        store = Store(path or self.path, lambda channel: held, totalBytes, connect)
        store.open()
        self.addCleanup(store.close)
        return store

    def openReader(self, retention: Retention | None = None) -> LogReader:
        """
        Open a reader of the database.
        """
        held = Retention() if retention is None else retention
        reader = LogReader(self.path, lambda channel: held, carefree)
        self.addCleanup(reader.close)
        return reader

    def publish(self, store: Store, *publications: Publication) -> Sequence[Published]:
        """
        Publish a batch, which has to succeed.
        """
        stored = store.publish([publications], self.now)
        return answersOf(stored.outcomes[0])

    def put(self, store: Store, channels: str, payload: bytes = b"1") -> list[int]:
        """
        Publish a message to each of these channels, in one batch.
        """
        batch = [publication(channel, payload) for channel in channels.split()]
        return [answer.cursor.position for answer in self.publish(store, *batch)]

    def read(self, reader: LogReader, names: str, after: Cursor | None = None) -> ReadResult:
        """
        Read everything that is held.
        """
        if after is None:
            end = reader.resolve({}, self.now).end
            after = Cursor(end.epoch, 0)
        return reader.read(names.split(), after, 100000, 10**9, None, self.now)

    def held(self, reader: LogReader, names: str) -> list[int]:
        """
        Return the positions of the messages that are held.
        """
        page = self.read(reader, names)
        found = positionsOf(page.messages)
        while page.more:
            page = self.read(reader, names, page.reached)
            found += positionsOf(page.messages)
        return found

    def sweepAll(self, store: Store) -> int:
        """
        Sweep until there is nothing more to drop.

        @return: The number of sweeps.
        """
        count = 1
        while store.sweep(self.now):
            count += 1
            self.assertLess(count, 1000)
        return count


def answersOf(outcome: Outcome) -> Sequence[Published]:
    """
    Return the answers to a request that succeeded.
    """
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class SQLiteCase(BusCase, TestCase):
    """
    Tests of a L{SQLiteBus} with its threads.

    @ivar clock: The time of the bus and of its messages.
    """

    timeout = 60

    connect: Connect = staticmethod(carefree)

    def setUp(self) -> None:
        """
        Make a clock, and a folder.
        """
        self.clock = Clock()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.made = 0

    def newBus(
        self,
        path: str,
        retention: Retention | None = None,
        totalBytes: int = TOTAL,
        keyBudget: KeyBudget | None = None,
    ) -> SQLiteBus:
        """
        Make a bus by the clock.
        """
        held = Retention() if retention is None else retention
        return SQLiteBus(
            path,
            self.clock,
            threads(),
            lambda channel: held,
            totalBytes,
            lambda: EPOCH_SECONDS + self.clock.seconds(),
            self.connect,
            keyBudget,
        )

    async def makeBus(
        self,
        messages: int = 1000,
        seconds: float = HOUR,
        bytes: int = 1048576,
        totalBytes: int = TOTAL,
        keyBudget: KeyBudget | None = None,
    ) -> SQLiteBus:
        """
        Make a bus with a file of its own.
        """
        self.made += 1
        path = str(self.folder / f"{self.made}.db")
        bus = self.newBus(path, Retention(messages, seconds, bytes), totalBytes, keyBudget)
        await bus.start()
        self.addCleanup(self.stop, bus)
        return bus

    async def stop(self, bus: SQLiteBus) -> None:
        """
        Assert that a stopped bus leaves nothing on the clock.
        """
        await bus.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
