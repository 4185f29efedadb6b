"""
Tests for L{comet.bus.sqlite.opening} and L{comet.bus.sqlite.lockfile}: which
databases are opened, and which go on with their epoch.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from comet.bus.sqlite.lockfile import SUFFIX, DatabaseInUse, LockFile
from comet.bus.sqlite.store import Store
from comet.errors import CometError
from comet.model.cursors import Cursor
from comet.model.log import Retention
from tests.bus.sqlite.case import StoreTestCase, carefree, publication


class OpeningTestCase(StoreTestCase):
    """
    Tests that open a database again and again.
    """

    def reopened(self) -> tuple[Cursor, str]:
        """
        Open the database once more, and close it.

        @return: Its head, and why its epoch is new.
        """
        store = Store(self.path, lambda channel: Retention(), 10**9, carefree)
        why = store.open()
        store.close()
        return store.end, why

    def filled(self) -> Cursor:
        """
        Make a database with some messages, and close it.
        """
        store = self.openStore()
        self.put(store, "a b a")
        store.close()
        return store.end

    def crash(self, store: Store) -> None:
        """
        Leave what a process leaves that is killed; the store goes on
        elsewhere.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        for suffix in ("", "-wal", SUFFIX, SUFFIX + "-journal"):
            if os.path.exists(self.path + suffix):
                shutil.copy(self.path + suffix, folder / ("comet.db" + suffix))
        self.path = str((folder / "comet.db").absolute())

    def execute(self, statement: str) -> list[Any]:
        """
        Do something with the database behind the server's back.
        """
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def assertRefused(self, *parts: str) -> None:
        """
        Assert that the database is not opened, and what is said of it.
        """
        error = self.assertRaises(CometError, self.reopened)
        for part in parts:
            self.assertIn(part, error.detail)


class EpochTests(OpeningTestCase):
    """
    When an epoch begins.
    """

    def test_new(self) -> None:
        """
        A new database begins an epoch, at position 0.
        """
        end, why = self.reopened()
        self.assertRegex(end.epoch, "^[a-z0-9]{6}$")
        self.assertEqual((end.position, why), (0, "the database is new"))

    def test_stopped(self) -> None:
        """
        After it was closed in order the epoch and the head are the same, and
        one file holds all of it.
        """
        end = self.filled()
        self.assertEqual(os.path.exists(self.path + "-wal"), False)
        self.assertEqual(self.reopened(), (end, ""))
        self.assertEqual(self.reopened(), (end, ""))

    def test_crashed(self) -> None:
        """
        After a crash, too.
        """
        store = self.openStore()
        self.put(store, "a b")
        self.crash(store)
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_crashedAtOnce(self) -> None:
        """
        Also when nothing had been published.
        """
        store = self.openStore()
        self.crash(store)
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_crashedWhileStarting(self) -> None:
        """
        A crash while a server starts changes nothing: both names of its life
        are good.
        """
        end = self.filled()
        with closing(sqlite3.connect(self.path + SUFFIX, isolation_level=None)) as guard:
            guard.execute("INSERT INTO lives VALUES ('another', 1)")
        self.assertEqual(self.reopened(), (end, ""))

    def test_lostWriteAheadLog(self) -> None:
        """
        When the write-ahead log was taken away after a crash, messages may be
        lost that publishers were answered about: a new epoch begins.
        """
        self.filled()
        store = self.openStore()
        self.put(store, "a b")
        self.crash(store)
        os.remove(self.path + "-wal")
        end, why = self.reopened()
        self.assertNotEqual(end.epoch, store.end.epoch)
        self.assertIn("not all of it", why)

    def test_putBack(self) -> None:
        """
        A copy of before the server was last started begins a new epoch, and
        keeps what it holds; keys of the old epoch are forgotten.
        """
        store = self.openStore()
        self.publish(store, publication("a", key="k"))
        store.close()
        copy = self.path + ".copy"
        shutil.copy(self.path, copy)
        store = self.openStore()
        self.put(store, "a a")
        store.close()
        shutil.copy(copy, self.path)
        again = self.openStore()
        self.assertNotEqual(again.end.epoch, store.end.epoch)
        self.assertEqual(again.end.position, 1)
        [answer] = self.publish(again, publication("a", key="k"))
        self.assertEqual((answer.epoch, answer.positions), (again.end.epoch, {"a": 2}))
        self.assertEqual(self.held(self.openReader(), "a"), [1, 2])

    def test_withoutGuard(self) -> None:
        """
        A database without its guard may be any copy: a new epoch begins.
        """
        end = self.filled()
        os.remove(self.path + SUFFIX)
        self.assertNotEqual(self.reopened()[0].epoch, end.epoch)

    def test_inconsistent(self) -> None:
        """
        A head that is behind its messages proves nothing: a new epoch begins,
        beyond all of them.
        """
        end = self.filled()
        self.execute("UPDATE log SET head = 1")
        found, why = self.reopened()
        self.assertNotEqual(found.epoch, end.epoch)
        self.assertEqual(found.position, 3)
        self.assertIn("behind", why)

    def test_moved(self) -> None:
        """
        A database that is moved together with its guard keeps its epoch.
        """
        end = self.filled()
        folder = Path(self.mktemp()).absolute()
        os.rename(os.path.dirname(self.path), folder)
        self.path = str(folder / "comet.db")
        self.assertEqual(self.reopened(), (end, ""))


