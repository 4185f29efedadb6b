"""
A small file beside the database.  It keeps a second server away, and knows
whether the database is the one that was last written here, with everything that
publishers were told is stored.

A database may have been restored from a copy, or may have lost its write-ahead
log.  Such a database is in order, and yet has lost messages.  Only a second file
can tell.  Each start gives the database a new random name, its I{life}, and
notes it in the lock file.  Each commit that stores messages is followed by a
note of the newest position, before publishers are answered.

A note does not wait for the disk, which would make each commit twice as slow.
A process that is killed loses no note, since the system has it.  A system that
crashes may lose the last notes; then an older position is compared with the
database, which does no harm to one that is complete.  To recognize one that has
lost its write-ahead log all the same, the first note after the database file
itself was written does wait: this one is newer than everything in that file.

The lock file is an SQLite database, too, because SQLite locks in the same way
on every system.  The system releases such a lock when its process ends, in any
way.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import Final, TypeAlias

# Opens a database, with the arguments of sqlite3.connect.
Connect: TypeAlias = Callable[..., sqlite3.Connection]

SUFFIX: Final = "-guard"


class DatabaseInUse(Exception):
    """
    Another server has locked the database.
    """


class LockFile:
    """
    The lock file beside a database.  It is used from one thread.
    """

    def __init__(self, path: str, connect: Connect = sqlite3.connect) -> None:
        """
        @param path: The path of the database.
        """
        self._path = path + SUFFIX
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        # The position of the last note; and what the caller has said of the
        # database file when a note was last on the disk.
        self._position = -1
        self._written: object = None

    def take(self) -> None:
        """
        Lock the database against other servers, until L{release} or the end of
        the process.

        @raise DatabaseInUse: If another server has locked it.

        @raise sqlite3.Error: If the lock file cannot be opened or written.
        """
        connection = self._connect(self._path, timeout=0.0, isolation_level=None)
        try:
            # In this mode SQLite keeps the lock after the first transaction.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit only waits for the disk where L{_sync} makes it.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN EXCLUSIVE")
            # Up to this version, the lock file knew no positions.
            connection.execute("DROP TABLE IF EXISTS lives")
            connection.execute("CREATE TABLE IF NOT EXISTS notes (life TEXT, position INTEGER)")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.close()
            if "is locked" in str(error):
                raise DatabaseInUse from None
            raise
        self._connection = connection

    @property
    def isNew(self) -> bool:
        """
        Whether no database was ever noted here.
        """
        return self._execute("SELECT 1 FROM notes").fetchone() is None

    def positionOf(self, life: str) -> int | None:
        """
        Return the newest position that a database must have to be complete, or
        L{None} if it is not the one that was last written here.

        @param life: The life that the database has noted.
        """
        found = self._execute("SELECT position FROM notes WHERE life = ?", life).fetchone()
        return None if found is None else int(found[0])

    def addLife(self, position: int) -> str:
        """
        Make up a new life.  From now on the old and the new life both count as
        the latest.

        @param position: The newest position in the database.
        """
        life = secrets.token_hex(8)
        self._execute("INSERT INTO notes VALUES (?, ?)", life, position)
        self._sync()
        return life

    def setLife(self, life: str) -> None:
        """
        Note that the database has this life.  No other counts as the latest any
        more.
        """
        self._execute("DELETE FROM notes WHERE life <> ?", life)
        self._sync()

    def note(self, position: int, written: object) -> None:
        """
        Note the newest position that is stored in the database.

        @param written: A value that changes whenever the database file itself
            is written, rather than its write-ahead log.  It is looked up before
            the position is stored.

        @raise sqlite3.Error: If it cannot be written.  The caller has to try
            again.
        """
        if position != self._position:
            self._execute("UPDATE notes SET position = ?", position)
            if written != self._written:
                self._sync()
            self._position, self._written = position, written

    def release(self) -> None:
        """
        Unlock the database.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            # This also writes the last notes to the disk.
            connection.close()

    def _sync(self) -> None:
        """
        Move the write-ahead log of the lock file into it.  That waits for the
        disk.
        """
        self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        assert self._connection is not None, "the lock file is not held"
        return self._connection.execute(statement, values)
