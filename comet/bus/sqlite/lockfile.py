"""
A small file beside the database.  It keeps a second server away, and knows
whether the database is the one that was last written here.

A database may have been restored from a copy, or may have lost its write-ahead
log.  Such a database is in order, and yet has lost messages that publishers
were told are stored.  Only a second file can tell: each start gives the
database a new random name, its I{life}, and notes it in the lock file.

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
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("CREATE TABLE IF NOT EXISTS lives (life TEXT, isClean INTEGER)")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.close()
            if "is locked" in str(error):
                raise DatabaseInUse from None
            raise
        self._connection = connection

    def isLatest(self, life: str, hasWriteAheadLog: bool) -> bool:
        """
        Whether a database is the one that was last written here, with all of
        its content.

        @param life: The life that the database has noted.

        @param hasWriteAheadLog: Whether the database had a write-ahead log
            before it was opened.  A server that stops in order leaves none; a
            server that crashes leaves one.
        """
        found = self._execute("SELECT isClean FROM lives WHERE life = ?", life).fetchone()
        return found is not None and (bool(found[0]) or hasWriteAheadLog)

    def addLife(self) -> str:
        """
        Make up a new life.  From now on the old and the new life both count as
        the latest.
        """
        life = secrets.token_hex(8)
        self._execute("INSERT INTO lives VALUES (?, 1)", life)
        return life

    def setLife(self, life: str) -> None:
        """
        Note that the database has this life.  No other counts as the latest any
        more.
        """
        self._replace(life, isClean=False)

    def release(self, life: str | None) -> None:
        """
        Unlock the database.

        @param life: The life of a database that was closed in order, with
            nothing left in its write-ahead log; L{None} if it was not.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                if life is not None:
                    connection.execute("UPDATE lives SET isClean = 1 WHERE life = ?", (life,))
            finally:
                connection.close()

    def _replace(self, life: str, isClean: bool) -> None:
        self._execute("BEGIN")
        self._execute("DELETE FROM lives")
        self._execute("INSERT INTO lives VALUES (?, ?)", life, int(isClean))
        self._execute("COMMIT")

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        assert self._connection is not None, "the lock file is not held"
        return self._connection.execute(statement, values)
