"""
The members of channels in a table, from which they are read when the database is
opened.

While the bus runs, it knows its members in memory: what is asked about them needs no
row.  A row has only what has to outlive the process, so that connections that come and
go write nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from comet.bus.membertable import Change, MemberRecord, MemberTable
from comet.bus.sqlite.manyrows import executeTogether
from comet.framing.members import readMember
from comet.framing.stored import NotOurs, checkStoredChannel
from comet.model.presence import LEAVE, PREFIX, MemberBounds, presenceChannel

# The longest grace that is read: longer than any that may be set.
_MOST_GRACE: Final = 1e6

# A text that is not UTF-8 would fail the whole query, so texts are read as bytes.
_LOAD: Final = (
    "SELECT CAST(channel AS BLOB), CAST(client AS BLOB), info, since, grace "
    "FROM members ORDER BY number"
)
_SAVE: Final = (
    "INSERT INTO members (channel, client, info, since, grace) "
    "SELECT * FROM (VALUES {places}) WHERE column1 IS NOT NULL "
    "ON CONFLICT (channel, client) DO UPDATE SET info = excluded.info, grace = excluded.grace"
)
# A comparison of pairs would look at every row for it: a join takes the index.
_REMOVE: Final = (
    "DELETE FROM members WHERE number IN (SELECT m.number FROM (VALUES {places}) AS gone "
    "CROSS JOIN members AS m ON m.channel = gone.column1 AND m.client = gone.column2)"
)


def loadMembers(
    connection: sqlite3.Connection,
    now: float,
    refused: Callable[[NotOurs], None],
    bounds: MemberBounds | None = None,
) -> MemberTable:
    """
    Read the members that an earlier self had.  Each is in its grace from now on.

    @param now: The time of the clock of the table, in seconds.

    @param refused: Told of what comet cannot have written, which is left out.

    @param bounds: How many members there may be from now on.
    """
    table = MemberTable(bounds)
    # The slash is followed by '0' in Unicode.
    changed = dict(
        connection.execute(
            "SELECT CAST(name AS BLOB), head FROM channels WHERE name >= ? AND name < ?",
            (PREFIX, f"{PREFIX[:-1]}0"),
        ).fetchall()
    )
    for channel, client, info, since, grace in connection.execute(_LOAD).fetchall():
        try:
            name = checkStoredChannel(_decoded(channel))
            member = readMember(_decoded(client), info, 0, since)
            if not presenceChannel(name) or not 0 <= _number(grace) <= _MOST_GRACE:
                raise NotOurs("member", f"{name[:64]!r} or {grace!r:.64} is not a member's")
        except NotOurs as error:
            refused(error)
            continue
        position = changed.get(presenceChannel(name).encode(), 0)
        table.restore(name, member, grace, now, position)
    return table


def _decoded(raw: object) -> object:
    """
    Return a text of the database, or what no check takes for one.
    """
    try:
        return raw.decode() if isinstance(raw, bytes) else None
    except UnicodeDecodeError:
        return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, (float, int)) else -1.0


def saveChanges(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """
    Write what has changed.
    """
    gone: dict[tuple[str, str], None] = {}
    kept: dict[tuple[str, str], MemberRecord] = {}
    for record, event, _ in changes:
        key = record.channel.name, record.client
        if event == LEAVE:
            kept.pop(key, None)
            gone[key] = None
        else:
            kept[key] = record
    executeTogether(connection, _REMOVE, list(gone))
    rows: list[Sequence[Any]] = [
        (*key, record.info, record.since, record.grace) for key, record in kept.items()
    ]
    executeTogether(connection, _SAVE, rows)