class RefusedTests(OpeningTestCase):
    """
    What is not opened, and what a person is told.
    """

    def test_noFolder(self) -> None:
        """
        A folder that is not there is named.
        """
        self.path = os.path.join(os.path.dirname(self.path), "no", "comet.db")
        self.assertRefused("there is no folder", os.path.dirname(self.path), "make it")

    def test_folder(self) -> None:
        """
        A folder is no file.
        """
        self.path = os.path.dirname(self.path)
        self.assertRefused(self.path, "that is a folder", "name a file in it")

    def test_notDatabase(self) -> None:
        """
        What is no database is left as it is.
        """
        Path(self.path).write_text("Dear diary, " * 1000)
        self.assertRefused("not an SQLite database", "name another file")
        self.assertEqual(Path(self.path).read_text(), "Dear diary, " * 1000)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["comet.db"])

    def test_otherApplication(self) -> None:
        """
        A database of something else is left as it is.
        """
        self.execute("CREATE TABLE friends (name TEXT)")
        before = Path(self.path).read_bytes()
        self.assertRefused("something else than comet", "name another file")
        self.assertEqual(Path(self.path).read_bytes(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["comet.db"])

    def test_newer(self) -> None:
        """
        A database of a newer version is left as it is.
        """
        self.filled()
        self.execute("PRAGMA user_version = 99")
        self.assertRefused("newer comet", "version 99")
        self.assertEqual(self.execute("PRAGMA user_version"), [(99,)])

    def test_damaged(self) -> None:
        """
        A database that is damaged is not used.
        """
        store = self.openStore()
        for _ in range(50):
            self.put(store, "a b c " * 10, b"x" * 100)
        store.close()
        size = os.path.getsize(self.path)
        with open(self.path, "r+b") as file:
            file.seek(size // 2)
            file.write(os.urandom(size // 4))
        self.assertRefused("damaged", "put back a copy")

    def test_cutOff(self) -> None:
        """
        Nor is one that was cut off.
        """
        store = self.openStore()
        self.put(store, "a b c " * 100, b"x" * 100)
        store.close()
        os.truncate(self.path, os.path.getsize(self.path) // 2)
        self.assertRefused("damaged")

    def test_readOnly(self) -> None:
        """
        A database that cannot be written to is not used.
        """
        self.filled()

        def connect(path: str, **options: Any) -> sqlite3.Connection:
            if path.endswith(SUFFIX):
                return carefree(path, **options)
            return carefree(f"file:{path}?mode=ro", uri=True, **options)

        error = self.assertRaises(CometError, self.openStore, connect=connect)
        self.assertIn("cannot be written to", error.detail)

    def test_locked(self) -> None:
        """
        A database that another program keeps locked is not used.
        """
        self.filled()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.assertRefused("another program has locked the database", "end that program")
        self.assertEqual(self.reopened()[1], "")

    def test_guardDamaged(self) -> None:
        """
        A guard that is damaged can be removed.
        """
        end = self.filled()
        Path(self.path + SUFFIX).write_text("Dear diary, " * 1000)
        self.assertRefused(SUFFIX, "not an SQLite database", "remove that one")
        os.remove(self.path + SUFFIX)
        self.assertNotEqual(self.reopened()[0].epoch, end.epoch)

    def test_guardRefused(self) -> None:
        """
        A guard that cannot be made is named.
        """
        os.mkdir(self.path + SUFFIX)
        self.assertRefused(SUFFIX, "cannot be opened", "make files beside it")

    def test_taken(self) -> None:
        """
        A database has one server; the next one can have it when that has
        ended.
        """
        store = self.openStore()
        self.assertRefused("another server keeps its messages there")
        link = self.path + ".link"
        os.symlink(self.path, link)
        path, self.path = self.path, link
        self.assertRefused("another server keeps its messages there")
        self.put(store, "a")
        store.close()
        self.assertEqual(self.reopened(), (store.end, ""))
        self.path = path
        self.assertEqual(self.reopened(), (store.end, ""))


class GuardTests(StoreTestCase):
    """
    L{LockFile}.
    """

    def test_taken(self) -> None:
        """
        Only one has it at a time, also while nothing is being written.
        """
        first, second = LockFile(self.path, carefree), LockFile(self.path, carefree)
        first.take()
        self.assertRaises(DatabaseInUse, second.take)
        first.setLife(first.addLife())
        self.assertRaises(DatabaseInUse, second.take)
        first.release(None)
        second.take()
        second.release(None)

    def test_vouches(self) -> None:
        """
        It isLatest for the life that was settled: all of it, if it was closed
        in order or its write-ahead log is there.
        """
        guard = LockFile(self.path, carefree)
        guard.take()
        old = guard.addLife()
        guard.setLife(old)
        self.assertEqual([guard.isLatest(old, each) for each in (True, False)], [True, False])
        new = guard.addLife()
        self.assertTrue(guard.isLatest(old, True) and guard.isLatest(new, True))
        guard.setLife(new)
        self.assertFalse(guard.isLatest(old, True))
        guard.release(new)
        guard.take()
        self.assertTrue(guard.isLatest(new, False))
        self.assertFalse(guard.isLatest("another", True))
        guard.release(None)
