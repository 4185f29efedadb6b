"""
Many rows by few steps: the new messages of a transaction, and the oldest ones that it
may have to drop.

The module C{sqlite3} gives up the lock of the interpreter for each step of a statement,
as for each row that is inserted or fetched.  While the thread of the reactor has work,
it gives the lock back only at its switch interval, which is some milliseconds.  So a
thousand rows that are written one by one take the thread that writes not ten
milliseconds but seconds, and all that wait for it behind them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from comet.bus.sqlite.schema import IS_RESERVED

# How many rows one statement takes; what it has too many is filled with rows without
# values.  The connection keeps its compiled statements, so there are few lengths.  All
# versions of SQLite take 999 parameters.
_TOGETHER: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_PARAMETERS: Final = 999

# How many rows are fetched first, and how many times more next, if they are not enough.
_FIRST: Final = 8
_GROWTH: Final = 8

# Nothing else than digits is in the answer, so no text of a file that was tampered with
# is taken for a separator.
_ROW: Final = """
    position || ' ' || CAST(channel AS INTEGER) || ' ' ||
    printf('%!.17g', CAST(time AS REAL)) || ' ' ||
    ifnull(length(payload), 0) || ' ' || ifnull(length(event), 0)
"""
_SOME: Final = """(
    SELECT position, channel, time, payload, event FROM messages
    WHERE {which} AND position > ? ORDER BY position LIMIT ?
)"""
_FETCH: Final = f"SELECT group_concat({_ROW}, ';') FROM {_SOME.format(which='channel = ?')}"
_SUM: Final = f"""
    SELECT count(*), max(position), sum(ifnull(length(payload), 0)), sum(ifnull(length(event), 0))
    FROM {_SOME.format(which="channel = ?")}
"""

# Whether a message is of the server's own channels.  One without a channel is not.
_OF_KIND: Final = f"ifnull((SELECT {IS_RESERVED} FROM channels WHERE channels.id = channel), 0) = ?"
_WALK: Final = (
    f"SELECT group_concat(CASE WHEN {_OF_KIND} THEN {_ROW} END, ';'), max(position) "
    f"FROM {_SOME.format(which='1')}"
)

# How many messages a walk looks at in one step, and how many in all: a reader has to
# wait until the transaction ends.
_MOST_IN_STEP: Final = 4096
_WALKED: Final = 20000


class HeldRow(NamedTuple):
    """
    A message that is held, as far as dropping it needs.

    @ivar channel: The number of its channel.

    @ivar time: In seconds since 1970.

    @ivar payloadBytes: How many bytes its payload has.

    @ivar eventLength: How many characters the name of its event has.
    """

    position: int
    channel: int
    time: float
    payloadBytes: int
    eventLength: int

    @property
    def messages(self) -> int:
        """
        How many messages this is.
        """
        return 1


class HeldSum(NamedTuple):
    """
    The oldest messages of a channel, taken together.

    @ivar messages: How many they are.

    @ivar position: That of the newest of them.

    @ivar payloadBytes: How many bytes their payloads have.

    @ivar eventLength: How many characters the names of their events have.
    """

    messages: int
    position: int
    payloadBytes: int
    eventLength: int


class Walked(NamedTuple):
    """
    A part of a walk along the log.

    @ivar rows: The messages of the kind that was asked for.

    @ivar last: The position of the last message that was looked at.
    """

    rows: Sequence[HeldRow]
    last: int


def executeTogether(
    connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]
) -> None:
    """
    Execute a statement for some rows, 128 at a time, or 64 where these are wide.

    @param statement: It has C{{places}} where the rows belong: each with a question mark
        for each value.  It does nothing for a row without values.

    @param rows: The values of each, all as many: at most 15.  The first is never
        L{None}.
    """
    if not rows:
        return
    width = len(rows[0])
    place = f"({', '.join('?' * width)})"
    lengths = [each for each in _TOGETHER if each * width <= _PARAMETERS]
    for start in range(0, len(rows), lengths[-1]):
        block = rows[start : start + lengths[-1]]
        length = next(each for each in lengths if each >= len(block))
        values = [value for row in block for value in row]
        values += [None] * (length * width - len(values))
        connection.execute(statement.format(places=", ".join([place] * length)), values)


def insertMessages(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """
    Insert messages.

    @param rows: The columns of each, in the order of the table.
    """
    executeTogether(
        connection,
        "INSERT INTO messages SELECT * FROM (VALUES {places}) WHERE column1 IS NOT NULL",
        rows,
    )


def oldestMessages(
    connection: sqlite3.Connection, limit: int, channel: int, expected: int = 0
) -> Iterator[HeldRow]:
    """
    Fetch the oldest messages that are held of a channel, as many as the caller takes.
    None may be deleted meanwhile.

    @param limit: How many to fetch at most.

    @param channel: The number of the channel.

    @param expected: How many the caller takes, as far as it knows: so many are fetched
        by one statement, and hardly more.

    @return: The messages in the order of positions.
    """
    # The positions of a file that was tampered with may be negative.
    after, count = -(2**63), max(_FIRST, expected)
    while limit > 0:
        count = min(count, limit)
        [found] = connection.execute(_FETCH, (channel, after, count)).fetchone()
        rows = _readAll(found)
        yield from rows
        if len(rows) < count:
            return
        after = rows[-1].position
        limit -= count
        count *= _GROWTH


def sumOldest(connection: sqlite3.Connection, channel: int, count: int) -> HeldSum | None:
    """
    Add up the oldest messages that are held of a channel.

    @param channel: The number of the channel.

    @param count: How many, if there are so many.

    @return: The sum, or L{None} if there is no message.
    """
    found = connection.execute(_SUM, (channel, -(2**63), count)).fetchone()
    return HeldSum(*found) if found[0] else None


def walkMessages(connection: sqlite3.Connection, isReserved: bool, after: int) -> Iterator[Walked]:
    """
    Walk along the log, and fetch the messages of one kind.  None may be deleted
    meanwhile.

    @param isReserved: Whether to fetch those of the server's own channels, or those of
        all others.

    @param after: The position after which to begin.

    @return: The parts of the walk, of which each is longer than the one before.  It
        ends with the log, which is told by a part without messages at C{after}; or
        after many messages.
    """
    count, left = _FIRST, _WALKED
    while left > 0:
        found, last = connection.execute(_WALK, (isReserved, after, count)).fetchone()
        yield Walked(_readAll(found), after if last is None else last)
        if last is None:
            return
        after = last
        left -= count
        count = min(count * _GROWTH, _MOST_IN_STEP)


def deleteWalked(connection: sqlite3.Connection, isReserved: bool, after: int, last: int) -> None:
    """
    Delete the messages of one kind between two positions of a walk.

    @param after: Where the walk began.

    @param last: The last position to delete.
    """
    connection.execute(
        f"DELETE FROM messages WHERE position > ? AND position <= ? AND {_OF_KIND}",
        (after, last, isReserved),
    )


def _readAll(found: str | None) -> list[HeldRow]:
    # SQLite promises no order within what it joins.
    return [] if found is None else sorted(map(_read, found.split(";")))


def _read(row: str) -> HeldRow:
    position, channel, time, payloadBytes, eventLength = row.split(" ")
    return HeldRow(int(position), int(channel), float(time), int(payloadBytes), int(eventLength))
