"""
Tests for L{comet.bus.sqlite}: rows that another program has written, and who
may read the files.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from comet.bus.sqlite.snapshot import Snapshot
from comet.bus.sqlite.store import Store
from comet.errors import Unavailable
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.testing.case import positionsOf
from tests.bus.sqlite.case import StoreTestCase, carefree, publication

HOSTILE: list[tuple[str, Any]] = [
    ("payload", b'"</script>"'),
    ("payload", b"1\n2"),
    ("payload", "1"),
    ("event", "a\rb"),
    ("encoding", "gzip"),
    ("time", 1e300),
]


class ForeignRowTests(StoreTestCase):
    """
    What another program writes into the database.
    """

    def edit(self, statement: str, *values: object) -> None:
        """
        Change the database from outside.
        """
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def test_foreignMessages(self) -> None:
        """
        A message that comet cannot have written is left out.  The others are
        read, by name and by pattern.
        """
        for field, value in HOSTILE:
            store = self.openStore(path=None)
            _, bad, good = self.put(store, "a a a")
            self.edit(f"UPDATE messages SET {field} = ? WHERE position = ?", value, bad)
            self.edit("UPDATE messages SET event = CAST(X'ff' AS TEXT) WHERE position < ?", bad)
            for names in ("a", "*"):
                result = self.read(self.openReader(), names, Cursor(store.end.epoch, 0))
                self.assertEqual(positionsOf(result.messages)[-1:], [good], value)
                self.assertNotIn(bad, positionsOf(result.messages))
            store.close()

    def test_foreignMessagesBefore(self) -> None:
        """
        They are left out of what is read before a cursor, too, also where they are
        more than one step looks at.
        """
        self.patch(Snapshot, "examined", 2)
        store = self.openStore()
        positions = self.put(store, "a " * 9)
        self.edit("UPDATE messages SET encoding = 'gzip' WHERE position BETWEEN 4 AND 8")
        for limit, found in ((1, [9]), (2, [3, 9]), (4, [1, 2, 3, 9])):
            steps = self.openReader().recalling("a", None, limit, 10**6, self.now)
            pages = [page for page in steps if page is not None]
            self.assertEqual(positionsOf(pages[0].messages), found)
            self.assertEqual(pages[0].more, len(found) < 4)
        self.assertEqual(len(positions), 9)

    def test_foreignChannel(self) -> None:
        """
        A channel whose name no client could give is left out of patterns.
        """
        store = self.openStore()
        a, _, c = self.put(store, "a b c")
        self.edit("UPDATE channels SET name = ? WHERE name = 'b'", "b\nb")
        result = self.read(self.openReader(), "*", Cursor(store.end.epoch, 0))
        self.assertEqual(positionsOf(result.messages), [a, c])

    def test_foreignChannelHoldsNothing(self) -> None:
        """
        Channels with names that no client could give, or that are no text, are
        kept no longer than until they come up, and the log tells of them.  The
        others go on.
        """
        lines: list[str] = []

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        asked = []

        def retention(channel: str) -> Retention:
            asked.append(channel)
            return Retention(seconds=60.0)

        store = Store(self.path, retention, 10**6, carefree)
        store.open()
        self.put(store, "a b c d e")
        for name, value in (("b", "b\nb"), ("c", b"c"), ("d", "")):
            self.edit("UPDATE channels SET name = ? WHERE name = ?", value, name)
        store.close()
        store = Store(self.path, retention, 10**6, carefree)
        store.open()
        self.addCleanup(store.close)
        self.sweepAll(store)
        with closing(sqlite3.connect(self.path)) as connection:
            held = connection.execute("SELECT position FROM messages").fetchall()
        self.assertEqual(held, [(1,), (5,)])
        self.assertEqual(set(asked), set("abcde"))
        self.assertTrue(any("comet cannot have written" in line for line in lines), lines)
        self.now += 61
        self.sweepAll(store)
        self.put(store, "b c")
        self.assertEqual(self.held(self.openReader(), "*"), [6, 7])

    def test_messagesWithoutChannel(self) -> None:
        """
        A message whose channel has no row is dropped when the total is too large, with
        the others that are as old; and a time that is no number is very old.
        """
        store = self.openStore(totalBytes=4000)
        self.put(store, "a b c", b"1" * 500)
        self.edit("DELETE FROM channels WHERE name = 'b'")
        self.edit("UPDATE messages SET time = 'x' WHERE position = 3")
        self.put(store, "d d d d d d", b"1" * 500)
        self.sweepAll(store)
        with closing(sqlite3.connect(self.path)) as connection:
            held = connection.execute("SELECT position FROM messages").fetchall()
        self.assertEqual([each for each in held if each <= (3,)], [])
        self.assertEqual(self.put(store, "e"), [10])

    def test_foreignChannelWithFloor(self) -> None:
        """
        Such a channel that has lost messages is left out of the gaps of patterns
        as well, be their channels few or many.
        """
        store = self.openStore(Retention(messages=1))
        lost, _, _, _ = self.put(store, "a a b b")
        self.edit("UPDATE channels SET name = ? WHERE name = 'b'", "b//b")
        for few in (400, 1):
            self.patch(Snapshot, "few", few)
            result = self.read(self.openReader(), "*", Cursor(store.end.epoch, 0))
            self.assertEqual(dict(result.gaps), {"*": lost})

    def test_foreignEpoch(self) -> None:
        """
        A log whose epoch could not stand in a cursor cannot be read, and gets
        a new epoch at the next start.
        """
        store = self.openStore()
        self.put(store, "a")
        self.edit("UPDATE log SET epoch = ?", "e\nx")
        self.assertRaises(sqlite3.DatabaseError, self.read, self.openReader(), "a", Cursor("e", 0))
        [outcome] = store.publish([[publication("a")]], self.now).outcomes
        self.assertIsInstance(outcome, Unavailable)
        store.close()
        self.assertTrue(self.openStore().end.epoch.isalnum())

    def test_foreignEnd(self) -> None:
        """
        A log whose end no position could follow can neither be read nor written: what
        it confirmed would be lost.  At the next start positions go on after those that
        are held.
        """
        for number, head in enumerate((2**63 - 1, 2**53, -5, 1.5, "x", b"x", 1e300)):
            with self.subTest(head=head):
                store = self.openStore()
                self.assertEqual(self.put(store, "a"), [number + 1])
                epoch = store.end.epoch
                self.edit("UPDATE log SET head = ?", head)
                with self.assertRaises(sqlite3.DatabaseError):
                    self.read(self.openReader(), "a", Cursor(epoch, 0))
                [outcome] = store.publish([[publication("a")]], self.now).outcomes
                self.assertIsInstance(outcome, Unavailable)
                store.close()
                store = self.openStore()
                self.assertNotEqual(store.end.epoch, epoch)
                self.assertEqual(store.end.position, number + 1)
                store.close()

    def test_foreignCounts(self) -> None:
        """
        A log with a count that is no number, or without its row, cannot be written.
        """
        for change in ("UPDATE log SET size = 'x'", "DELETE FROM log"):
            with self.subTest(change=change):
                store = self.openStore()
                self.edit(change)
                [outcome] = store.publish([[publication("a")]], self.now).outcomes
                self.assertIsInstance(outcome, Unavailable)
                store.close()
                self.edit("UPDATE log SET size = 0")

    def test_foreignPositionKeepsEpoch(self) -> None:
        """
        A message at a position that no log reaches is left out, and does not begin a
        new epoch at each start.
        """
        store = self.openStore()
        self.put(store, "a")
        epoch = store.end.epoch
        self.edit("INSERT INTO messages VALUES (?, 1, 0, NULL, NULL, '1')", 2**63 - 1)
        store.close()
        store = self.openStore()
        self.assertEqual(store.end, Cursor(epoch, 1))
        self.assertEqual(self.put(store, "a"), [2])

    def test_filesAreTheOwnersAlone(self) -> None:
        """
        The database and all files beside it can be read by their owner alone,
        also those that an earlier version has left to others.
        """
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        store = self.openStore()
        self.put(store, "a")
        self.assertModes(4)
        store.close()
        os.chmod(self.path, 0o644)
        self.put(self.openStore(), "a")
        self.assertModes(4)

    def assertModes(self, least: int) -> None:
        """
        Check the modes of the files.
        """
        folder = os.path.dirname(self.path)
        names = os.listdir(folder)
        self.assertGreaterEqual(len(names), least, names)
        for name in names:
            mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
            self.assertEqual(oct(mode), "0o600", name)
