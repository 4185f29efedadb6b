"""
State that is kept in the database, beside the log.
"""

from __future__ import annotations

import math
import sqlite3
from typing import Any

from comet.bus.outcomes import stateFull
from comet.model.cursors import Cursor
from comet.model.state import MAX_KEY, StateEntry, StatePage, checkKey, shownKey

# What is over, given the time.  What another program has written is over at no time.
_OVER = "(typeof(time) = 'real' AND typeof(seconds) = 'real' AND time + seconds <= ?)"


class StateTable:
    """
    What is kept under the keys of one table, at one moment.
    """

    def __init__(self, connection: sqlite3.Connection, table: str, now: float) -> None:
        """
        @param connection: In a transaction, which the caller ends.

        @param now: The time, in seconds since 1970.
        """
        self._connection = connection
        self._table = table
        self._now = now

    def put(self, entry: StateEntry, most: int) -> None:
        """
        Put an entry in place of that with the same key.

        @param most: How many there may be with it.

        @raise TooMany: If the table is full.
        """
        checkKey(entry.key)
        if self._count(entry.key) >= most:
            self._connection.execute(
                f"DELETE FROM state WHERE channel = ? AND {_OVER}", (self._table, self._now)
            )
            if self._count(entry.key) >= most:
                raise stateFull(self._table, most)
        self._connection.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)",
            (self._table, entry.key, entry.payload, entry.time, entry.seconds),
        )

    def _count(self, besides: str) -> int:
        """
        Count the entries with other keys than one.
        """
        counted = self._connection.execute(
            "SELECT count(*) FROM state WHERE channel = ? AND key != ?", (self._table, besides)
        )
        count: int = counted.fetchone()[0]
        return count

    def drop(self, key: str) -> bool:
        """
        Take an entry out.

        @return: Whether it was in force.
        """
        where, values = "WHERE channel = ? AND key = ?", (self._table, key)
        # No statement of SQLite 3.34 and older returns what it deletes.
        found = self._connection.execute(
            f"SELECT 1 FROM state {where} AND NOT {_OVER}", (*values, self._now)
        ).fetchone()
        self._connection.execute(f"DELETE FROM state {where}", values)
        return found is not None

    def page(self, after: str, limit: int, cursor: Cursor) -> StatePage:
        """
        Read some entries in the order of their keys.

        @param cursor: The end of the log in this transaction.
        """
        # A text that is not UTF-8 would fail the query, so it is read as bytes.
        rows = self._connection.execute(
            f"SELECT CAST(key AS BLOB), payload, time, seconds, {_OVER} FROM state "
            "WHERE channel = ? AND key > ? ORDER BY key LIMIT ?",
            (self._now, self._table, after, limit + 1),
        ).fetchall()
        entries, unreadable = [], []
        for key, payload, time, seconds, isOver in rows[:limit]:
            if isOver:
                continue
            entry = _entryOf(key, payload, time, seconds)
            if entry is None:
                unreadable.append(shownKey(key))
            else:
                entries.append(entry)
        rest = _text(rows[limit - 1][0]) if len(rows) > limit else None
        return StatePage(tuple(entries), cursor, rest, tuple(unreadable))


def _text(key: bytes) -> str | None:
    """
    Return a key after which can be read on; L{None} for one that is no text, and
    unreadable itself.
    """
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _entryOf(key: bytes, payload: Any, time: Any, seconds: Any) -> StateEntry | None:
    """
    Read an entry, or return L{None} for one that comet cannot have written.
    """
    isOurs = (
        len(key) <= MAX_KEY
        and key.isascii()
        and isinstance(payload, bytes)
        and isinstance(time, float)
        and math.isfinite(time)
        and (seconds is None or isinstance(seconds, float))
    )
    return StateEntry(key.decode("ascii"), payload, time, seconds) if isOurs else None
