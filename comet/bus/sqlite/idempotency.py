"""
Idempotency keys in a table.
"""

from __future__ import annotations

import sqlite3
from array import array
from typing import Final, TypeAlias

from comet.bus.idempotency import KEY_SECONDS, KeyedBatches, scopeDigest
from comet.bus.sqlite.rows import LogRow
from comet.model.messages import KeyScope, Publication, Published

# How many keys are known at most; then the oldest are forgotten early.  Each
# takes some hundred bytes of disk.
MOST_KEYS: Final = 1000000

_Known: TypeAlias = tuple[bytes, Published]


class KeyTable(KeyedBatches):
    """
    The known keys, during one transaction.
    """

    def __init__(self, connection: sqlite3.Connection, log: LogRow, now: float) -> None:
        """
        @param now: The time by which keys grow old: in seconds since 1970, but
            in one process it goes on steadily.
        """
        self._connection = connection
        self._log = log
        self._now = now
        # The keys of this transaction, by digest.
        self._new: dict[bytes, tuple[_Known, bytes]] = {}

    def find(self, scope: KeyScope, publication: Publication) -> _Known | None:
        """
        See L{KeyedBatches.find}.
        """
        digest = scopeDigest(scope, 32)
        new = self._new.get(digest)
        if new is not None:
            return new[0]
        found = self._connection.execute(
            "SELECT fingerprint, positions FROM keys WHERE scope = ? AND until > ?",
            (digest, self._now),
        ).fetchone()
        if found is None:
            return None
        content, packed = found
        positions = zip(sorted(publication.channels), array("q", packed), strict=True)
        # The answer has the order of positions, as if it had just been stored.
        inOrder = dict(sorted(positions, key=lambda each: each[1]))
        return content, Published(self._log.epoch, inOrder)

    def remember(self, publication: Publication, answer: Published) -> None:
        """
        See L{KeyedBatches.remember}.
        """
        scope = publication.keyScope
        if scope is not None:
            packed = array("q", [answer.positions[each] for each in sorted(answer.positions)])
            known = publication.fingerprint(), answer
            self._new[scopeDigest(scope, 32)] = known, packed.tobytes()

    def save(self) -> None:
        """
        Write the keys of this transaction.
        """
        if not self._new:
            return
        until = self._now + KEY_SECONDS
        rows = [
            (scope, content, packed, until) for scope, ((content, _), packed) in self._new.items()
        ]
        # A row of the same key may still be there, if it is too old.
        before = self._connection.total_changes
        self._connection.executemany("DELETE FROM keys WHERE scope = ?", [row[:1] for row in rows])
        self._log.keys -= self._connection.total_changes - before
        self._connection.executemany("INSERT INTO keys VALUES (?, ?, ?, ?)", rows)
        self._log.keys += len(rows)
        self._new.clear()

    def forget(self, limit: int, most: int = MOST_KEYS) -> bool:
        """
        Forget keys that are too old, or too many.

        @param limit: How many keys to forget at most.

        @return: Whether more keys may have to be forgotten.
        """
        tooMany = max(self._log.keys - most, 0)
        oldest = self._connection.execute(
            "SELECT scope, until FROM keys ORDER BY until LIMIT ?", (limit,)
        ).fetchall()
        gone = [
            (scope,)
            for index, (scope, until) in enumerate(oldest)
            if until <= self._now or index < tooMany
        ]
        if gone:
            self._connection.executemany("DELETE FROM keys WHERE scope = ?", gone)
            self._log.keys -= len(gone)
        return len(gone) == limit
