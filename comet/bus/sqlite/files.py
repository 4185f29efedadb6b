"""
Watches the files of an open database: SQLite does not notice that one of them
was taken from under it.
"""

from __future__ import annotations

import os
import stat
from typing import Final

# What stands beside a database, by the end of its name.
BESIDE: Final = ("-wal", "-shm", "-journal")

# Down to how many bytes SQLite cuts a write-ahead log short that it begins anew.
JOURNAL_BYTES: Final = 1 << 26

_KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def kindOf(path: str) -> str:
    """
    Tell what is at a path if opening it might never return.  Empty if there is
    a file, a folder, or nothing.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return ""
    return next((kind for isKind, kind in _KINDS if isKind(mode)), "")


class WatchedFile:
    """
    One file of an open database.

    @ivar written: The time at which it was last written, as of the last check,
        in nanoseconds since 1970.
    """

    def __init__(self, path: str, movesInto: WatchedFile | None = None) -> None:
        """
        @param path: The path of a file that exists.

        @param movesInto: The database, if this is its write-ahead log: SQLite cuts it
            short once all that it has is in the database.
        """
        self._path = path
        self._movesInto = movesInto
        self._identity, self._size, self.written = _look(path)

    def check(self) -> None:
        """
        Check that the file still has its name and its bytes: what is stored in
        a removed file, or in one that was cut short, would be lost.  The database is
        checked before its write-ahead log.

        @raise OSError: If it does not.
        """
        try:
            identity, size, written = _look(self._path)
        except FileNotFoundError:
            raise OSError("moved or replaced") from None
        if identity != self._identity:
            raise OSError("moved or replaced")
        if size < self._size and not self._mayShrinkTo(size):
            raise OSError("cut short")
        self._size, self.written = size, written

    def noteWritten(self) -> None:
        """
        Take note of what the server itself has just written.
        """
        try:
            identity, size, written = _look(self._path)
        except OSError:
            # The next check tells of it.
            return
        if identity == self._identity and size >= min(self._size, JOURNAL_BYTES):
            self._size, self.written = size, written

    def _mayShrinkTo(self, size: int) -> bool:
        if self._movesInto is None:
            return False
        # Another program can have SQLite empty the log.  Then the database was written
        # after the log was: as long as it is older, it lacks what the log had.
        return size >= JOURNAL_BYTES or (size == 0 and self._movesInto.written >= self.written)


def _look(path: str) -> tuple[tuple[int, int], int, int]:
    found = os.stat(path)
    return (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns
