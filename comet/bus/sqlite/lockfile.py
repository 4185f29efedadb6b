"""
A small file beside the database: it keeps a second server off, and isLatest that
the database is the one that was last written here.

A database that was put back from a copy, or lost what was still in its
write-ahead log, is in order, and yet has forgotten messages that somebody was
answered about.  Only something outside can tell: each start gives the database
a new random name, its I{life}, and notes it here.

The file is an SQLite database, too, which locks alike on every system: a lock
of the system's goes with the process that had it, however it ended.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import Final, TypeAlias

# Opens a database: takes what sqlite3.connect does.
Connect: TypeAlias = Callable[..., sqlite3.Connection]

SUFFIX: Final = "-guard"


class DatabaseInUse(Exception):
    """
    Another server has the database.
    """


class LockFile:
    """
    The file beside a database.  All is done from one thread.
    """

    def __init__(self, path: str, connect: Connect = sqlite3.connect) -> None:
        """
        @param path: That of the database.
        """
        self._path = path + SUFFIX
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    def take(self) -> None:
        """
        Keep others off, until L{release}, or the end of the process.

        @raise DatabaseInUse: If another one does.

        @raise sqlite3.Error: If the file cannot be had.
        """
        connection = self._connect(self._path, timeout=0.0, isolation_level=None)
        try:
            # From the first transaction on the lock is kept when it ends.
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
        Whether a database is the one that was last written here, and all of
        it.

        @param life: What the database calls its life.

        @param hasWriteAheadLog: Whether its write-ahead log was there before
            it was opened: who stops in order leaves none, who crashes leaves
            it.
        """
        found = self._execute("SELECT isClean FROM lives WHERE life = ?", life).fetchone()
        return found is not None and (bool(found[0]) or hasWriteAheadLog)

    def addLife(self) -> str:
        """
        Make up the name of a new life, and vouch for it besides the old one.
        """
        life = secrets.token_hex(8)
        self._execute("INSERT INTO lives VALUES (?, 1)", life)
        return life

    def setLife(self, life: str) -> None:
        """
        The database has this life: vouch for no other.
        """
        self._replace(life, isClean=False)

    def release(self, life: str | None) -> None:
        """
        Keep nobody off any more.

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
