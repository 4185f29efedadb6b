"""
Tests for L{comet.bus.sqlite.opening} and L{comet.bus.sqlite.lockfile}: which
databases are opened, and which go on with their epoch.
"""

from __future__ import annotations

import os
import shutil
import socket
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
    Tests that open one database several times.
    """

    def reopened(self) -> tuple[Cursor, str]:
        """
        Open the database, and close it.

        @return: Its end, and why its epoch is new.
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
        Copy the files as a process leaves them that is killed.  The store goes
        on with other files.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        for suffix in ("", "-wal", SUFFIX, SUFFIX + "-wal"):
            if os.path.exists(self.path + suffix):
                shutil.copy(self.path + suffix, folder / ("comet.db" + suffix))
        self.path = str((folder / "comet.db").absolute())

    def execute(self, statement: str) -> list[Any]:
        """
        Change the database without the server's knowledge.
        """
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def assertRefused(self, *parts: str) -> None:
        """
        Assert that the database is not opened, and that the error has these
        parts.
        """
        error = self.assertRaises(CometError, self.reopened)
        for part in parts:
            self.assertIn(part, error.detail)


class EpochTests(OpeningTestCase):
    """
    When the log begins a new epoch.
    """

    def test_newDatabase(self) -> None:
        """
        A new database begins an epoch, at position 0.
        """
        end, why = self.reopened()
        self.assertRegex(end.epoch, "^[a-z0-9]{6}$")
        self.assertEqual((end.position, why), (0, "the database is new"))

    def test_keepsEpochAfterStop(self) -> None:
        """
        After the database was closed in order, the epoch and the end are the
        same, and one file has all of it.
        """
        end = self.filled()
        self.assertEqual(os.path.exists(self.path + "-wal"), False)
        self.assertEqual(self.reopened(), (end, ""))
        self.assertEqual(self.reopened(), (end, ""))

    def test_keepsEpochAfterCrash(self) -> None:
        """
        After a crash the epoch and the end are the same.
        """
        store = self.openStore()
        self.put(store, "a b")
        self.crash(store)
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_keepsEpochAfterCrashWithoutMessages(self) -> None:
        """
        After a crash of a server that stored nothing, the epoch is the same.
        """
        store = self.openStore()
        self.crash(store)
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_keepsEpochAfterCrashDuringStart(self) -> None:
        """
        After a crash during a start the epoch is the same: the old and the new
        life both count.
        """
        end = self.filled()
        with closing(sqlite3.connect(self.path + SUFFIX, isolation_level=None)) as guard:
            guard.execute("INSERT INTO notes VALUES ('another', 3)")
        self.assertEqual(self.reopened(), (end, ""))

    def test_keepsEpochAfterLook(self) -> None:
        """
        Another program that looks into the database after a crash moves the
        write-ahead log into it, and removes that.  Nothing is lost, and the
        epoch is the same.
        """
        store = self.openStore()
        self.put(store, "a b")
        self.crash(store)
        self.assertEqual(self.execute("SELECT count(*) FROM messages"), [(2,)])
        self.assertFalse(os.path.exists(self.path + "-wal"))
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_newEpochWithoutWriteAheadLog(self) -> None:
        """
        When the write-ahead log was removed after a crash, messages are lost
        that publishers were told are stored: a new epoch begins, and the reason
        says which.
        """
        self.filled()
        store = self.openStore()
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.put(store, "a b")
        self.crash(store)
        os.remove(self.path + "-wal")
        end, why = self.reopened()
        self.assertNotEqual(end.epoch, store.end.epoch)
        self.assertIn("has those up to 3, and those up to 5 were stored", why)

    def test_newEpochWithoutAnyWriteAheadLog(self) -> None:
        """
        When the write-ahead logs of both files were removed, the loss is found
        all the same, whenever the database file was written last: the note that
        followed is in the lock file itself.  So it is after a crash of the
        system, which may lose the other notes.
        """
        store = self.openStore()
        for _ in range(3):
            self.put(store, "a b")
            store._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            # The time of the file has the steps of the system's clock.
            os.utime(self.path)
            for _ in range(3):
                self.put(store, "a")
            path = self.path
            self.crash(store)
            os.remove(self.path + "-wal")
            os.remove(self.path + SUFFIX + "-wal")
            end, why = self.reopened()
            self.assertNotEqual(end.epoch, store.end.epoch)
            self.assertIn("messages are lost", why)
            self.path = path

    def test_keepsEpochWithOlderNotes(self) -> None:
        """
        When a crash of the system has lost the last notes, but no message, the
        epoch is the same.
        """
        store = self.openStore()
        self.put(store, "a b")
        self.put(store, "a b")
        self.crash(store)
        os.remove(self.path + SUFFIX + "-wal")
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_newEpochFromCopyOfSameStart(self) -> None:
        """
        A copy that was made while the server ran, and put back after it has
        stopped, begins a new epoch if messages were stored since.
        """
        store = self.openStore()
        self.put(store, "a b")
        copy = self.path + ".copy"
        with closing(sqlite3.connect(copy)) as target:
            store._connection.backup(target)
        unchanged = store.end
        store.close()
        shutil.copy(copy, self.path)
        self.assertEqual(self.reopened(), (unchanged, ""))
        store = self.openStore()
        with closing(sqlite3.connect(copy)) as target:
            store._connection.backup(target)
        self.put(store, "a")
        store.close()
        shutil.copy(copy, self.path)
        end, why = self.reopened()
        self.assertNotEqual(end.epoch, unchanged.epoch)
        self.assertIn("has those up to 2, and those up to 3 were stored", why)

    def test_newEpochWithoutDatabase(self) -> None:
        """
        A database that is made where another one is gone is no first one.
        """
        store = self.openStore()
        self.assertTrue(store.isFirst)
        self.put(store, "a")
        store.close()
        os.remove(self.path)
        store = self.openStore()
        self.assertFalse(store.isFirst)
        store.close()
        os.remove(self.path)
        self.assertIn("the one before it is gone", self.reopened()[1])

    def test_keepsEpochAfterRenewal(self) -> None:
        """
        A log that was emptied begins at 0 again, and its epoch goes on after a
        crash.
        """
        store = self.openStore()
        self.put(store, "a b a")
        store.renew(self.now)
        self.crash(store)
        self.assertEqual(self.reopened(), (store.end, ""))

    def test_newEpochFromOlderCopy(self) -> None:
        """
        A copy from before the last start begins a new epoch, with its messages.
        Keys of the old epoch are forgotten.
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

    def test_newEpochWithoutLockFile(self) -> None:
        """
        A database without its lock file may be any copy: a new epoch begins.
        """
        end = self.filled()
        os.remove(self.path + SUFFIX)
        found, why = self.reopened()
        self.assertNotEqual(found.epoch, end.epoch)
        self.assertIn(f"the file with {SUFFIX} in its name", why)

    def test_newEpochWithLockFileOfOlderVersion(self) -> None:
        """
        A lock file of a version that noted no positions proves nothing.
        """
        end = self.filled()
        with closing(sqlite3.connect(self.path + SUFFIX, isolation_level=None)) as guard:
            guard.execute("DROP TABLE notes")
            guard.execute("CREATE TABLE lives (life TEXT, isClean INTEGER)")
            guard.execute("PRAGMA journal_mode = DELETE")
        self.assertNotEqual(self.reopened()[0].epoch, end.epoch)
        end = self.reopened()[0]
        self.assertEqual(self.reopened(), (end, ""))

    def test_newEpochWhenEndIsBehind(self) -> None:
        """
        An end that is behind its messages proves nothing: a new epoch begins,
        beyond all of them.
        """
        end = self.filled()
        self.execute("UPDATE log SET head = 1")
        found, why = self.reopened()
        self.assertNotEqual(found.epoch, end.epoch)
        self.assertEqual(found.position, 3)
        self.assertIn("behind", why)

    def test_keepsEpochWhenMoved(self) -> None:
        """
        A database that is moved together with its lock file keeps its epoch.
        """
        end = self.filled()
        folder = Path(self.mktemp()).absolute()
        os.rename(os.path.dirname(self.path), folder)
        self.path = str(folder / "comet.db")
        self.assertEqual(self.reopened(), (end, ""))


class RefusedTests(OpeningTestCase):
    """
    Which files are not opened, and what the operator is told.
    """

    def test_folderMissing(self) -> None:
        """
        A folder that does not exist is named in the error.
        """
        self.path = os.path.join(os.path.dirname(self.path), "no", "comet.db")
        self.assertRefused("there is no folder", os.path.dirname(self.path), "make it")

    def test_pathIsFolder(self) -> None:
        """
        A path that names a folder is refused.
        """
        self.path = os.path.dirname(self.path)
        self.assertRefused(self.path, "that is a folder", "name a file in it")

    def test_pathIsNoFile(self) -> None:
        """
        A pipe, a socket or a device is refused before it is opened, which might
        never return; and so is one that stands beside the database.
        """
        os.mkfifo(self.path)
        self.assertRefused(self.path, "that is a pipe", "name a file")
        os.remove(self.path)
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(os.path.dirname(self.path))
            listening.bind(os.path.basename(self.path))
            self.assertRefused(self.path, "that is a socket", "name a file")
        os.remove(self.path)
        os.symlink(os.devnull, self.path)
        self.assertRefused("/dev/null", "that is a device", "name a file")
        os.remove(self.path)
        for suffix in ("-guard", "-wal", "-shm", "-journal"):
            os.mkfifo(self.path + suffix)
            self.assertRefused(self.path + suffix, "is a pipe", "remove that")
            os.remove(self.path + suffix)

    def test_fileIsNotDatabase(self) -> None:
        """
        A file that is not a database is not changed.
        """
        Path(self.path).write_text("Dear diary, " * 1000)
        self.assertRefused("not an SQLite database", "name another file")
        self.assertEqual(Path(self.path).read_text(), "Dear diary, " * 1000)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["comet.db"])

    def test_databaseOfOtherProgram(self) -> None:
        """
        A database of another program is not changed.
        """
        self.execute("CREATE TABLE friends (name TEXT)")
        before = Path(self.path).read_bytes()
        self.assertRefused("something else than comet", "name another file")
        self.assertEqual(Path(self.path).read_bytes(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["comet.db"])

    def test_databaseOfNewerVersion(self) -> None:
        """
        A database of a newer version is not changed.
        """
        self.filled()
        self.execute("PRAGMA user_version = 99")
        self.assertRefused("newer comet", "version 99")
        self.assertEqual(self.execute("PRAGMA user_version"), [(99,)])

    def test_databaseDamaged(self) -> None:
        """
        A damaged database is not used.
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

    def test_databaseCutOff(self) -> None:
        """
        A database that was cut off is not used.
        """
        store = self.openStore()
        self.put(store, "a b c " * 100, b"x" * 100)
        store.close()
        os.truncate(self.path, os.path.getsize(self.path) // 2)
        self.assertRefused("damaged")

    def test_databaseReadOnly(self) -> None:
        """
        A database that cannot be written is not used.
        """
        self.filled()

        def connect(path: str, **options: Any) -> sqlite3.Connection:
            if path.endswith(SUFFIX):
                return carefree(path, **options)
            return carefree(f"file:{path}?mode=ro", uri=True, **options)

        error = self.assertRaises(CometError, self.openStore, connect=connect)
        self.assertIn("cannot be written to", error.detail)

    def test_databaseLocked(self) -> None:
        """
        A database that another program has locked is not used.
        """
        self.filled()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.assertRefused("another program has locked the database", "end that program")
        self.assertEqual(self.reopened()[1], "")

    def test_lockFileDamaged(self) -> None:
        """
        The error about a damaged lock file says that it can be removed.
        """
        end = self.filled()
        Path(self.path + SUFFIX).write_text("Dear diary, " * 1000)
        self.assertRefused(SUFFIX, "not an SQLite database", "remove that one")
        os.remove(self.path + SUFFIX)
        self.assertNotEqual(self.reopened()[0].epoch, end.epoch)

    def test_lockFileCannotBeMade(self) -> None:
        """
        The error about a lock file that cannot be made names it.
        """
        os.mkdir(self.path + SUFFIX)
        self.assertRefused(SUFFIX, "cannot be opened", "make files beside it")

    def test_databaseInUse(self) -> None:
        """
        A database has one server at a time.
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


class LockFileTests(StoreTestCase):
    """
    L{LockFile}.
    """

    def test_oneHolderAtATime(self) -> None:
        """
        Only one server holds the lock at a time, even while nothing is written.
        """
        first, second = LockFile(self.path, carefree), LockFile(self.path, carefree)
        first.take()
        self.assertRaises(DatabaseInUse, second.take)
        first.setLife(first.addLife(0))
        self.assertRaises(DatabaseInUse, second.take)
        first.note(1, 1)
        self.assertRaises(DatabaseInUse, second.take)
        first.release()
        second.take()
        second.release()

    def test_nameBesideDatabase(self) -> None:
        """
        The name of the lock file never changes: under another name, servers of
        two versions would not notice each other.
        """
        lockFile = LockFile(self.path, carefree)
        lockFile.take()
        self.assertTrue(Path(self.path + "-guard").exists())
        lockFile.release()

    def test_lives(self) -> None:
        """
        A life is the latest once it was set, with the position that was noted
        last.
        """
        guard = LockFile(self.path, carefree)
        guard.take()
        self.assertTrue(guard.isNew)
        old = guard.addLife(5)
        guard.setLife(old)
        self.assertFalse(guard.isNew)
        self.assertEqual(guard.positionOf(old), 5)
        guard.note(6, 1)
        new = guard.addLife(6)
        self.assertEqual([guard.positionOf(old), guard.positionOf(new)], [6, 6])
        guard.setLife(new)
        self.assertIsNone(guard.positionOf(old))
        guard.note(7, 1)
        guard.release()
        guard.take()
        self.assertEqual(guard.positionOf(new), 7)
        self.assertIsNone(guard.positionOf("another"))
        guard.release()

    def test_waitsForDiskOnce(self) -> None:
        """
        A note waits for the disk only after the database file was written.
        """
        statements: list[str] = []

        def connect(path: str, **options: Any) -> sqlite3.Connection:
            connection = carefree(path, **options)
            connection.set_trace_callback(statements.append)
            return connection

        guard = LockFile(self.path, connect)
        guard.take()
        guard.setLife(guard.addLife(0))
        statements.clear()
        for position, written in ((1, 7), (2, 7), (2, 8), (3, 8), (4, 8)):
            guard.note(position, written)
        syncs = [index for index, each in enumerate(statements) if "checkpoint" in each]
        notes = [each for each in statements if each.startswith("UPDATE")]
        self.assertEqual((syncs, len(notes)), ([1, 4], 4))
        guard.release()
