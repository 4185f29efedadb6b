"""
Fetches rows of channels and messages, many by one statement, as they are in the database: any
part of them may be wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from comet.bus.sqlite.packedrows import (
    blob,
    bytesOf,
    integer,
    number,
    numberOf,
    packed,
    text,
    unpacked,
)
from comet.framing.stored import MOST_BYTES

# How many bytes of payload are fetched together with others, at most.
_PACKED: Final = 16384

_CHANNELS: Final = packed(
    [
        *(integer("id"), text("name"), integer("head"), integer("floor"), integer("oldest")),
        *(number("since"), integer("held"), number("due")),
    ],
    "FROM (SELECT * FROM channels {which})",
)
_NAMES: Final = packed(
    [integer("id"), text("name")],
    "FROM (SELECT id, name FROM channels WHERE id > ? ORDER BY id LIMIT ?)",
)
_LENGTH: Final = "CASE WHEN typeof(payload) = 'blob' THEN length(payload) ELSE 0 END AS length"
_WALK: Final = packed(
    [integer("position"), text("name"), number("time"), integer("length")],
    f"FROM (SELECT m.position, c.name, m.time, {_LENGTH} FROM messages m "
    "CROSS JOIN channels c ON c.id = m.channel "
    "WHERE m.position > ? AND m.position <= ? ORDER BY m.position LIMIT ?)",
)
_LENGTHS: Final = packed(
    [integer("position"), integer("length")],
    f"FROM (SELECT position, {_LENGTH} FROM messages "
    "WHERE channel = ? AND position > ? AND position < ? ORDER BY position {order} LIMIT ?)",
)
_STORED: Final = packed(
    [
        *(integer("position"), number("time"), text("event"), text("encoding")),
        blob("payload", MOST_BYTES),
    ],
    "FROM messages WHERE position IN ({places})",
)


class ChannelRow(NamedTuple):
    """
    The row of a channel.

    @ivar raw: The name.

    @ivar since: When the oldest message was stored; L{None} if that is no number.

    @ivar due: When messages may have to be dropped; as C{since}.
    """

    id: int
    raw: bytes | None
    end: int
    floor: int
    oldest: int
    since: float | None
    held: int
    due: float | None


class MessageRow(NamedTuple):
    """
    The row of a message, without what is stored in it.

    @ivar raw: The name of its channel.

    @ivar time: When it was stored; L{None} if that is no number.

    @ivar length: How many bytes its payload has.
    """

    position: int
    raw: bytes | None
    time: float | None
    length: int


def fetchChannels(
    connection: sqlite3.Connection, which: str, values: Iterable[object]
) -> list[ChannelRow]:
    """
    Fetch rows of channels, in no order.

    @param which: The rest of the statement that selects them.

    @param values: Its parameters.
    """
    [found] = connection.execute(_CHANNELS.format(which=which), tuple(values)).fetchone()
    return [
        ChannelRow(
            int(id_),
            bytesOf(raw),
            int(end),
            int(floor),
            int(oldest),
            numberOf(since),
            int(held),
            numberOf(due),
        )
        for id_, raw, end, floor, oldest, since, held, due in unpacked(found)
    ]


def fetchNames(connection: sqlite3.Connection, after: int, most: int) -> dict[int, bytes | None]:
    """
    Fetch the names of the next channels in the order of their numbers.

    @param after: The number after which to begin.

    @param most: How many at most.

    @return: The names by these numbers.
    """
    [found] = connection.execute(_NAMES, (after, most)).fetchone()
    return {int(id_): bytesOf(raw) for id_, raw in unpacked(found)}


def fetchMessages(
    connection: sqlite3.Connection, after: int, last: int, most: int
) -> list[MessageRow]:
    """
    Fetch the rows of the next messages, in the order of positions.

    @param after: The position after which to begin.

    @param last: The position at which to end.

    @param most: How many at most.
    """
    [found] = connection.execute(_WALK, (after, last, most)).fetchone()
    return sorted(
        (
            MessageRow(int(position), bytesOf(raw), numberOf(time), int(length))
            for position, raw, time, length in unpacked(found)
        ),
        key=_position,
    )


def _position(row: MessageRow) -> int:
    return row.position


def fetchLengths(
    connection: sqlite3.Connection,
    channel: int,
    after: int,
    before: int,
    most: int,
    isNewest: bool,
) -> list[tuple[int, int]]:
    """
    Fetch the positions of messages of a channel between two others, and how many bytes
    their payloads have.

    @param channel: Its number.

    @param most: How many at most.

    @param isNewest: Whether the newest of them come first; otherwise the oldest.
    """
    statement = _LENGTHS.format(order="DESC" if isNewest else "")
    [found] = connection.execute(statement, (channel, after, before, most)).fetchone()
    rows = ((int(position), int(length)) for position, length in unpacked(found))
    return sorted(rows, reverse=isNewest)


def fetchStored(
    connection: sqlite3.Connection, messages: Sequence[tuple[int, int]]
) -> dict[int, tuple[Any, ...]]:
    """
    Fetch what is stored of a few messages.

    @param messages: Their positions, each with how many bytes the payload has.

    @return: By position the time, payload, event and encoding.  A message that is no longer
        held is not there.
    """
    small = [position for position, length in messages if length <= _PACKED]
    stored = _fetchTogether(connection, small) if small else {}
    for position, length in messages:
        if length > _PACKED:
            stored.update(_fetchTogether(connection, [position]))
    return stored


def _fetchTogether(
    connection: sqlite3.Connection, positions: Sequence[int]
) -> dict[int, tuple[Any, ...]]:
    # The connection keeps its compiled statements, so there are few lengths.
    count = 1 << (len(positions) - 1).bit_length()
    padded = [*positions, *([None] * (count - len(positions)))]
    statement = _STORED.format(places=", ".join("?" * count))
    [found] = connection.execute(statement, padded).fetchone()
    return {
        int(position): (
            numberOf(time),
            bytesOf(payload),
            _textOf(bytesOf(event)),
            _textOf(bytesOf(encoding)),
        )
        for position, time, event, encoding, payload in unpacked(found)
    }


def _textOf(raw: bytes | None) -> str | bytes | None:
    """
    Decode a text of the database, or return the bytes that are not UTF-8: no
    check takes them for a text.
    """
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return raw
