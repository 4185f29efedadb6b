"""
Tests for L{comet.bus.sqlite.store}: what publishers are told when the disk
fails, and what is stored then.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

from comet.bus.sqlite import files
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
    A store whose database fails.
    """

    def setUp(self) -> None:
        """
        Open a database with a message, which can be made to fail.
        """
        super().setUp()
        self.faults = Faults()
        self.store = self.openStore(connect=self.faults.connect)
        self.put(self.store, "a")

    def attempt(self, *calls: str) -> Stored:
        """
        Publish to these channels, a request each; and once more after the fault
        is gone.
        """
        return self.store.publish([[publication(each)] for each in calls or ("a",)], self.now)

    def assertNothing(self, stored: Stored, *parts: str) -> None:
        """
        Assert that publishers were told that nothing is stored, and that this
        is true even after a crash.
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

    def test_beginFails(self) -> None:
        """
        When a transaction cannot begin, nothing is stored.  The next one
        succeeds.
        """
        self.faults.before["BEGIN"] = "database is locked"
        self.assertNothing(self.attempt("a", "b"), "another program has locked")

    def test_statementFails(self) -> None:
        """
        When a statement fails, nothing is stored.  The next transaction
        succeeds.
        """
        for error, part in (
            (IO_ERROR, "cannot be read or written"),
            ("attempt to write a readonly database", "cannot be written to"),
            ("database disk image is malformed", "damaged"),
        ):
            self.setUp()
            self.faults.after["INSERT INTO channels"] = error
            self.assertNothing(self.attempt("a", "b"), part)

    def test_diskFull(self) -> None:
        """
        When the disk is full, nothing is stored.  When there is room again,
        messages are.
        """
        connection = self.store._connection
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        large = [publication("a", b"x" * 100000)]
        stored = self.store.publish([large, large], self.now)
        connection.execute("PRAGMA max_page_count = 1000000")
        self.assertNothing(stored, "the disk is full")

    def test_commitFailsAndDatabaseWorks(self) -> None:
        """
        When a commit fails, but another one works, certainly nothing is stored.
        """
        for error in (IO_ERROR, FULL, "database is locked"):
            self.setUp()
            self.faults.before["COMMIT"] = error
            self.assertNothing(self.attempt("a", "b"))

    def test_commitFailsButIsStored(self) -> None:
        """
        When a commit fails, but its messages are found, it counts as stored.
        """
        self.faults.after["COMMIT"] = IO_ERROR
        stored = self.attempt("a", "b")
        self.assertEqual([answersOf(each)[0].cursor.position for each in stored.outcomes], [2, 3])
        self.assertEqual([message.position for message in stored.messages], [2, 3])
        self.faults.clear()
        self.assertEqual(self.held(self.openReader(), "a b"), [1, 2, 3])

    def test_commitFailsAndDatabaseFails(self) -> None:
        """
        When a commit fails, and its outcome cannot be found out, publishers are
        told so.  If it is found later, listeners are interrupted.
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

    def test_commitFailsOnFullDisk(self) -> None:
        """
        When there is no room for the commit, nor to find out its outcome,
        nothing is stored: the end of a commit is written last.
        """
        self.faults.before["COMMIT"] = FULL
        self.faults.before["UPDATE log SET probes"] = FULL
        self.assertNothing(self.attempt("a", "b"), "the disk is full")

    def test_otherWritesAreUnavailable(self) -> None:
        """
        A write that stores no messages fails as unavailable whether its outcome
        is known or not: it may be repeated without harm.
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

    def test_faultOfRetention(self) -> None:
        """
        A fault that is not of the database is passed on, and nothing is
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

    def test_probeTriesWriting(self) -> None:
        """
        A probe fails while the database cannot be written.
        """
        self.store.probe()
        self.faults.before["UPDATE"] = FULL
        self.assertRaises(Unavailable, self.store.probe)

    def test_fileMoved(self) -> None:
        """
        While the file is moved away, removed or replaced, nothing is stored: it
        would be lost.  When the file is back, messages are stored.
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

    def test_fileTakenFromUnder(self) -> None:
        """
        When the file was cut short, or its write-ahead log was removed or
        replaced, nothing is stored any more: it would be lost in the next crash.
        """
        for number, (suffix, cut) in enumerate(
            (("", 0), ("", 100), ("", 4096), ("-wal", None), ("-wal", 0))
        ):
            store = self.openStore(path=f"{self.path}{number}")
            self.put(store, "a b c " * 20, b"x" * 4000)
            file = store.path + suffix
            if cut is None or suffix:
                os.remove(file)
            if cut is not None:
                with open(file, "ab"):
                    os.truncate(file, cut)
            stored = store.publish([[publication("a")]], self.now)
            [outcome] = stored.outcomes
            self.assertIsInstance(outcome, Unavailable)
            reason = "moved or replaced" if suffix else "cut short"
            self.assertIn(reason, str(outcome))
            self.assertEqual(stored.end.position, 60)
            self.assertRaises(Unavailable, store.probe)

    def test_journalCutShort(self) -> None:
        """
        The same when the write-ahead log was cut short in its place, after many
        messages or one, also where an earlier part of it was moved into the database.
        """
        number = 0
        for count in (1, 60):
            for cut in (0, 100, 5000):
                for isMoved in (False, True):
                    number += 1
                    store = self.openStore(path=f"{self.path}{number}")
                    if isMoved:
                        self.put(store, "a", b"x" * 4000)
                        with closing(sqlite3.connect(store.path)) as connection:
                            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                        self.put(store, "a")
                        # The times of files are as coarse as the ticks of the system.
                        os.utime(store.path, ns=(0, os.stat(store.path).st_mtime_ns - 10**9))
                    self.put(store, "a " * count, b"x" * 4000)
                    end = store.end
                    os.truncate(f"{store.path}-wal", cut)
                    for _ in range(2):
                        [outcome] = store.publish([[publication("a")]], self.now).outcomes
                        self.assertIsInstance(outcome, Unavailable)
                        self.assertIn("cut short", str(outcome))
                    self.assertEqual(store.end, end)
                    # What is left of the log cannot be moved into the database.
                    with contextlib.suppress(sqlite3.Error):
                        store.close()

    def test_journalShrinks(self) -> None:
        """
        Another program may have SQLite move the write-ahead log into the
        database, which cuts it short.
        """
        self.put(self.store, "a b c " * 20, b"x" * 4000)
        before = os.path.getsize(self.path + "-wal")
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.assertLess(os.path.getsize(self.path + "-wal"), before)
        self.put(self.store, "a")

    def test_journalShrinksToItsLimit(self) -> None:
        """
        SQLite itself cuts the log short when it begins it anew.
        """
        self.patch(files, "JOURNAL_BYTES", 100_000)
        self.store.close()
        store = self.openStore()
        self.put(store, "a " * 100, b"x" * 4000)
        for _ in range(3):
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self.put(store, "a a")
        self.assertLess(os.path.getsize(self.path + "-wal"), 200_000)

    def assertNothingOnce(self, stored: Stored) -> None:
        """
        Assert that publishers were told that nothing is stored.
        """
        for outcome in stored.outcomes:
            self.assertIsInstance(outcome, Unavailable)

    def test_damageWhileRunning(self) -> None:
        """
        Damage that is met while the server runs is reported.
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
    A reader whose database fails.
    """

    def test_opensAgainAfterError(self) -> None:
        """
        After an error the reader opens the database again.
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
    L{explain} and L{reasonOf}.
    """

    def test_showsUnknownErrorToOperator(self) -> None:
        """
        The operator is shown the text of an unknown error.
        """
        self.assertEqual(explain(sqlite3.Error("so it is"))[0], "so it is")
        self.assertEqual(explain(OSError(13, "Permission denied"))[0], "Permission denied")

    def test_hidesUnknownErrorFromClients(self) -> None:
        """
        Clients are not shown the text of an unknown error.
        """
        self.assertEqual(reasonOf(sqlite3.Error("no such table: x")), "the database failed")
        self.assertEqual(reasonOf(sqlite3.Error(FULL)), "the disk is full")
