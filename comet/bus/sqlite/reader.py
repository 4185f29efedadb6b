"""
Reads the log, while another thread may write it.

Each answer is of one moment: messages that are committed during a read are not
in it.  Messages that are too old are not in it either, even if they have not
been dropped yet.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from comet.bus.sqlite.lockfile import Connect
from comet.bus.starts import beforeOldest, resolve
from comet.model.channels import isPattern
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message
from comet.model.patterns import PatternTable
from comet.model.positions import ReadResult, ResolvedStarts, StartPosition

# Up to this number of channels, each is read by itself and the results are
# merged.  For more channels, all messages of the log are walked.
MERGED: Final = 128

_COLUMNS: Final = "id, name, head, floor, oldest, since, held"


class _Channel(NamedTuple):
    """
    A channel at one moment, without messages that are too old.

    @ivar oldest: The position of the oldest message that is held.  It has no
        meaning if none is held.
    """

    id: int
    name: str
    end: int
    floor: int
    oldest: int
    held: int


# Channels by name, each with those of the asked names that match it.
_Reached = Mapping[str, tuple[_Channel, Sequence[str]]]


class LogReader:
    """
    Reads a database that exists already.  It is used from one thread.
    """

    def __init__(
        self,
        path: str,
        retention: Callable[[str], Retention],
        connect: Connect = sqlite3.connect,
    ) -> None:
        """
        @param retention: Returns how much to hold of a channel, given its name.
        """
        self._path = path
        self._retention = retention
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """
        Close the connection.  The next read opens another.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def resolve(self, names: Mapping[str, StartPosition], now: float) -> ResolvedStarts:
        """
        See L{comet.interfaces.IMessageBus.resolve}.

        @param now: The time, in seconds since 1970.

        @raise sqlite3.Error: If the database cannot be read.
        """
        with self._snapshot(now) as snapshot:
            return resolve(names, snapshot)

    def read(
        self,
        names: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
        now: float,
    ) -> ReadResult:
        """
        See L{comet.interfaces.IMessageBus.read}.

        @param now: The time, in seconds since 1970.

        @raise sqlite3.Error: If the database cannot be read.
        """
        with self._snapshot(now) as snapshot:
            return snapshot.read(names, after, limit, maxBytes, upTo)

    @contextmanager
    def _snapshot(self, now: float) -> Iterator[_Snapshot]:
        if self._connection is None:
            connection = self._connect(self._path, timeout=2.0, isolation_level=None)
            connection.execute("PRAGMA query_only = ON")
            self._connection = connection
        try:
            self._connection.execute("BEGIN")
            yield _Snapshot(self._connection, self._retention, now)
            self._connection.execute("ROLLBACK")
        except BaseException:
            # A new connection may be able to read.
            self.close()
            raise


