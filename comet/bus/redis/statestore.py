"""
State that is kept in Redis, beside the log.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from comet.bus.outcomes import stateFull
from comet.bus.redis import scripts
from comet.bus.redis.bodies import writeBody
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.statereplies import readKept, readStateChange
from comet.bus.redis.store import Store
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.state import MAX_KEY, StateEntry, StatePage, checkKey, shownKey


class StateStore:
    """
    The scripts that keep state as functions.  Each fails as those of L{Store} do.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(
        self,
        connection: RedisProtocol,
        change: Publication,
        key: str,
        seconds: float | None,
        most: int,
    ) -> tuple[StateEntry, Cursor]:
        """
        Keep the payload of a publication, and store the publication.

        @return: What is kept, and the cursor of the message.

        @raise TooMany: If the table is full.
        """
        checkKey(key)
        [channel] = change.channels
        told = await self._change(connection, "put", change, key, seconds, most)
        if told is None:
            raise stateFull(channel, most)
        cursor, time = told
        return StateEntry(key, change.payload, time, seconds), cursor

    async def drop(self, connection: RedisProtocol, change: Publication, key: str) -> Cursor | None:
        """
        Drop what is kept under a key, and store the publication that tells of it.

        @return: The cursor of the message, or L{None} if there was nothing.
        """
        checkKey(key)
        told = await self._change(connection, "drop", change, key, None, 0)
        return None if told is None else told[0]

    async def _change(
        self,
        connection: RedisProtocol,
        what: str,
        change: Publication,
        key: str,
        seconds: float | None,
        most: int,
    ) -> tuple[Cursor, float] | None:
        store = self._store
        [channel] = change.channels
        kept = store.retention(channel)
        words: Sequence[bytes | str | int] = (
            store.totalBytes,
            what,
            channel,
            key,
            "" if seconds is None else repr(seconds),
            most,
            kept.messages,
            repr(kept.seconds),
            kept.bytes,
            writeBody(change),
        )
        return readStateChange(await store.run(connection, scripts.KEEP, *words))

    async def page(
        self, connection: RedisProtocol, channel: str, after: str, limit: int
    ) -> StatePage:
        """
        Read what is kept in the table of a channel.
        """
        reply = await self._store.run(connection, scripts.KEPT, channel, after, limit)
        cursor, rest, rows = readKept(reply)
        entries, unreadable = [], []
        for key, value in rows:
            try:
                entries.append(_readEntry(key, value))
            except NotOurs as error:
                self._store.refused(error)
                unreadable.append(shownKey(key))
        return StatePage(tuple(entries), cursor, rest, tuple(unreadable))


def _readEntry(key: Any, value: Any) -> StateEntry:
    """
    Read what is kept under a key: the time, the seconds and the payload, a line each.

    @raise NotOurs: If comet cannot have stored it.
    """
    parts = value.split(b"\n", 2) if isinstance(value, bytes) else ()
    isKey = isinstance(key, bytes) and len(key) <= MAX_KEY and key.isascii()
    if len(parts) != 3 or not isKey:
        raise NotOurs("state", f"{value!r:.100} under {key!r:.100} does not have three lines")
    try:
        time, seconds = float(parts[0]), float(parts[1]) if parts[1] else None
    except ValueError:
        time, seconds = math.nan, None
    if not math.isfinite(time) or (seconds is not None and not math.isfinite(seconds)):
        raise NotOurs("state", f"{value!r:.100} has times of no form")
    return StateEntry(key.decode("ascii"), parts[2], time, seconds)
