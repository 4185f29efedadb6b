"""
Reads the log, while another thread may write it.

Each answer is of one moment: messages that are committed during a read are not
in it.  Messages that are too old are not in it either, even if they have not
been dropped yet.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Final, NamedTuple

from comet.bus.refusals import Refusals
from comet.bus.sqlite.lockfile import Connect
from comet.bus.starts import LastFew, beforeOldest, lastFew, resolve
from comet.framing.stored import (
    MOST_BYTES,
    NotOurs,
    checkStored,
    checkStoredChannel,
    checkStoredEpoch,
)
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message
from comet.model.patterns import NameSet
from comet.model.positions import Now, ReadResult, ResolvedStarts, StartPosition

# Up to this number of channels, each is read by itself and the results are
# merged.  For more channels, the messages of the log are walked.
MERGED: Final = 128

# How many channels that begin as a pattern does are each looked at, before the
# log is walked instead.
FEW: Final = 400

# How many messages one page, or the search for the oldest ones, examines.  The
# reactor waits for the interpreter meanwhile, some milliseconds at a time.
EXAMINED: Final = 1024

# A text that is not UTF-8 would fail the whole query, so texts are read as bytes.
_COLUMNS: Final = "id, CAST(name AS BLOB), head, floor, oldest, since, held"
_MESSAGE: Final = (
    "SELECT time, CAST(event AS BLOB), CAST(encoding AS BLOB), "
    f"CASE WHEN typeof(payload) = 'blob' AND length(payload) <= {MOST_BYTES} THEN payload END "
    "FROM messages WHERE position = ?"
)


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
        self._refusals = Refusals(path)

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
        sought = [name for name, start in names.items() if not isinstance(start, Now)]
        with self._snapshot(now, sought) as snapshot:
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
        with self._snapshot(now, names) as snapshot:
            return snapshot.read(after, limit, maxBytes, upTo)

    @contextmanager
    def _snapshot(self, now: float, names: Iterable[str]) -> Iterator[_Snapshot]:
        if self._connection is None:
            connection = self._connect(self._path, timeout=2.0, isolation_level=None)
            connection.execute("PRAGMA query_only = ON")
            self._connection = connection
        try:
            self._connection.execute("BEGIN")
            yield _Snapshot(self._connection, self._retention, now, NameSet(names), self._refusals)
            self._connection.execute("ROLLBACK")
        except BaseException:
            # A new connection may be able to read.
            self.close()
            raise


class _Snapshot:
    """
    The log at one moment, inside a transaction.

    Names that reach few channels have each of these looked at.  For other names
    the log is walked in the order in which the answer stands, by an index of the
    database: a name as wide as C{**} finds what it seeks at once.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention: Callable[[str], Retention],
        now: float,
        names: NameSet,
        refusals: Refusals,
    ) -> None:
        """
        @param names: The names that are asked about.
        """
        self._connection = connection
        self._retention = retention
        self._now = now
        self._set = names
        # The names that reach each channel that was compared.
        self._matching: dict[str, int] = {}
        # Channels with messages that are too old, as far as it is known.
        self._overdue: set[str] = set()
        self._refusals = refusals
        epoch, end, self._floor = connection.execute(
            "SELECT epoch, head, floor FROM log"
        ).fetchone()
        try:
            self.end = Cursor(checkStoredEpoch(epoch), end)
        except NotOurs as error:
            raise sqlite3.DatabaseError(f"database disk image is malformed: {error}") from None

    # -- Channels

    def _bits(self, name: str) -> int:
        """
        The bits of the names that reach a channel.
        """
        bits = self._matching.get(name)
        if bits is None:
            bits = self._matching[name] = self._set.matching(name)
        return bits

    def _nameOf(self, raw: object) -> str:
        """
        Return the name of a channel, or an empty text for what is none.
        """
        try:
            return checkStoredChannel(_text(raw))
        except NotOurs as error:
            self._refusals.refused(error, self._now)
            return ""

    def _channels(self, which: str, *values: object) -> Iterator[_Channel]:
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM channels {which}", values)
        for number, raw, end, floor, oldest, since, held in found:
            name = self._nameOf(raw)
            if not name:
                continue
            channel = _Channel(number, name, end, floor, oldest, held)
            if held:
                seconds = self._retention(name).seconds
                if _number(since) + seconds <= self._now:
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
            if _number(time) + seconds > self._now:
                oldest = position
                break
            floor, held = position, held - 1
        found.close()
        return channel._replace(floor=floor, oldest=oldest, held=held)

    def _named(self) -> Iterator[tuple[_Channel, int]]:
        """
        The channels that are named.
        """
        for name in self._set.channels:
            for channel in self._channels("WHERE name = ?", name):
                yield channel, self._bits(name)

    def _begun(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """
        Conditions for the channels that begin as the patterns do.
        """
        for prefix in self._set.prefixes:
            # '0' follows the slash in Unicode.
            yield (
                ("name >= ? AND name < ?", (prefix, f"{prefix[:-1]}0")) if prefix else ("TRUE", ())
            )

    def _isFew(self, most: int) -> bool:
        """
        Whether no more than so many channels begin as the patterns do.
        """
        for which, values in self._begun():
            [count] = self._connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM channels WHERE {which} LIMIT ?)",
                (*values, most + 1),
            ).fetchone()
            most -= count
            if most < 0:
                return False
        return True

    def _reached(self, which: str = "TRUE", *values: object) -> Iterator[tuple[_Channel, int]]:
        """
        Look at each channel that the names can reach.

        @param which: A condition.  With a plus before a column, SQLite does not
            use an index of that column in the place of the index of names.

        @return: Those that the names reach.
        """
        for name in self._set.channels:
            for channel in self._channels(f"WHERE name = ? AND {which}", name, *values):
                yield channel, self._bits(name)
        for begun, prefix in self._begun():
            for channel in self._channels(f"WHERE {begun} AND {which}", *prefix, *values):
                bits = self._bits(channel.name)
                # Those that are named have been told.
                if bits and not bits & ~self._set.patterns:
                    yield channel, bits

    # -- Where names begin

    def floors(self, names: Sequence[str], after: int) -> dict[str, int]:
        """
        See L{Snapshot.floors<comet.bus.starts.Snapshot.floors>}.
        """
        known = {channel.name: channel.floor for channel, _ in self._named()}
        floors = {name: floor for name, floor in known.items() if floor > after}
        if self._floor > after:
            floors.update((name, self._floor) for name in names if name not in known)
        if self._set.patterns:
            highest = self._byFloor(after)
            for name, floor in self._set.first(highest, self._set.patterns).items():
                floors[name] = max(floors.get(name, 0), floor)
        return floors

    def _byFloor(self, after: int) -> Iterable[tuple[int, int]]:
        """
        The floors above a position, highest first, with the bits of the names that
        reach their channels.
        """
        if self._isFew(FEW):
            reached = self._reached("+head > ?", after)
            found = ((channel.floor, bits) for channel, bits in reached if channel.floor > after)
            return sorted(found, reverse=True)
        # The rows do not know yet of messages that have become too old since
        # old messages were dropped last.
        overdue = list(self._channels("WHERE due <= ? AND head > ?", self._now, after))
        for name in self._overdue.difference(channel.name for channel in overdue):
            overdue += self._channels("WHERE name = ?", name)
        expired = sorted(
            ((each.floor, each.name) for each in overdue if each.floor > after), reverse=True
        )
        rows = self._connection.execute(
            "SELECT floor, CAST(name AS BLOB) FROM channels WHERE floor > ? ORDER BY floor DESC",
            (after,),
        )
        stored = ((floor, name) for floor, raw in rows if (name := self._nameOf(raw)))
        merged = heapq.merge(expired, stored, reverse=True)
        return ((floor, self._bits(name)) for floor, name in merged)

    def oldest(self, names: Iterable[str]) -> dict[str, int]:
        """
        See L{Snapshot.oldest<comet.bus.starts.Snapshot.oldest>}.
        """
        wanted = self._set.bitsOf(names)
        found: dict[str, int] = {}
        if wanted and not self._isFew(FEW):
            front = (
                (position, self._bits(name))
                for position, name, _, isHeld in self._walked(0, self.end.position, EXAMINED)
                if isHeld
            )
            found = self._set.first(front, wanted)
            wanted &= ~self._set.bitsOf(found)
        if wanted:
            held = sorted(
                (channel.oldest, bits)
                for channel, bits in self._reached("+held > 0")
                if bits & wanted and channel.held
            )
            found.update(self._set.first(held, wanted))
        return found

    def lastFew(self, counts: Mapping[str, int]) -> dict[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        return lastFew(counts, self._set, self._newest, self._beforeLast, self.end)

    def _newest(self, wanted: int) -> Iterator[tuple[_Channel, int]]:
        """
        The channels with messages that some of the names reach: those that are
        named, and then those with the newest messages first.
        """
        for channel, bits in self._named():
            if bits & wanted and channel.held:
                yield channel, bits & wanted
        if not wanted & self._set.patterns:
            return
        found: Iterable[_Channel] = self._channels("WHERE held > 0 ORDER BY head DESC")
        if self._isFew(FEW):
            reached = (channel for channel, _ in self._reached("+held > 0"))
            found = sorted(reached, key=attrgetter("end"), reverse=True)
        for channel in found:
            bits = self._bits(channel.name)
            if bits & wanted and not bits & ~self._set.patterns and channel.held:
                yield channel, bits & wanted

    def _beforeLast(self, channel: _Channel, count: int) -> int:
        """
        The position just before the last C{count} messages of a channel, or of
        as many as are held.
        """
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

    def read(self, after: Cursor, limit: int, maxBytes: int, upTo: int | None) -> ReadResult:
        """
        See L{comet.interfaces.IMessageBus.read}.
        """
        names = self._set.names
        gaps: dict[str, int] = {}
        isLost = not after.isKnownAt(self.end)
        if isLost:
            after = Cursor(self.end.epoch, beforeOldest(self.oldest(names).values(), self.end))
            gaps = dict.fromkeys(names, 0)
        last = self.end.position if upTo is None else min(upTo, self.end.position)
        messages, reached = self._page(after.position, last, limit, maxBytes)
        gaps.update(self.floors(names, 0 if isLost else after.position))
        return ReadResult(after, messages, Cursor(after.epoch, reached), gaps, reached < last)

    def _page(self, after: int, last: int, limit: int, maxBytes: int) -> tuple[list[Message], int]:
        """
        @return: Messages, and the position up to which they are complete.
        """
        messages: list[Message] = []
        size = 0
        for position, name in self._positions(after, last):
            if not name:
                # Enough was examined.
                return messages, position
            time, event, encoding, payload = self._connection.execute(
                _MESSAGE, (position,)
            ).fetchone()
            try:
                message = checkStored(
                    name, self.end.epoch, position, time, payload, _text(event), _text(encoding)
                )
            except NotOurs as error:
                # The reader goes on with the next message.
                self._refusals.refused(error, self._now)
                continue
            if messages and (len(messages) == limit or size + len(payload) > maxBytes):
                return messages, messages[-1].position
            messages.append(message)
            size += len(payload)
        return messages, max(last, after)

    def _positions(self, after: int, last: int) -> Iterator[tuple[int, str]]:
        """
        The positions of the messages to be read, in order, each with its
        channel; and, if enough was examined, the last position that was, with an
        empty text.
        """
        if after >= last:
            return
        if len(self._set.channels) <= MERGED and self._isFew(min(MERGED, last - after)):
            channels = [channel for channel, _ in self._reached("+head > ?", after)]
            yield from self._merged(channels, after, last)
            return
        for position, name, isLast, isHeld in self._walked(after, last, EXAMINED):
            if isHeld and self._bits(name):
                yield position, name
            if isLast:
                yield position, ""

    def _merged(
        self, channels: Sequence[_Channel], after: int, last: int
    ) -> Iterator[tuple[int, str]]:
        names = {channel.id: channel.name for channel in channels}
        held = [
            self._connection.execute(
                "SELECT position, channel FROM messages "
                "WHERE channel = ? AND position > ? AND position <= ? ORDER BY position",
                (channel.id, max(after, channel.floor), last),
            )
            for channel in channels
        ]
        for position, number in heapq.merge(*held):
            yield position, names[number]

    def _walked(self, after: int, last: int, most: int) -> Iterator[tuple[int, str, bool, bool]]:
        """
        Walk messages in the order of positions.

        @param most: How many at most.

        @return: For each its position and channel, whether it is the last that
            may be walked while there are more, and whether it is not too old.
        """
        found = self._connection.execute(
            "SELECT m.position, CAST(c.name AS BLOB), m.time FROM messages m "
            "CROSS JOIN channels c ON c.id = m.channel "
            "WHERE m.position > ? AND m.position <= ? ORDER BY m.position",
            (after, last),
        )
        for position, raw, time in found:
            most -= 1
            name = self._nameOf(raw)
            isHeld = bool(name) and _number(time) + self._retention(name).seconds > self._now
            if name and not isHeld:
                self._overdue.add(name)
            yield position, name, not most and position < last, isHeld
            if not most:
                break
        found.close()


def _text(raw: object) -> str | bytes | None:
    """
    Decode a text of the database, or return the bytes that are not UTF-8: no
    check takes them for a text.
    """
    if not isinstance(raw, bytes):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _number(value: float | str | bytes) -> float:
    """
    Return a time of the database.  What is no number counts as very old.
    """
    return value if isinstance(value, (float, int)) else 0.0
