"""
Answers one question about the log, in steps that are short.

Names that reach few channels have each of these looked at, by the index of
names.  For other names the log is walked in the order in which the answer stands,
by another index of the database: a name as wide as C{**} finds what it seeks at
once.  What has not found it after so many rows goes on in another step: other
questions are answered in between, and the reactor has the interpreter.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias, TypeVar

from comet.bus.historypage import LOST, PageBefore, isPast
from comet.bus.refusals import Refusals
from comet.bus.starts import (
    MOST_LAST,
    FoundStarts,
    LastFew,
    beforeOldest,
    knownPosition,
    lastFew,
    resolve,
)
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
from comet.model.positions import HistoryPage, Last, ReadResult, ResolvedStarts, StartPosition

# Up to this number of channels, each is read by itself and the results are
# merged.  For more channels, the messages of the log are walked.
MERGED: Final = 128

# How many channels that begin as a pattern does are each looked at, before the
# log is walked instead.
FEW: Final = 400

# How many rows one step of a walk looks at.  The reactor waits for the interpreter
# meanwhile.
EXAMINED: Final = 1024

# How many channels the first step of a walk over floors looks at: most patterns are
# found there.
_FIRST_SLICE: Final = 16

# Of how many channels one step looks for messages that have become too old.
_EXPIRED: Final = 256

# No position is as great.
_MOST: Final = 2**63 - 1

T = TypeVar("T")

# Something that is done in steps.
Steps: TypeAlias = Generator[None, None, T]

_end = attrgetter("end")

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


class Changed(Exception):
    """
    A new epoch began between two steps: the question has to be asked again.
    """


class Snapshot:
    """
    The log at one moment, inside a transaction; and at a later one after each
    L{_pause}.

    @ivar end: The end of the log at the first moment.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        retention: Callable[[str], Retention],
        now: float,
        names: Iterable[str],
        refusals: Refusals,
    ) -> None:
        """
        @param connect: Returns the connection that is open at this moment.

        @param names: The names that are asked about.
        """
        self._connect = connect
        self._retention = retention
        self._now = now
        self._set = NameSet(names)
        # The names that reach each channel that was compared.
        self._matching: dict[str, int] = {}
        # Channels with messages that are too old, as far as it is known.
        self._overdue: set[str] = set()
        self._refusals = refusals
        # Whether this step has looked at many rows.
        self._isTired = False
        self.end = self._begin()

    # -- Transactions

    def _begin(self) -> Cursor:
        """
        Begin a transaction.

        @return: The end of the log.
        """
        self._connection = self._connect()
        self._connection.execute("BEGIN")
        epoch, end, self._floor = self._connection.execute(
            "SELECT epoch, head, floor FROM log"
        ).fetchone()
        try:
            return Cursor(checkStoredEpoch(epoch), end)
        except NotOurs as error:
            raise sqlite3.DatabaseError(f"database disk image is malformed: {error}") from None

    def close(self) -> None:
        """
        End the transaction.
        """
        self._connection.execute("ROLLBACK")

    def _rest(self) -> Iterator[None]:
        """
        Go on in another step if this one has looked at many rows, and say that it
        will have.
        """
        if self._isTired:
            yield from self._pause()
        self._isTired = True

    def _pause(self) -> Iterator[None]:
        """
        Go on in another step.
        """
        self.close()
        self._matching.clear()
        self._isTired = False
        yield
        if self._begin().epoch != self.end.epoch:
            self.close()
            raise Changed

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

    def resolve(self, names: Mapping[str, StartPosition]) -> Steps[ResolvedStarts]:
        """
        See L{comet.interfaces.IMessageBus.resolve}.

        @param names: All names of this snapshot, and perhaps others, which begin
            at the end.
        """
        counts = {name: each.count for name, each in names.items() if isinstance(each, Last)}
        tables = yield from self._lastFew(counts)
        known = {name: knownPosition(names[name], self.end) for name in self._set.names}
        unknown = [name for name, each in known.items() if each is None and name not in counts]
        oldest = yield from self._oldest(self._set.bitsOf(unknown))
        # Floors are told last: messages were dropped until now.
        after = min((each or 0 for each in known.values()), default=0)
        floors = yield from self._floors(after)
        return resolve(names, FoundStarts(self.end, floors, oldest, tables))

    def _floors(self, after: int) -> Steps[dict[str, int]]:
        """
        Find the floors of those names whose floor is above a position.
        """
        found: dict[str, int] = {}
        if self._set.patterns and self._isFew(FEW):
            reached = self._reached("+head > ?", after)
            rows = ((channel.floor, bits) for channel, bits in reached if channel.floor > after)
            found = self._set.first(sorted(rows, reverse=True), self._set.patterns)
        elif self._set.patterns:
            found = yield from self._walkFloors(after)
        known = {channel.name: channel.floor for channel, _ in self._named()}
        floors = {name: floor for name, floor in known.items() if floor > after}
        if self._floor > after:
            floors.update((name, self._floor) for name in self._set.names if name not in known)
        for name, floor in found.items():
            floors[name] = max(floors.get(name, 0), floor)
        return floors

    def _walkFloors(self, after: int) -> Steps[dict[str, int]]:
        """
        Find the floors of patterns that are above a position, by walking the
        highest floors of all channels.
        """
        found: dict[str, int] = {}

        def add(channels: Iterable[_Channel]) -> None:
            rows = sorted(((each.floor, self._bits(each.name)) for each in channels), reverse=True)
            for pattern, floor in self._set.first(rows, self._set.patterns).items():
                if floor > after:
                    found[pattern] = max(found.get(pattern, 0), floor)

        # The rows do not know yet of messages that have become too old since
        # old messages were dropped last.
        overdue = sorted(self._overdue)
        for start in range(0, len(overdue), _EXPIRED):
            if len(overdue) > _FIRST_SLICE:
                yield from self._rest()
            for name in overdue[start : start + _EXPIRED]:
                add(self._channels("WHERE name = ?", name))
        following = 0
        while channels := list(
            self._channels(
                "WHERE due <= ? AND head > ? AND id > ? ORDER BY id LIMIT ?",
                *(self._now, after, following, _EXPIRED),
            )
        ):
            add(channels)
            following = channels[-1].id
            if len(channels) >= _EXPIRED:
                yield from self._pause()
        # A channel began with the bus's own floor of that time.  What matters of a
        # pattern is above that.
        lowest, wanted = max(after, self._floor), self._set.patterns
        upper, most = _MOST, _FIRST_SLICE
        while wanted:
            rows = self._connection.execute(
                "SELECT floor, CAST(name AS BLOB) FROM channels "
                "WHERE floor > ? AND floor < ? ORDER BY floor DESC LIMIT ?",
                (lowest, upper, most),
            ).fetchall()
            stored = [(floor, name) for floor, raw in rows if (name := self._nameOf(raw))]
            new = self._set.first(((floor, self._bits(name)) for floor, name in stored), wanted)
            wanted &= ~self._set.bitsOf(new)
            for pattern, floor in new.items():
                found[pattern] = max(found.get(pattern, 0), floor)
            if len(rows) < most:
                break
            upper, most = rows[-1][0], EXAMINED
            if wanted:
                yield from self._rest()
        return found

    def _oldest(self, wanted: int) -> Steps[dict[str, int]]:
        """
        Find the position of the oldest message that is held of some names.

        @param wanted: The bits of these names.

        @return: Without the names of which nothing is held.
        """
        if not wanted:
            return {}
        if self._isFew(FEW):
            held = sorted(
                (channel.oldest, bits)
                for channel, bits in self._reached("+held > 0")
                if channel.held
            )
            return self._set.first(held, wanted)
        yield from self._rest()
        front = (
            (position, self._bits(name))
            for position, name, _, isHeld in self._walked(0, self.end.position, EXAMINED)
            if isHeld
        )
        found = self._set.first(front, wanted)
        wanted &= ~self._set.bitsOf(found)
        # The rest matches few messages, if any.
        following = 0
        while wanted:
            yield from self._rest()
            [last] = self._connection.execute(
                "SELECT max(id) FROM (SELECT id FROM channels WHERE id > ? ORDER BY id LIMIT ?)",
                (following, EXAMINED),
            ).fetchone()
            if last is None:
                break
            held = sorted(
                (channel.oldest, self._bits(channel.name))
                for channel in self._channels("WHERE id > ? AND id <= ?", following, last)
                if channel.held
            )
            for name, position in self._set.first(held, wanted).items():
                found[name] = min(found.get(name, position), position)
            following = last
        return found

    def _lastFew(self, counts: Mapping[str, int]) -> Steps[dict[str, LastFew]]:
        """
        Find where the last few messages of each channel of some names begin.
        """
        newest: dict[int, list[tuple[_Channel, int]]] = {}
        groups = set(counts.values())
        for count in groups:
            wanted = self._set.bitsOf(name for name, each in counts.items() if each == count)
            most = max(MOST_LAST // len(groups), 1) + 1
            newest[wanted] = yield from self._newest(wanted, most)
        return lastFew(counts, self._set, newest.__getitem__, self._beforeLast, self.end)

    def _newest(self, wanted: int, most: int) -> Steps[list[tuple[_Channel, int]]]:
        """
        Find the channels with messages that some of the names reach: those that
        are named, and then those with the newest messages first.

        @param most: How many at most, beside those that are named.
        """
        found = [
            (channel, bits & wanted)
            for channel, bits in self._named()
            if bits & wanted and channel.held
        ]
        if not wanted & self._set.patterns:
            return found
        if self._isFew(FEW):
            reached = (channel for channel, _ in self._reached("+held > 0"))
            found += self._wanted(sorted(reached, key=_end, reverse=True), wanted)
            return found
        upper = _MOST
        most += len(found)
        while True:
            yield from self._rest()
            channels = list(
                self._channels(
                    "WHERE held > 0 AND head < ? ORDER BY head DESC LIMIT ?", upper, EXAMINED
                )
            )
            found += self._wanted(channels, wanted)
            if not channels or len(found) >= most:
                return found
            upper = channels[-1].end

    def _wanted(self, channels: Iterable[_Channel], wanted: int) -> Iterator[tuple[_Channel, int]]:
        """
        Those of some channels that patterns reach, and that are not named.
        """
        for channel in channels:
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
        found = self._connection.execute(
            "SELECT position FROM messages WHERE channel = ? ORDER BY position DESC "
            "LIMIT 1 OFFSET ?",
            (channel.id, count - 1),
        ).fetchone()
        # Some may have been dropped since the step that has found the channel.
        before: int = (found or [channel.oldest])[0] - 1
        return before

    # -- Messages

    def read(self, after: Cursor, limit: int, maxBytes: int, upTo: int | None) -> Steps[ReadResult]:
        """
        See L{comet.interfaces.IMessageBus.read}.
        """
        names = self._set.names
        gaps: dict[str, int] = {}
        isLost = not after.isKnownAt(self.end)
        if isLost:
            oldest = yield from self._oldest(self._set.bitsOf(names))
            after = Cursor(self.end.epoch, beforeOldest(oldest.values(), self.end))
            gaps = dict.fromkeys(names, 0)
            yield from self._rest()
        last = self.end.position if upTo is None else min(upTo, self.end.position)
        messages, reached = self._page(after.position, last, limit, maxBytes)
        self._isTired = True
        # Floors are told last: messages were dropped until now.
        floors = yield from self._floors(0 if isLost else after.position)
        gaps.update(floors)
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
            message = self._message(name, position)
            if message is None:
                # The reader goes on with the next message.
                continue
            payload = message.payload
            if messages and (len(messages) == limit or size + len(payload) > maxBytes):
                return messages, messages[-1].position
            messages.append(message)
            size += len(payload)
        return messages, max(last, after)

    def _message(self, name: str, position: int) -> Message | None:
        """
        Return the message at a position, which is held; or L{None} if comet cannot
        have stored it.
        """
        time, event, encoding, payload = self._connection.execute(_MESSAGE, (position,)).fetchone()
        try:
            return checkStored(
                name, self.end.epoch, position, time, payload, _text(event), _text(encoding)
            )
        except NotOurs as error:
            self._refusals.refused(error, self._now)
            return None

    def history(self, before: Cursor | None, limit: int, maxBytes: int) -> Steps[HistoryPage]:
        """
        See L{comet.interfaces.IMessageBus.history}.  The channel is the one name of
        this snapshot.
        """
        if not isPast(before, self.end):
            return LOST
        page = PageBefore(limit, maxBytes)
        upper = _MOST if before is None else before.position
        # One more than is wanted tells whether there is more.
        most = min(limit + 1, EXAMINED)
        while True:
            channel = next((channel for channel, _ in self._named()), None)
            if channel is None:
                return page.ended(self._floor, before)
            positions = [
                position
                for (position,) in self._connection.execute(
                    "SELECT position FROM messages WHERE channel = ? AND position < ? "
                    "AND position > ? ORDER BY position DESC LIMIT ?",
                    (channel.id, upper, channel.floor, most),
                )
            ]
            found = (self._message(channel.name, position) for position in positions)
            page.fill(message for message in found if message is not None)
            if page.isFull or len(positions) < most:
                return page.ended(channel.floor, before)
            # Some messages were not stored by comet.
            upper = positions[-1]
            yield from self._pause()

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
