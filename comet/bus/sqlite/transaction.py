"""
What one transaction writes: new messages, and the dropping of those that are
too many or too old.

A transaction drops a limited number of messages.  What is left to drop stays
due, and a later transaction goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from comet.bus.idempotency import KeyBudget
from comet.bus.sqlite.idempotency import KeyTable
from comet.bus.sqlite.rows import CHANNEL_OVERHEAD, ChannelRow, ChannelRows, LogRow
from comet.framing.stored import NotOurs
from comet.model.log import FLOORS_PART, Retention
from comet.model.messages import MESSAGE_OVERHEAD, Message, Publication, Published

# How many messages a transaction drops at most, in addition to two for each
# that it stores.
DROPS: Final = 1000

# How many channels, and how many keys, one sweep looks at.
SWEPT: Final = 200

# Tells whether to drop a message, given its position and time.
_IsUnwanted = Callable[[int, float], bool]


class Transaction:
    """
    One transaction.  The caller has begun it, and commits it.

    @ivar log: The row of the log, as the transaction changes it.

    @ivar stored: The messages that the transaction stores.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention: Callable[[str], Retention],
        totalBytes: int,
        now: float,
        keysNow: float,
        keyBudget: KeyBudget,
        refused: Callable[[NotOurs], None],
    ) -> None:
        """
        @param now: The time, in seconds since 1970.

        @param keysNow: The time by which idempotency keys grow old.

        @param keyBudget: How many bytes they may count for.

        @param refused: Told of what comet cannot have written.
        """
        self._connection = connection
        self._totalBytes = totalBytes
        self._mostEmpty = totalBytes // (FLOORS_PART * CHANNEL_OVERHEAD)
        self._now = now
        self._budget = DROPS
        self.log = LogRow(connection)
        self._rows = ChannelRows(connection, retention, refused)
        self._keys = KeyTable(connection, self.log, keysNow, keyBudget)
        self.stored: list[Message] = []
        # The channels of these messages.
        self._touched: dict[ChannelRow, None] = {}
        self._inserts: list[tuple[object, ...]] = []

    # -- Storing

    def publish(self, publications: Sequence[Publication]) -> list[Published]:
        """
        Store all of these publications, or none.

        @raise KeyReused: See L{comet.interfaces.IMessageBus.publish}.
        """
        return self._keys.storeBatch(publications, self._store)

    def _store(self, publication: Publication) -> Published:
        positions = {}
        for channel in publication.channels:
            row = self._rows.named(channel) or self._addRow(channel)
            self.log.end += 1
            message = Message(
                row.name,
                self.log.epoch,
                self.log.end,
                self._now,
                publication.payload,
                publication.event,
                publication.encoding,
            )
            if not row.held:
                self.log.emptyChannels -= 1
            row.append(message)
            self.log.size += message.size
            self._touched[row] = None
            self.stored.append(message)
            self._inserts.append(
                (
                    message.position,
                    row.id,
                    message.time,
                    message.event,
                    message.encoding,
                    message.payload,
                )
            )
            positions[row.name] = message.position
        return Published(self.log.epoch, positions)

    def _addRow(self, channel: str) -> ChannelRow:
        row = self._rows.add(channel, self.log.floor)
        self.log.channels += 1
        self.log.emptyChannels += 1
        self.log.size += row.size
        return row

    def save(self) -> None:
        """
        Write all changes, and drop what is then too much.
        """
        self._connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", self._inserts
        )
        self._budget += 2 * len(self._inserts)
        for row in self._touched:
            self._trim(row)
        self._evict()
        # L{_forgetStalest} asks the database for the stalest rows.
        self._rows.save()
        self._forgetStalest()
        self.log.save(self._connection)

    # -- Dropping

    def _trim(self, row: ChannelRow) -> None:
        if row.holdsTooMuch:
            self._dropWhile(row, lambda position, time: row.holdsTooMuch)
            row.isBehind = row.holdsTooMuch

    def _dropWhile(self, row: ChannelRow, isUnwanted: _IsUnwanted) -> None:
        """
        Drop the oldest messages of a channel while they are unwanted.
        """
        floor = row.floor
        found = self._connection.execute(
            "SELECT position, CAST(time AS REAL), length(payload), ifnull(length(event), 0) "
            "FROM messages "
            "WHERE channel = ? ORDER BY position LIMIT ?",
            (row.id, self._budget + 1),
        )
        for position, time, payloadBytes, eventLength in found:
            if not self._budget or not isUnwanted(position, time):
                row.oldest, row.since = position, time
                break
            self._count(payloadBytes, eventLength)
            self._drop(row, position, payloadBytes)
        found.close()
        if row.floor > floor:
            self._connection.execute(
                "DELETE FROM messages WHERE channel = ? AND position <= ?", (row.id, row.floor)
            )

    def _count(self, payloadBytes: int, eventLength: int) -> None:
        """
        Count a message that is dropped.
        """
        self.log.size -= payloadBytes + 4 * eventLength + MESSAGE_OVERHEAD
        self._budget -= 1

    def _drop(self, row: ChannelRow, position: int, payloadBytes: int) -> None:
        row.drop(position, payloadBytes)
        if not row.held:
            self.log.emptyChannels += 1

    def _evict(self) -> None:
        """
        Drop the oldest messages of all channels until the total is within its
        limit.
        """
        if self.log.size <= self._totalBytes:
            return
        found = self._connection.execute(
            "SELECT position, channel, length(payload), ifnull(length(event), 0) FROM messages "
            "ORDER BY position LIMIT ?",
            (self._budget,),
        )
        dropped: dict[ChannelRow, None] = {}
        last = 0
        for position, number, payloadBytes, eventLength in found:
            row = self._rows.numbered(number)
            self._count(payloadBytes, eventLength)
            if row is not None:
                self._drop(row, position, payloadBytes)
                dropped[row] = None
            last = position
            if self.log.size <= self._totalBytes:
                break
        found.close()
        self._connection.execute("DELETE FROM messages WHERE position <= ?", (last,))
        for row in dropped:
            self._findOldest(row)

    def _findOldest(self, row: ChannelRow) -> None:
        found = self._connection.execute(
            "SELECT position, CAST(time AS REAL) FROM messages "
            "WHERE channel = ? ORDER BY position LIMIT 1",
            (row.id,),
        ).fetchone()
        if found is not None:
            row.oldest, row.since = found

    def _forgetStalest(self) -> None:
        """
        Forget rows without messages until they are few enough, beginning with
        the oldest newest message.
        """
        most = min(self.log.emptyChannels - self._mostEmpty, self._budget)
        if most > 0:
            for row in self._rows.stalest(most):
                self._forgetRow(row)
                self._budget -= 1

    def _forgetRow(self, row: ChannelRow) -> None:
        """
        Forget a channel without messages, with its floor.  The floor of all
        channels without a row rises to its newest message.
        """
        self.log.floor = max(self.log.floor, row.end)
        self.log.size -= row.size
        self.log.channels -= 1
        self.log.emptyChannels -= 1
        self._rows.remove(row)

    def forget(self, channel: str, upTo: int | None) -> int | None:
        """
        Drop messages that are held of a channel, as many as the transaction
        may.

        @param upTo: The last position to drop, or L{None} for the newest
            message.

        @return: The C{upTo} of the next call, or L{None} if all is done.
        """
        row = self._rows.named(channel)
        if row is None:
            return None
        last = row.end if upTo is None else upTo
        self._dropWhile(row, lambda position, time: position <= last)
        return last if row.held and row.oldest <= last else None

    def sweep(self, number: int) -> tuple[bool, int]:
        """
        Drop messages that are too old, and forget old keys.

        @param number: The number up to which rows were refreshed since the
            server started.  Later rows may still follow the retention of an
            earlier start.

        @return: Whether there is more to do, and the number up to which rows
            are refreshed now.
        """
        due = self._rows.due(self._now, SWEPT)
        for row in due:
            self._refresh(row)
        unseen = self._rows.after(number, SWEPT)
        for row in unseen:
            if not self._budget:
                break
            self._refresh(row)
            number = row.id
        more = self._keys.forget(SWEPT) or self.log.size > self._totalBytes
        more = more or self.log.emptyChannels > self._mostEmpty
        return more or not self._budget or SWEPT in (len(due), len(unseen)), number

    def _refresh(self, row: ChannelRow) -> None:
        """
        Drop what a channel should not hold by now, and find the time at which
        it is due next.
        """
        due = row.due
        if row.held and row.since + row.retention.seconds <= self._now:
            seconds = row.retention.seconds
            self._dropWhile(row, lambda position, time: time + seconds <= self._now)
        row.isBehind = False
        self._trim(row)
        row.values()
        row.isChanged = row.isChanged or row.due != due
