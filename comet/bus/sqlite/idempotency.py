"""
Idempotency keys in a table.
"""

from __future__ import annotations

import sqlite3
from typing import Final, TypeAlias

from comet.bus.idempotency import (
    KEY_SECONDS,
    KeyBudget,
    KeyedBatches,
    NewKey,
    keySize,
    packPositions,
    rawPublisher,
    unpackPositions,
)
from comet.bus.sqlite.rows import LogRow
from comet.model.messages import Publication, Published

_Known: TypeAlias = tuple[bytes, Published]

# How many keys one step forgets at most.
_STEP: Final = 200


class KeyTable(KeyedBatches):
    """
    The known keys, during one transaction.
    """

    def __init__(
        self, connection: sqlite3.Connection, log: LogRow, now: float, budget: KeyBudget
    ) -> None:
        """
        @param now: The time by which keys grow old: in seconds since 1970, but
            in one process it goes on steadily.

        @param budget: How many bytes the keys may count for.
        """
        self._connection = connection
        self._log = log
        self._now = now
        self._budget = budget
        # The publishers with new keys in this batch; and the rows of its keys that
        # were there before and are too old, by digest.
        self._grown: set[bytes] = set()
        self._old: dict[bytes, tuple[int, bytes, int]] = {}

    def find(self, digest: bytes, publication: Publication) -> _Known | None:
        """
        See L{KeyedBatches.find}.
        """
        found = self._connection.execute(
            "SELECT number, publisher, size, fingerprint, positions, until FROM keys "
            "WHERE scope = ?",
            (digest,),
        ).fetchone()
        if found is None:
            # A batch before may have been refused after it had found one.
            self._old.pop(digest, None)
            return None
        number, publisher, size, fingerprint, packed, until = found
        if until <= self._now:
            self._old[digest] = number, publisher, size
            return None
        positions = unpackPositions(publication.channels, packed)
        return fingerprint, Published(self._log.epoch, positions)

    def remember(self, new: NewKey, answer: Published) -> None:
        """
        See L{KeyedBatches.remember}.
        """
        old = self._old.pop(new.digest, None)
        if old is not None:
            self._delete([old])
        publisher, size = rawPublisher(new.publication), keySize(new.publication)
        self._connection.execute(
            "INSERT INTO keys (scope, publisher, size, fingerprint, positions, until) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                new.digest,
                publisher,
                size,
                new.fingerprint,
                packPositions(answer),
                self._now + KEY_SECONDS,
            ),
        )
        self._connection.execute(
            "INSERT INTO publishers VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET bytes = bytes + excluded.bytes",
            (publisher, size),
        )
        self._log.keyBytes += size
        self._grown.add(publisher)

    def trim(self) -> None:
        """
        See L{KeyedBatches.trim}.
        """
        for publisher in sorted(self._grown):
            found = self._connection.execute(
                "SELECT bytes FROM publishers WHERE name = ?", (publisher,)
            ).fetchone()
            if found is not None:
                self._forgetOldestOf(publisher, found[0] - self._budget.each)
        self._grown.clear()
        self._old.clear()
        if self._log.keyBytes > self._budget.inAll:
            self.forget(_STEP)
        while self._log.keyBytes > self._budget.inAll:
            [largest] = self._connection.execute(
                "SELECT name FROM publishers ORDER BY bytes DESC, name LIMIT 1"
            ).fetchone()
            self._forgetOldestOf(largest, 1)

    def _forgetOldestOf(self, publisher: bytes, excess: int) -> None:
        """
        Forget the oldest keys of a publisher.

        @param excess: How many bytes they have to count for.  If it is not
            greater than 0, none is forgotten.
        """
        rows = []
        found = self._connection.execute(
            "SELECT number, publisher, size FROM keys WHERE publisher = ? ORDER BY number",
            (publisher,),
        )
        while excess > 0 and (row := found.fetchone()) is not None:
            rows.append(row)
            excess -= row[2]
        found.close()
        self._delete(rows)

    def _delete(self, rows: list[tuple[int, bytes, int]]) -> None:
        """
        Delete some rows, each given by its number, publisher and size.
        """
        if not rows:
            return
        self._connection.executemany("DELETE FROM keys WHERE number = ?", [row[:1] for row in rows])
        sizes = [(size, publisher) for _, publisher, size in rows]
        self._connection.executemany(
            "UPDATE publishers SET bytes = bytes - ? WHERE name = ?", sizes
        )
        self._connection.execute("DELETE FROM publishers WHERE bytes <= 0")
        self._log.keyBytes -= sum(size for size, _ in sizes)

    def forget(self, limit: int) -> bool:
        """
        Forget keys that are too old.

        @param limit: How many keys to forget at most.

        @return: Whether more keys may have to be forgotten.
        """
        oldest = self._connection.execute(
            "SELECT number, publisher, size, until FROM keys ORDER BY number LIMIT ?", (limit,)
        ).fetchall()
        gone = [row[:3] for row in oldest if row[3] <= self._now]
        self._delete(gone)
        return len(gone) == limit
