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
from comet.bus.membertable import Change
from comet.bus.sqlite.idempotency import KeyTable
from comet.bus.sqlite.manyrows import (
    HeldRow,
    HeldSum,
    deleteWalked,
    insertMessages,
    oldestMessages,
    sumOldest,
    walkMessages,
)
from comet.bus.sqlite.memberrows import saveChanges
from comet.bus.sqlite.rows import CHANNEL_OVERHEAD, ChannelRow, ChannelRows, LogRow
from comet.bus.sqlite.statetable import StateTable
from comet.framing.stored import NotOurs, joinMarks
from comet.model.log import FLOORS_PART, RESERVED_PART, Retention
from comet.model.messages import MESSAGE_OVERHEAD, ExcludingMessage, Message, Publication, Published
from comet.model.presence import presenceChannel
from comet.model.state import StateEntry

# How many messages a transaction drops at most, in addition to two for each
# that it stores.
DROPS: Final = 1000

# More messages than that are dropped without a look at each.
FEW: Final = 8

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
        self._mostReserved = totalBytes // RESERVED_PART
        self._now = now
        self._budget = DROPS
        # Whether all messages of clients' channels had to be dropped.
        self._isBare = False
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

        @raise KeyReused: See L{comet.interfaces.messagebus.IMessageBus.publish}.
        """
        return self._keys.storeBatch(publications, self._store)

    def _store(self, publication: Publication) -> Published:
        positions = {}
        for channel in publication.channels:
            message = self.append(
                channel,
                publication.payload,
                publication.event,
                publication.encoding,
                publication.exclude,
            )
            positions[message.channel] = message.position
        return Published(self.log.epoch, positions)

    def append(
        self,
        channel: str,
        payload: bytes,
        event: str | None,
        encoding: str | None = None,
        exclude: str | None = None,
    ) -> Message:
        """
        Store a message of a channel, which is the newest of the log.
        """
        row = self._rows.named(channel) or self._addRow(channel)
        self.log.end += 1
        name, epoch, end, now = row.name, self.log.epoch, self.log.end, self._now
        if exclude is None:
            message = Message(name, epoch, end, now, payload, event, encoding)
        else:
            message = ExcludingMessage(name, epoch, end, now, payload, event, encoding, exclude)
        size = message.size
        self.log.size += size
        if not row.held:
            self.log.emptyChannels -= 1
            size += row.size
        if row.isReserved:
            self.log.reserved += size
        row.append(message)
        self._touched[row] = None
        self.stored.append(message)
        marks = encoding if exclude is None else joinMarks(encoding, exclude)
        self._inserts.append((message.position, row.id, message.time, event, marks, payload))
        return message

    def putState(
        self, change: Publication, key: str, seconds: float | None, most: int
    ) -> StateEntry:
        """
        See L{IStateBus.putState<comet.interfaces.statebus.IStateBus.putState>}.

        @raise TooMany: If the table is full.
        """
        [channel] = change.channels
        message = self.append(channel, change.payload, change.event, change.encoding)
        entry = StateEntry(key, message.payload, message.time, seconds)
        StateTable(self._connection, channel, self._now).put(entry, most)
        return entry

    def dropState(self, change: Publication, key: str) -> bool:
        """
        See L{IStateBus.dropState<comet.interfaces.statebus.IStateBus.dropState>}.
        """
        [channel] = change.channels
        wasThere = StateTable(self._connection, channel, self._now).drop(key)
        if wasThere:
            self.append(channel, change.payload, change.event, change.encoding)
        return wasThere

    def changeMembers(self, changes: Sequence[Change]) -> None:
        """
        Write changes of members, and store the message of each.
        """
        saveChanges(self._connection, changes)
        for record, event, payload in changes:
            self.append(presenceChannel(record.channel.name), payload, event)

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
        insertMessages(self._connection, self._inserts)
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
            # The last one is left for what finds the oldest message that stays.
            surplus = min(row.held - row.retention.messages, self._budget) - 1
            if surplus > FEW:
                self._dropTogether(row, surplus)
            self._dropWhile(row, lambda position, time: row.holdsTooMuch, row.excess)
            row.isBehind = row.holdsTooMuch

    def _dropTogether(self, row: ChannelRow, count: int) -> None:
        """
        Drop the oldest messages of a channel without a look at each.

        @param count: How many, which is fewer than it holds.
        """
        found = sumOldest(self._connection, row.id, count)
        if found is not None:
            self._drop(row, found)
            self._delete(row)

    def _delete(self, row: ChannelRow) -> None:
        self._connection.execute(
            "DELETE FROM messages WHERE channel = ? AND position <= ?", (row.id, row.floor)
        )

    def _dropWhile(self, row: ChannelRow, isUnwanted: _IsUnwanted, expected: int = 0) -> None:
        """
        Drop the oldest messages of a channel while they are unwanted.

        @param expected: About how many they are, as far as it is known.
        """
        floor = row.floor
        # One more: the message that is the oldest then.
        for held in oldestMessages(self._connection, self._budget + 1, row.id, expected + 1):
            if not self._budget or not isUnwanted(held.position, held.time):
                row.oldest, row.since = held.position, held.time
                break
            self._drop(row, held)
        if row.floor > floor:
            self._delete(row)

    def _drop(self, row: ChannelRow | None, held: HeldRow | HeldSum) -> None:
        """
        Count messages no more: one, or the oldest of a channel.

        @param row: Their channel, if they have one.
        """
        size = held.payloadBytes + 4 * held.eventLength + held.messages * MESSAGE_OVERHEAD
        self.log.size -= size
        self._budget -= held.messages
        if row is None:
            return
        row.drop(held)
        if not row.held:
            self.log.emptyChannels += 1
            size += row.size
        if row.isReserved:
            self.log.reserved -= size

    def _evict(self) -> None:
        """
        Drop messages until the total is within its limit: the oldest of the server's
        own channels while these take more than their part, then the oldest of all
        others.
        """
        if self.log.size > self._totalBytes and self.log.reserved > self._mostReserved:
            self._dropOldest(isReserved=True)
        if self.log.size > self._totalBytes and self.log.reserved <= self._mostReserved:
            self._isBare = self._dropOldest(isReserved=False)

    def _dropOldest(self, isReserved: bool) -> bool:
        """
        Drop the oldest messages of one kind of channels, as many as the transaction may,
        until the total is within its limit, or the kind within its own.

        @return: Whether all were dropped, and it was not enough.
        """
        kind = 0 if isReserved else 1
        after = last = self.log.dropped[kind]
        dropped: dict[ChannelRow, None] = {}
        isEnd = isEnough = False
        for part in walkMessages(self._connection, isReserved, after):
            isEnd = part.last == last and not part.rows
            for held in part.rows:
                isEnough = not self._budget or self._isWithin(isReserved)
                if isEnough:
                    break
                row = self._rows.numbered(held.channel)
                self._drop(row, held)
                if row is not None:
                    dropped[row] = None
                last = held.position
            isEnough = isEnough or not self._budget or self._isWithin(isReserved)
            if isEnough:
                break
            last = part.last
        if last > after:
            self.log.dropped[kind] = last
            deleteWalked(self._connection, isReserved, after, last)
        for row in dropped:
            self._findOldest(row)
        return isEnd and not isEnough

    def _isWithin(self, isReserved: bool) -> bool:
        """
        Whether no message of one kind of channels has to be dropped any more.
        """
        if self.log.size <= self._totalBytes:
            return True
        return isReserved and self.log.reserved <= self._mostReserved

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
        the oldest newest message; and while the total is above its limit, if clients'
        channels have no message any more.
        """
        most = self.log.emptyChannels - self._mostEmpty
        isTooLarge = self._isBare and self.log.size > self._totalBytes
        if most <= 0 and not isTooLarge:
            return
        for row in self._rows.stalest(self._budget if isTooLarge else min(most, self._budget)):
            if most <= 0 and self.log.size <= self._totalBytes:
                break
            self._forgetRow(row)
            self._budget -= 1
            most -= 1

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
