"""
What one transaction writes: messages, and what has to go because of them, or of
time.

No transaction drops more than so many messages: what is left to drop is due,
and the next one goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from comet.bus.sqlite.idempotency import KeyTable
from comet.bus.sqlite.rows import CHANNEL_OVERHEAD, ChannelRow, ChannelRows, LogRow
from comet.model.log import Retention
from comet.model.messages import MESSAGE_OVERHEAD, Message, Publication, Published

# How many messages a transaction drops at most, besides two for each that it
# stores.
DROPS: Final = 1000

# How many channels, and how many keys, are looked at in one sweep.
SWEPT: Final = 200

# Whether to drop a message, by its position and time.
_IsUnwanted = Callable[[int, float], bool]


class Transaction:
    """
    One transaction, which was begun and will be committed by somebody else.

    @ivar log: The log, as the transaction changes it.

    @ivar stored: The messages that it stores.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention: Callable[[str], Retention],
        totalBytes: int,
        now: float,
    ) -> None:
        """
        @param now: In seconds since 1970.
        """
        self._connection = connection
        self._totalBytes = totalBytes
        self._now = now
        self._budget = DROPS
        self.log = LogRow(connection)
        self._rows = ChannelRows(connection, retention)
        self._keys = KeyTable(connection, self.log, now)
        self.stored: list[Message] = []
        # The channels that the messages are of.
        self._touched: dict[ChannelRow, None] = {}
        self._inserts: list[tuple[object, ...]] = []

    # -- Storing

    def publish(self, publications: Sequence[Publication]) -> list[Published]:
        """
        Store all of these, or none.

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
        self.log.size += row.size
        return row

    def save(self) -> None:
        """
        Write everything, and drop what is then too much.
        """
        self._connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", self._inserts
        )
        self._budget += 2 * len(self._inserts)
        for row in self._touched:
            self._trim(row)
        self._keys.save()
        # Which is the stalest row is asked of the database.
        self._rows.save()
        self._evict()
        self._rows.save()
        self.log.save(self._connection)

    # -- Dropping

    def _trim(self, row: ChannelRow) -> None:
        if row.holdsTooMuch:
            self._dropWhile(row, lambda position, time: row.holdsTooMuch)
            row.isBehind = row.holdsTooMuch

    def _dropWhile(self, row: ChannelRow, isUnwanted: _IsUnwanted) -> None:
        """
        Drop the oldest messages of a channel as long as they are unwanted.
        """
        floor = row.floor
        found = self._connection.execute(
            "SELECT position, time, length(payload), ifnull(length(event), 0) FROM messages "
            "WHERE channel = ? ORDER BY position LIMIT ?",
            (row.id, self._budget + 1),
        )
        for position, time, payloadBytes, eventLength in found:
            if not self._budget or not isUnwanted(position, time):
                row.oldest, row.since = position, time
                break
            self._drop(row, position, payloadBytes, eventLength)
        found.close()
        if row.floor > floor:
            self._connection.execute(
                "DELETE FROM messages WHERE channel = ? AND position <= ?", (row.id, row.floor)
            )

    def _drop(self, row: ChannelRow, position: int, payloadBytes: int, eventLength: int) -> None:
        row.drop(position, payloadBytes)
        self.log.size -= payloadBytes + 4 * eventLength + MESSAGE_OVERHEAD
        self._budget -= 1

    def _evict(self) -> None:
        """
        Drop the oldest messages of all until the total is within its bound.

        ChannelRows of idle channels go last, unless there are so many that they would
        take the room of the messages.
        """
        if self.log.size <= self._totalBytes:
            return
        found = self._connection.execute(
            "SELECT position, channel, length(payload), ifnull(length(event), 0) FROM messages "
            "ORDER BY position LIMIT ?",
            (self._budget,),
        )
        oldest = found.fetchone()
        dropped: dict[ChannelRow, None] = {}
        last = 0
        while self.log.size > self._totalBytes and self.log.channels and self._budget:
            isCrowded = self.log.channels * CHANNEL_OVERHEAD * 4 > self._totalBytes
            stalest = self._rows.stalest()
            if not stalest.held and (isCrowded or oldest is None):
                self._forgetRow(stalest)
                dropped.pop(stalest, None)
                self._budget -= 1
                continue
            if oldest is None:
                # The budget is spent on other things.
                break
            last, number, payloadBytes, eventLength = oldest
            row = self._rows.numbered(number)
            self._drop(row, last, payloadBytes, eventLength)
            dropped[row] = None
            oldest = found.fetchone()
        found.close()
        self._connection.execute("DELETE FROM messages WHERE position <= ?", (last,))
        for row in dropped:
            self._findOldest(row)

    def _findOldest(self, row: ChannelRow) -> None:
        found = self._connection.execute(
            "SELECT position, time FROM messages WHERE channel = ? ORDER BY position LIMIT 1",
            (row.id,),
        ).fetchone()
        if found is not None:
            row.oldest, row.since = found

    def _forgetRow(self, row: ChannelRow) -> None:
        """
        Forget a channel as a whole.  Everything up to its newest message is
        then unknown for every channel without a row.
        """
        self.log.floor = max(self.log.floor, row.end)
        self.log.size -= row.size
        self.log.channels -= 1
        self._rows.remove(row)

    def forget(self, channel: str, upTo: int | None) -> int | None:
        """
        Drop what is held of a channel.

        @param upTo: The last position to drop, or L{None} for all there is.

        @return: The last position to drop next time; or L{None} if all is done.
        """
        row = self._rows.named(channel)
        if row is None:
            return None
        last = row.end if upTo is None else upTo
        self._dropWhile(row, lambda position, time: position <= last)
        return last if row.held and row.oldest <= last else None

    def sweep(self, number: int) -> tuple[bool, int]:
        """
        Drop what is too old, and forget channels that are idle and keys.

        @param number: Up to which number the rows were looked at since the
            server was started: then they were held by other rules, perhaps.

        @return: Whether there is more to do, and up to which number rows were
            looked at now.
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
        return more or not self._budget or SWEPT in (len(due), len(unseen)), number

    def _refresh(self, row: ChannelRow) -> None:
        """
        Drop what is to be dropped of a channel by now, and find out when
        something is the next time.
        """
        due = row.due
        if row.held and row.since + row.retention.seconds <= self._now:
            seconds = row.retention.seconds
            self._dropWhile(row, lambda position, time: time + seconds <= self._now)
        row.isBehind = False
        self._trim(row)
        if not row.held and row.idleAt <= self._now:
            self._forgetRow(row)
        else:
            row.values()
            row.isChanged = row.isChanged or row.due != due
