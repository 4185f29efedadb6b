"""
Tests for L{comet.bus.sqlite.store}: what publishers are told when the disk
fails, and what is then stored.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

from comet.bus.sqlite.errors import explain, reasonOf
from comet.bus.sqlite.store import Store, Stored
from comet.errors import Unavailable, Unknown
from comet.model.cursors import Cursor
from comet.model.log import Retention
from tests.bus.sqlite.case import StoreTestCase, answersOf, publication
from tests.bus.sqlite.faulty import Faults

IO_ERROR = "disk I/O error"
FULL = "database or disk is full"


class FaultTests(StoreTestCase):
    """
    What a store does when something goes wrong.
    """

    def setUp(self) -> None:
        """
        Open a database that can fail, with a message in it.
        """
        super().setUp()
        self.faults = Faults()
        self.store = self.openStore(connect=self.faults.connect)
        self.put(self.store, "a")

    def attempt(self, *calls: str) -> Stored:
        """
        Publish something to these channels, a call each, and once more when
        nothing goes wrong any more.
        """
        return self.store.publish([[publication(each)] for each in calls or ("a",)], self.now)

    def assertNothing(self, stored: Stored, *parts: str) -> None:
        """
        Assert that publishers were told that nothing is stored, and that it is
        so, also after a crash.
        """
        for outcome in stored.outcomes:
            assert isinstance(outcome, Unavailable)
            for part in ("nothing was stored", *parts):
                self.assertIn(part, outcome.detail)
        self.assertEqual((list(stored.messages), stored.end.position), ([], 1))
        self.assertIsNotNone(stored.fault)
        self.faults.clear()
        self.assertEqual(self.held(self.openReader(), "a b"), [1])
        after = self.attempt("b", "a")
        self.assertEqual([answersOf(each)[0].cursor.position for each in after.outcomes], [2, 3])
        self.assertEqual((after.isInterrupted, after.fault), (False, None))
        self.assertEqual(self.held(self.openReader(), "a b"), [1, 2, 3])

    def test_before(self) -> None:
        """
        When it cannot be begun, nothing is stored; the next time it is.
        """
        self.faults.before["BEGIN"] = "database is locked"
        self.assertNothing(self.attempt("a", "b"), "another program has locked")

    def test_within(self) -> None:
        """
        When it fails in the middle, nothing is stored; the next time it is.
        """
        for error, part in (
            (IO_ERROR, "cannot be read or written"),
            ("attempt to write a readonly database", "cannot be written to"),
            ("database disk image is malformed", "damaged"),
        ):
            self.setUp()
            self.faults.after["INSERT INTO channels"] = error
            self.assertNothing(self.attempt("a", "b"), part)

    def test_full(self) -> None:
        """
        When the disk is full, nothing is stored; when there is room again, it
        is.
        """
        connection = self.store._connection
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        large = [publication("a", b"x" * 100000)]
        stored = self.store.publish([large, large], self.now)
        connection.execute("PRAGMA max_page_count = 1000000")
        self.assertNothing(stored, "the disk is full")

    def test_commitRefused(self) -> None:
        """
        When the commit fails, and another one shows that the database can be
        written, nothing is stored for certain.
        """
        for error in (IO_ERROR, FULL, "database is locked"):
            self.setUp()
            self.faults.before["COMMIT"] = error
            self.assertNothing(self.attempt("a", "b"))

    def test_commitDone(self) -> None:
        """
        When the commit fails, but is found to be there, all is well.
        """
        self.faults.after["COMMIT"] = IO_ERROR
        stored = self.attempt("a", "b")
        self.assertEqual([answersOf(each)[0].cursor.position for each in stored.outcomes], [2, 3])
        self.assertEqual([message.position for message in stored.messages], [2, 3])
        self.faults.clear()
        self.assertEqual(self.held(self.openReader(), "a b"), [1, 2, 3])

    def test_commitUnknown(self) -> None:
        """
        When the commit fails, and nothing can be found out, that is what
        publishers are told.  If it is found later, listeners are told that
        they have missed something.
        """
        for isStored in (True, False):
            self.setUp()
            kind = self.faults.after if isStored else self.faults.before
            kind["COMMIT"] = IO_ERROR
            self.faults.before["SELECT head"] = IO_ERROR
            stored = self.attempt("a", "b")
            for outcome in stored.outcomes:
                assert isinstance(outcome, Unknown)
                self.assertIn("same key", outcome.detail)
            self.assertEqual((list(stored.messages), stored.end.position), ([], 1))
            self.assertIsNotNone(stored.fault)
            self.faults.clear()
            stored = self.attempt("b")
            self.assertEqual(stored.isInterrupted, isStored)
            self.assertEqual(stored.end.position, 4 if isStored else 2)

    def test_commitFull(self) -> None:
        """
        When there is no room to commit, nor to find out, nothing is stored: the
        end of a commit is written last.
        """
        self.faults.before["COMMIT"] = FULL
        self.faults.before["UPDATE log SET probes"] = FULL
        self.assertNothing(self.attempt("a", "b"), "the disk is full")

    def test_otherChanges(self) -> None:
        """
        What stores no messages is unavailable, whatever is known of it: to do
        it again does no harm.
        """
        changes: list[Callable[[Store], object]] = [
            lambda store: store.forget("a", None, self.now),
            lambda store: store.sweep(self.now + 10000),
            lambda store: store.renew(self.now),
        ]
        for change in changes:
            for probe in ("UPDATE log SET probes", "nothing"):
                self.setUp()
                self.faults.before.update({"COMMIT": IO_ERROR, probe: IO_ERROR})
                self.assertRaises(Unavailable, change, self.store)
                self.faults.clear()
                self.store.probe()
                self.assertEqual(self.held(self.openReader(), "a"), [1])
                change(self.store)

    def test_fault(self) -> None:
        """
        A fault that is not the database's is told as it is, and nothing is
        changed.
        """

        def retention(channel: str) -> Retention:
            raise ValueError("a fault")

        self.put(self.store, "c")
        self.store.close()
        store = Store(self.path, retention, 10**9, self.faults.connect)
        store.open()
        self.addCleanup(store.close)
        self.assertRaises(ValueError, store.forget, "c", None, self.now)
        stored = store.publish([[publication("a")]], self.now)
        self.assertIsInstance(stored.outcomes[0], ValueError)
        self.assertEqual((stored.fault, self.held(self.openReader(), "a c")), (None, [1, 2]))

    def test_probe(self) -> None:
        """
        A probe tells whether the database can be written.
        """
        self.store.probe()
        self.faults.before["UPDATE"] = FULL
        self.assertRaises(Unavailable, self.store.probe)

    def test_moved(self) -> None:
        """
        When the file is moved away, removed or replaced, nothing is stored: it
        would be lost.  When it is back, it is.
        """
        away = self.path + ".away"
        os.rename(self.path, away)
        stored = [self.attempt("a", "b")]
        with open(self.path, "wb"):
            stored.append(self.attempt("a"))
        os.rename(away, self.path)
        for each in stored:
            self.assertNothingOnce(each)
        self.assertNothing(stored[0], "moved or replaced")

    def assertNothingOnce(self, stored: Stored) -> None:
        """
        Assert that publishers were told that nothing is stored.
        """
        for outcome in stored.outcomes:
            self.assertIsInstance(outcome, Unavailable)

    def test_damagedLater(self) -> None:
        """
        Damage that is met while the server runs is told.
        """
        self.put(self.store, "a b c d " * 200, b"x" * 100)
        self.store.close()
        with closing(sqlite3.connect(self.path)) as connection:
            [page] = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'messagesByChannel'"
            ).fetchone()
        store = Store(self.path, lambda channel: Retention(), 10**9, self.faults.connect)
        store.open()
        self.addCleanup(store.close)
        with open(self.path, "r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
        reader = self.openReader()
        error = self.assertRaises(
            sqlite3.DatabaseError,
            reader.read,
            ["a"],
            Cursor(store.end.epoch, 0),
            10,
            1000,
            None,
            self.now,
        )
        self.assertIn("damaged", explain(error)[0])


class ReaderTests(StoreTestCase):
    """
    What a reader does when something goes wrong.
    """

    def test_again(self) -> None:
        """
        After an error it opens the database anew.
        """
        store = self.openStore()
        self.put(store, "a")
        reader = self.openReader()
        self.assertEqual(self.held(reader, "a"), [1])
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("ALTER TABLE messages RENAME TO letters")
            self.assertRaises(sqlite3.OperationalError, self.held, reader, "a")
            other.execute("ALTER TABLE letters RENAME TO messages")
        self.assertEqual(self.held(reader, "a"), [1])


class ExplainTests(StoreTestCase):
    """
    L{explain}.
    """

    def test_unknown(self) -> None:
        """
        What is not known is told as it is.
        """
        self.assertEqual(explain(sqlite3.Error("so it is"))[0], "so it is")
        self.assertEqual(explain(OSError(13, "Permission denied"))[0], "Permission denied")

    def test_clients(self) -> None:
        """
        But not to clients.
        """
        self.assertEqual(reasonOf(sqlite3.Error("no such table: x")), "the database failed")
        self.assertEqual(reasonOf(sqlite3.Error(FULL)), "the disk is full")
