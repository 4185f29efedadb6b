"""
Opens and checks a database: whether it is comet's, undamaged, and the one that
was last written here.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import Final

from attrs import frozen

from comet.bus.sqlite import files
from comet.bus.sqlite.errors import cannotStart, explain
from comet.bus.sqlite.files import BESIDE, WatchedFile, kindOf
from comet.bus.sqlite.lockfile import SUFFIX, Connect, DatabaseInUse, LockFile
from comet.bus.sqlite.rows import endOf
from comet.bus.sqlite.schema import APPLICATION_ID, FOREIGN, WrongDatabase, upgrade
from comet.framing.stored import MOST_POSITION
from comet.model.cursors import Cursor, newEpoch

# How many seconds to wait while another program has locked the database.
LOCKED_SECONDS: Final = 2.0

# Why a log begins its first epoch.
_NEW: Final = "the database is new"

# Up to how many bytes a database is checked for damage when it is opened.
CHECKED_BYTES: Final = 1 << 30


@frozen
class OpenDatabase:
    """
    An open database.

    @ivar path: The path of the file, with symbolic links resolved.

    @ivar database: The file itself.

    @ivar journal: Its write-ahead log.

    @ivar connection: The connection that writes.

    @ivar lockFile: Keeps other servers away.

    @ivar end: The cursor of the newest message.

    @ivar renewed: Why the log begins a new epoch; empty if it does not.

    @ivar isFirst: Whether no log was ever kept here.
    """

    path: str
    database: WatchedFile
    journal: WatchedFile
    connection: sqlite3.Connection
    lockFile: LockFile
    end: Cursor
    renewed: str
    isFirst: bool

    def close(self) -> None:
        """
        Move the write-ahead log into the database, close it, and release the
        lock.
        """
        try:
            with closing(self.connection):
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self.lockFile.release()


def openDatabase(path: str, connect: Connect = sqlite3.connect) -> OpenDatabase:
    """
    Open a database, or make it if there is none.

    @raise CometError: If it cannot be opened.  The error says what the operator
        can do.
    """
    path = os.path.realpath(path)
    lockFile = LockFile(path, connect)
    try:
        _checkPath(path)
        _keepToOwner(path)
        _take(path, lockFile)
        return _openGuarded(path, lockFile, connect)
    except WrongDatabase as error:
        lockFile.release()
        raise cannotStart(path, error.what, error.advice) from None
    except (sqlite3.Error, OSError) as error:
        lockFile.release()
        raise cannotStart(path, *explain(error)) from error


def _take(path: str, lockFile: LockFile) -> None:
    try:
        lockFile.take()
    except DatabaseInUse:
        raise cannotStart(
            path, "another server keeps its messages there", "end that one, or name another file"
        ) from None
    except sqlite3.DatabaseError as error:
        meaning, advice = explain(error)
        if not isinstance(error, sqlite3.OperationalError):
            advice = "remove that one, and a new epoch begins"
        raise cannotStart(path, f"of {path}{SUFFIX} beside it: {meaning}", advice) from error


def _checkPath(path: str) -> None:
    """
    Check for faults that SQLite reports in the same words as others.
    """
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise cannotStart(path, f"there is no folder {folder}", "make it, or name another file")
    if os.path.isdir(path):
        raise cannotStart(path, "that is a folder", "name a file in it")
    for name in (path, path + SUFFIX, *(path + each for each in BESIDE)):
        kind = kindOf(name)
        if kind and name == path:
            raise cannotStart(path, f"that is {kind}", "name a file")
        if kind:
            raise cannotStart(path, f"{name} beside it is {kind}", "remove that")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise cannotStart(
            path,
            f"the folder {folder} cannot be written to",
            "let the server's user make files in it, or name another file",
        )
    # SQLite makes files beside a database when it opens it.  Look at the header
    # first, so that none is made beside a file that is not comet's.  If there
    # is a journal, the header may be wrong until SQLite has rolled it back.
    if os.path.exists(path) and not os.path.exists(path + "-journal"):
        with open(path, "rb") as file:
            _checkHeader(file.read(100))


def _keepToOwner(path: str) -> None:
    """
    Let only its owner read the database and the files beside it, and make the
    files that are given a name here.  SQLite gives the others, which it makes,
    the mode of the database.
    """
    for file in (path, path + SUFFIX):
        if not os.path.lexists(file):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (path, path + SUFFIX):
        for name in (file, *(file + each for each in BESIDE)):
            if os.path.isfile(name):
                status = os.stat(name)
                if stat.S_IMODE(status.st_mode) & 0o077 and status.st_uid == os.geteuid():
                    os.chmod(name, 0o600)


def _checkHeader(header: bytes) -> None:
    """
    Check the first bytes of a file: see "The Database Header" in SQLite's file
    format.
    """
    if header and not header.startswith(b"SQLite format 3\0"):
        raise sqlite3.DatabaseError("file is not a database")
    application = int.from_bytes(header[68:72], "big")
    if header and application != APPLICATION_ID:
        raise WrongDatabase(*FOREIGN)


def _openGuarded(path: str, lockFile: LockFile, connect: Connect) -> OpenDatabase:
    connection = connect(path, timeout=LOCKED_SECONDS, isolation_level=None)
    try:
        # This is the first access to the file, which may be no database.
        upgrade(connection)
        _prepare(connection)
        _check(path, connection)
        renewed = _whyRenew(connection, lockFile)
        connection.execute("BEGIN IMMEDIATE")
        if renewed:
            _renew(connection)
        end = endOf(connection.execute("SELECT epoch, head FROM log").fetchone())
        life = lockFile.addLife(end.position)
        connection.execute("UPDATE log SET life = ?", (life,))
        connection.execute("COMMIT")
        lockFile.setLife(life)
        database = WatchedFile(path)
        journal = WatchedFile(f"{path}-wal", movesInto=database)
    except BaseException:
        connection.close()
        raise
    isFirst = renewed == _NEW
    return OpenDatabase(path, database, journal, connection, lockFile, end, renewed, isFirst)


def _prepare(connection: sqlite3.Connection) -> None:
    [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise WrongDatabase(
            f"the file cannot have a write-ahead log (its journal is {mode!r})",
            "name a file on a disk of this machine",
        )
    # Each commit must be on the disk before a publisher is answered.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {files.JOURNAL_BYTES}")


def _check(path: str, connection: sqlite3.Connection) -> None:
    """
    Look for damage, unless the database is so large that it would take long.
    """
    if os.path.getsize(path) <= CHECKED_BYTES:
        [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")


def _whyRenew(connection: sqlite3.Connection, lockFile: LockFile) -> str:
    """
    Return why the log end cannot be proved to be the highest position that a
    publisher was told; empty if it can.
    """
    found = connection.execute(
        "SELECT life, head, "
        # Any other epoch would be copied into the cursors of all readers.
        "length(epoch) BETWEEN 1 AND 32 AND epoch NOT GLOB '*[^A-Za-z0-9]*' "
        # After any other end, positions could not grow.
        "AND typeof(head) = 'integer' AND head BETWEEN 0 AND :most "
        "AND head >= ifnull((SELECT max(position) FROM messages WHERE position <= :most), 0) "
        "AND head >= ifnull((SELECT max(head) FROM channels WHERE head BETWEEN 0 AND :most), 0) "
        "FROM log",
        {"most": MOST_POSITION - 1},
    ).fetchone()
    if found is None:
        return _NEW if lockFile.isNew else "the database is new, and the one before it is gone"
    life, end, isSound = found
    if not isSound:
        return "the epoch or the end of the log is damaged, or the end is behind its messages"
    confirmed = lockFile.positionOf(life)
    if confirmed is None and lockFile.isNew:
        return f"the file with {SUFFIX} in its name, which proves that nothing is lost, was gone"
    if confirmed is None:
        return (
            "the database is not the one that was last written here, but an older copy or another"
        )
    if end < confirmed:
        return (
            f"messages are lost: the database has those up to {end}, and those up to {confirmed} "
            "were stored; it is an older copy, or its write-ahead log was removed"
        )
    return ""


def _renew(connection: sqlite3.Connection) -> None:
    """
    Begin a new epoch with the messages that are held.
    """
    connection.execute(
        "INSERT OR IGNORE INTO log "
        "(id, epoch, life, head, floor, size, channels, keyBytes, probes) "
        "VALUES (1, '', '', 0, 0, 0, 0, 0, 0)"
    )
    # The answers in it are positions of the old epoch.
    connection.execute("DELETE FROM keys")
    connection.execute("DELETE FROM publishers")
    # Its readers are told of a gap, and ask anew who is there.
    connection.execute("DELETE FROM members")
    connection.execute(
        "UPDATE log SET epoch = :epoch, keyBytes = 0, head = CAST(max("
        "CASE WHEN head BETWEEN 0 AND :most THEN head ELSE 0 END, "
        "ifnull((SELECT max(position) FROM messages WHERE position <= :most), 0), "
        "ifnull((SELECT max(head) FROM channels WHERE head BETWEEN 0 AND :most), 0)"
        ") AS INTEGER)",
        {"epoch": newEpoch(), "most": MOST_POSITION - 1},
    )