class _Snapshot:
    """
    The log at one moment, inside a transaction.
    """

    def __init__(
        self, connection: sqlite3.Connection, retention: Callable[[str], Retention], now: float
    ) -> None:
        self._connection = connection
        self._retention = retention
        self._now = now
        epoch, end, self._floor = connection.execute(
            "SELECT epoch, head, floor FROM log"
        ).fetchone()
        self.end = Cursor(epoch, end)

    # -- Channels

    def _channels(self, which: str, value: object) -> Iterator[_Channel]:
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM channels {which}", (value,))
        for number, name, end, floor, oldest, since, held in found:
            channel = _Channel(number, name, end, floor, oldest, held)
            if held:
                seconds = self._retention(name).seconds
                if since + seconds <= self._now:
                    channel = self._expired(channel, seconds)
            yield channel

    def _expired(self, channel: _Channel, seconds: float) -> _Channel:
        """
        Return a channel without the messages that are too old.
        """
        found = self._connection.execute(
            "SELECT position, time FROM messages WHERE channel = ? ORDER BY position",
            (channel.id,),
        )
        floor, held = channel.floor, channel.held
        oldest = 0
        for position, time in found:
            if time + seconds > self._now:
                oldest = position
                break
            floor, held = position, held - 1
        found.close()
        return channel._replace(floor=floor, oldest=oldest, held=held)

    def _reached(self, names: Sequence[str], after: int) -> tuple[_Reached, set[str]]:
        """
        Find the channels that some names match and that have messages after a
        position.

        @return: The channels; and those of the names that are channels with a
            row.
        """
        patterns: PatternTable[str] = PatternTable()
        found: dict[str, tuple[_Channel, list[str]]] = {}
        known = set()
        for name in dict.fromkeys(names):
            if isPattern(name):
                patterns.add(name, name)
                continue
            for channel in self._channels("WHERE name = ?", name):
                known.add(name)
                if channel.end > after:
                    found[name] = (channel, [name])
        if len(patterns):
            # Only channels with a message after the position can matter.
            for channel in self._channels("WHERE head > ?", after):
                reaching = patterns.matching(channel.name)
                if reaching:
                    found.setdefault(channel.name, (channel, []))[1].extend(reaching)
        return found, known

    def _floors(
        self, names: Sequence[str], after: int, reached: _Reached, known: set[str]
    ) -> dict[str, int]:
        """
        Return the floors of those names whose floor is above a position.
        """
        floors = {}
        if self._floor > after:
            floors = {name: self._floor for name in names if name not in known}
        for channel, reaching in reached.values():
            if channel.floor > after:
                for name in reaching:
                    floors[name] = max(floors.get(name, 0), channel.floor)
        return floors

    # -- Where names begin

    def reach(
        self, names: Sequence[str], after: int
    ) -> tuple[Mapping[str, Mapping[str, _Channel]], Mapping[str, int]]:
        """
        See L{Snapshot.reach<comet.bus.starts.Snapshot.reach>}.
        """
        reached, known = self._reached(names, after)
        byName: dict[str, dict[str, _Channel]] = {name: {} for name in names}
        for channel, reaching in reached.values():
            for name in reaching:
                byName[name][channel.name] = channel
        return byName, self._floors(names, after, reached, known)

    def oldest(self, channel: _Channel) -> int | None:
        """
        See L{Snapshot.oldest<comet.bus.starts.Snapshot.oldest>}.
        """
        return channel.oldest if channel.held else None

    def beforeLast(self, channel: _Channel, count: int) -> int | None:
        """
        See L{Snapshot.beforeLast<comet.bus.starts.Snapshot.beforeLast>}.
        """
        if not channel.held:
            return None
        if count >= channel.held:
            return channel.oldest - 1
        [position] = self._connection.execute(
            "SELECT position FROM messages WHERE channel = ? ORDER BY position DESC "
            "LIMIT 1 OFFSET ?",
            (channel.id, count - 1),
        ).fetchone()
        before: int = position - 1
        return before

    # -- Messages

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> ReadResult:
        """
        See L{comet.interfaces.IMessageBus.read}.
        """
        isOurs = after.isKnownAt(self.end)
        start = after.position if isOurs else 0
        reached, known = self._reached(names, start)
        gaps = self._floors(names, start, reached, known)
        channels = [channel for channel, _ in reached.values()]
        if not isOurs:
            after = Cursor(self.end.epoch, beforeOldest(map(self.oldest, channels), self.end))
            gaps = {**dict.fromkeys(names, 0), **gaps}
        end = self.end.position if upTo is None else min(upTo, self.end.position)
        messages: list[Message] = []
        size = 0
        for message in self._messages(channels, after.position, end):
            if messages and (len(messages) == limit or size + len(message.payload) > maxBytes):
                newest = Cursor(after.epoch, messages[-1].position)
                return ReadResult(after, messages, newest, gaps, more=True)
            messages.append(message)
            size += len(message.payload)
        newest = Cursor(after.epoch, max(end, after.position))
        return ReadResult(after, messages, newest, gaps)

    def _messages(self, channels: Sequence[_Channel], after: int, end: int) -> Iterator[Message]:
        """
        The messages of some channels between two positions, in the order of
        positions.
        """
        byNumber = {channel.id: channel for channel in channels if channel.end > after}
        for position, number in self._positions(byNumber, after, end):
            time, event, encoding, payload = self._connection.execute(
                "SELECT time, event, encoding, payload FROM messages WHERE position = ?",
                (position,),
            ).fetchone()
            name = byNumber[number].name
            yield Message(name, self.end.epoch, position, time, payload, event, encoding)

    def _positions(
        self, byNumber: Mapping[int, _Channel], after: int, end: int
    ) -> Iterator[tuple[int, int]]:
        """
        The positions of these messages in order, each with the row number of
        its channel.
        """
        if after >= end or not byNumber:
            return iter(())
        if len(byNumber) > MERGED:
            return self._walked(byNumber, after, end)
        held = [
            self._connection.execute(
                "SELECT position, channel FROM messages "
                "WHERE channel = ? AND position > ? AND position <= ? ORDER BY position",
                (number, max(after, channel.floor), end),
            )
            for number, channel in byNumber.items()
        ]
        return iter(held[0]) if len(held) == 1 else heapq.merge(*held)

    def _walked(
        self, byNumber: Mapping[int, _Channel], after: int, end: int
    ) -> Iterator[tuple[int, int]]:
        found = self._connection.execute(
            "SELECT position, channel FROM messages WHERE position > ? AND position <= ? "
            "ORDER BY position",
            (after, end),
        )
        for position, number in found:
            channel = byNumber.get(number)
            if channel is not None and position > channel.floor:
                yield position, number
