"""
The row of the log and the rows of its channels, during one transaction.

A row is read once, changed in memory, and written back once, regardless of the
number of messages that the transaction stores.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from comet.bus.sqlite.manyrows import HeldRow, HeldSum
from comet.bus.sqlite.schema import NONE_DROPPED
from comet.framing.stored import NotOurs, checkStoredChannel, checkStoredEnd
from comet.model.channels import isReserved
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message

# How many bytes a channel counts for in the limit of what the bus holds, beside
# its name.  It is the same as in the memory bus, so that the option means the
# same.
CHANNEL_OVERHEAD: Final = 512

_COLUMNS: Final = "id, name, head, floor, oldest, since, held, bytes, due"


def endOf(row: Sequence[Any] | None) -> Cursor:
    """
    Return where the log ends.

    @param row: The row of the table C{log}, which begins with its epoch and its
        end, or L{None} if there is none.

    @raise sqlite3.DatabaseError: If comet cannot have written them.
    """
    try:
        if row is None:
            raise NotOurs("end", "the log has no end")
        return checkStoredEnd(*row[:2])
    except NotOurs as error:
        raise sqlite3.DatabaseError(f"database disk image is malformed: {error}") from None


class LogRow:
    """
    The log as a whole.

    @ivar epoch: Its epoch.

    @ivar end: The position of its newest message.

    @ivar floor: The floor of all channels without a row.

    @ivar size: How many bytes the held messages and channels count for.

    @ivar channels: How many channels have a row.

    @ivar emptyChannels: How many of them hold no message.

    @ivar keyBytes: How many bytes the idempotency keys count for.

    @ivar reserved: How many bytes those of the server's own channels count for that
        hold messages.

    @ivar dropped: No message of the server's own channels is held at or before the
        first of these positions, and none of all other channels at or before the
        second.
    """

    __slots__ = (
        "channels",
        "dropped",
        "emptyChannels",
        "end",
        "epoch",
        "floor",
        "keyBytes",
        "reserved",
        "size",
    )

    def __init__(self, connection: sqlite3.Connection) -> None:
        """
        Read the row.
        """
        row = connection.execute(
            "SELECT epoch, head, floor, size, channels, empty, keyBytes, reserved, "
            "reservedDropped, othersDropped FROM log"
        ).fetchone()
        # They are copied into the cursors of live messages, too.
        self.epoch, self.end = endOf(row)
        if any(type(each) is not int for each in row[1:]):
            raise sqlite3.DatabaseError(f"database disk image is malformed: {row!r:.200}")
        (
            self.floor,
            self.size,
            self.channels,
            self.emptyChannels,
            self.keyBytes,
            self.reserved,
            *self.dropped,
        ) = row[2:]

    def empty(self) -> None:
        """
        Set all counts to those of a log in which nothing was ever stored.
        """
        self.end = self.floor = self.size = 0
        self.channels = self.emptyChannels = self.keyBytes = self.reserved = 0
        self.dropped = [NONE_DROPPED, NONE_DROPPED]

    def save(self, connection: sqlite3.Connection) -> None:
        """
        Write the row back.
        """
        connection.execute(
            "UPDATE log SET head = ?, floor = ?, size = ?, channels = ?, empty = ?, keyBytes = ?, "
            "reserved = ?, reservedDropped = ?, othersDropped = ?",
            (
                *(self.end, self.floor, self.size, self.channels, self.emptyChannels),
                *(self.keyBytes, self.reserved, *self.dropped),
            ),
        )


# The name of a channel to which comet cannot have given its own, and what is to be
# held of it.
_NO_NAME: Final = ""
_NOTHING: Final = Retention(messages=0, seconds=0.0, bytes=0)


class ChannelRow:
    """
    One channel.  Its attributes are the columns (see
    L{comet.bus.sqlite.schema}), and:

    @ivar retention: How much of the channel is to be held.

    @ivar isChanged: Whether the row has to be written back.

    @ivar isBehind: Whether the channel holds more than it should, because the
        transaction has dropped as many messages as it may.
    """

    __slots__ = (
        "bytes",
        "due",
        "end",
        "floor",
        "held",
        "id",
        "isBehind",
        "isChanged",
        "name",
        "oldest",
        "retention",
        "since",
    )

    def __init__(
        self,
        values: tuple[int, str, int, int, int, float, int, int, float],
        retention: Retention,
    ) -> None:
        (
            self.id,
            self.name,
            self.end,
            self.floor,
            self.oldest,
            self.since,
            self.held,
            self.bytes,
            self.due,
        ) = values
        self.retention = retention
        self.isChanged = False
        self.isBehind = False

    @property
    def size(self) -> int:
        """
        How many bytes the row counts for, without its messages.
        """
        return CHANNEL_OVERHEAD + len(self.name.encode())

    @property
    def isReserved(self) -> bool:
        """
        Whether this is one of the server's own channels.
        """
        return isReserved(self.name)

    @property
    def holdsTooMuch(self) -> bool:
        """
        Whether there are more messages, or more bytes, than the retention
        allows.
        """
        return self.held > self.retention.messages or self.bytes > self.retention.bytes

    @property
    def excess(self) -> int:
        """
        How many messages there are too many; where there are too many bytes, about how
        many, as if all messages were as large.
        """
        retention = self.retention
        surplus = max(0, self.bytes - retention.bytes)
        ofBytes = -(-self.held * surplus // self.bytes) if surplus else 0
        return max(self.held - retention.messages, ofBytes)

    def append(self, message: Message) -> None:
        """
        Count a new message, which is the newest.
        """
        if not self.held:
            self.oldest, self.since = message.position, message.time
        self.held += 1
        self.bytes += len(message.payload)
        self.end = message.position
        self.isChanged = True

    def drop(self, oldest: HeldRow | HeldSum) -> None:
        """
        Count the oldest messages no more.  The caller has to find out which
        message is the oldest then.
        """
        self.held -= oldest.messages
        self.bytes -= oldest.payloadBytes
        self.floor = oldest.position
        self.isChanged = True

    def values(self) -> tuple[object, ...]:
        """
        Return the columns to be written back, with the number of the row last.
        """
        if self.isBehind:
            self.due = 0.0
        else:
            self.due = self.since + self.retention.seconds if self.held else math.inf
        return (
            self.end,
            self.floor,
            self.oldest,
            self.since,
            self.held,
            self.bytes,
            self.due,
            self.id,
        )


class ChannelRows:
    """
    The rows that a transaction has read or made, each once.

    A channel whose name comet cannot have written holds nothing: its messages
    are dropped when they come up.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention: Callable[[str], Retention],
        refused: Callable[[NotOurs], None],
    ) -> None:
        """
        @param refused: Told of each name that comet cannot have written.
        """
        self._connection = connection
        self._retention = retention
        self._refused = refused
        self._byNumber: dict[int, ChannelRow] = {}
        self._byName: dict[str, ChannelRow] = {}

    def named(self, name: str) -> ChannelRow | None:
        """
        Return the row of a channel, or L{None} if it has none.
        """
        row = self._byName.get(name)
        if row is None:
            found = self._select("WHERE name = ?", name)
            row = found[0] if found else None
        return row

    def numbered(self, number: int) -> ChannelRow | None:
        """
        Return the row with a number, or L{None} if there is none: another program has
        written a message without a channel, or has removed the channel.
        """
        row = self._byNumber.get(number)
        if row is None:
            found = self._select("WHERE id = ?", number)
            row = found[0] if found else None
        return row

    def stalest(self, limit: int) -> Sequence[ChannelRow]:
        """
        Return the rows without messages with the oldest newest message.
        Changed rows must have been saved before.
        """
        return self._select("WHERE held = 0 ORDER BY head LIMIT ?", limit)

    def due(self, now: float, limit: int) -> Sequence[ChannelRow]:
        """
        Return rows whose messages may have to be dropped by now.
        """
        return self._select("WHERE due <= ? ORDER BY due LIMIT ?", now, limit)

    def after(self, number: int, limit: int) -> Sequence[ChannelRow]:
        """
        Return the rows with the next greater numbers.
        """
        return self._select("WHERE id > ? ORDER BY id LIMIT ?", number, limit)

    def _select(self, which: str, *values: object) -> list[ChannelRow]:
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM channels {which}", values)
        rows = []
        for each in found.fetchall():
            row = self._byNumber.get(each[0])
            if row is None:
                row = self._keep(self._read(*each))
            rows.append(row)
        return rows

    def _read(self, number: int, name: object, *values: Any) -> ChannelRow:
        try:
            checked = checkStoredChannel(name)
        except NotOurs as error:
            self._refused(error)
            return ChannelRow((number, _NO_NAME, *values), _NOTHING)
        return ChannelRow((number, checked, *values), self._retention(checked))

    def _keep(self, row: ChannelRow) -> ChannelRow:
        self._byNumber[row.id] = self._byName[row.name] = row
        return row

    def add(self, name: str, floor: int) -> ChannelRow:
        """
        Make the row of a channel that has none.
        """
        made = self._connection.execute(
            "INSERT INTO channels (name, head, floor, oldest, since, held, bytes, due) "
            "VALUES (?, ?, ?, 0, 0, 0, 0, 0)",
            (name, floor, floor),
        )
        number = made.lastrowid
        assert number is not None
        values = (number, name, floor, floor, 0, 0.0, 0, 0, 0.0)
        return self._keep(ChannelRow(values, self._retention(name)))

    def remove(self, row: ChannelRow) -> None:
        """
        Remove the row of a channel without messages.
        """
        self._connection.execute("DELETE FROM channels WHERE id = ?", (row.id,))
        del self._byNumber[row.id]
        # Several rows may be without a name.
        self._byName.pop(row.name, None)

    def save(self) -> None:
        """
        Write the changed rows back.
        """
        changed = [row for row in self._byNumber.values() if row.isChanged]
        for row in changed:
            row.isChanged = False
        self._connection.executemany(
            "UPDATE channels SET head = ?, floor = ?, oldest = ?, since = ?, held = ?, bytes = ?, "
            "due = ? WHERE id = ?",
            [row.values() for row in changed],
        )
