"""
Finds what is held of the names of a snapshot: their floors, their oldest messages,
and the last few messages of each channel; and so where they begin.

Names that reach few channels have each of these looked at, by the index of
names.  For other names the log is walked in the order in which the answer stands,
by another index of the database: a name as wide as C{**} finds what it seeks at
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final

from comet.bus.sqlite.snapshot import ABOVE_ALL, Channel, Snapshot, Steps
from comet.bus.starts import MOST_LAST, FoundStarts, LastFew, knownPosition, lastFew, resolve
from comet.model.positions import Last, ResolvedStarts, StartPosition

# How many channels the first step of a walk over floors looks at: most patterns are
# found there.
_FIRST_SLICE: Final = 16

# Of how many channels one step looks for messages that have become too old.
_EXPIRED: Final = 256

_end = attrgetter("end")


class Holdings:
    """
    What is held of the names of a snapshot.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._names = snapshot.names

    def resolve(self, names: Mapping[str, StartPosition]) -> Steps[ResolvedStarts]:
        """
        See L{comet.interfaces.messagebus.IMessageBus.resolve}.

        @param names: All names of this snapshot, and perhaps others, which begin
            at the end.
        """
        counts = {name: each.count for name, each in names.items() if isinstance(each, Last)}
        tables = yield from self._lastFew(counts)
        known = {name: knownPosition(names[name], self._snapshot.end) for name in self._names.names}
        unknown = [name for name, each in known.items() if each is None and name not in counts]
        oldest = yield from self.oldest(self._names.bitsOf(unknown))
        # Floors are told last: messages were dropped until now.
        after = min((each or 0 for each in known.values()), default=0)
        floors = yield from self.floors(after)
        return resolve(names, FoundStarts(self._snapshot.end, floors, oldest, tables))

    def floors(self, after: int) -> Steps[dict[str, int]]:
        """
        Find the floors of those names whose floor is above a position.
        """
        found: dict[str, int] = {}
        if self._names.patterns and self._snapshot.isFew():
            reached = self._snapshot.reached("+head > ?", after)
            rows = ((channel.floor, bits) for channel, bits in reached if channel.floor > after)
            found = self._names.first(sorted(rows, reverse=True), self._names.patterns)
        elif self._names.patterns:
            found = yield from self._walkFloors(after)
        known = {channel.name: channel.floor for channel, _ in self._snapshot.named()}
        floors = {name: floor for name, floor in known.items() if floor > after}
        if self._snapshot.floor > after:
            floors.update(
                (name, self._snapshot.floor) for name in self._names.names if name not in known
            )
        for name, floor in found.items():
            floors[name] = max(floors.get(name, 0), floor)
        return floors

    def _walkFloors(self, after: int) -> Steps[dict[str, int]]:
        """
        Find the floors of patterns that are above a position, by walking the
        highest floors of all channels.
        """
        found: dict[str, int] = {}

        def add(channels: Iterable[Channel]) -> None:
            rows = sorted(
                ((each.floor, self._snapshot.bits(each.name)) for each in channels), reverse=True
            )
            for pattern, floor in self._names.first(rows, self._names.patterns).items():
                if floor > after:
                    found[pattern] = max(found.get(pattern, 0), floor)

        # The rows do not know yet of messages that have become too old since
        # old messages were dropped last.
        overdue = sorted(self._snapshot.overdue)
        for start in range(0, len(overdue), _EXPIRED):
            if len(overdue) > _FIRST_SLICE:
                yield from self._snapshot.rest()
            for name in overdue[start : start + _EXPIRED]:
                add(self._snapshot.channels("WHERE name = ?", name))
        # By the time at which they are due, which an index has, and then by their number.
        due, following = -1.0, 0
        while channels := list(
            self._snapshot.channels(
                "WHERE due <= ? AND (due, id) > (?, ?) AND +head > ? ORDER BY due, id LIMIT ?",
                *(self._snapshot.now, due, following, after, _EXPIRED),
            )
        ):
            add(channels)
            following = channels[-1].id
            [due] = self._snapshot.execute(
                "SELECT due FROM channels WHERE id = ?", (following,)
            ).fetchone()
            if len(channels) >= _EXPIRED:
                yield from self._snapshot.pause()
        # A channel began with the bus's own floor of that time.  What matters of a
        # pattern is above that.
        lowest, wanted = max(after, self._snapshot.floor), self._names.patterns
        upper, most = ABOVE_ALL, _FIRST_SLICE
        while wanted:
            rows = self._snapshot.execute(
                "SELECT floor, CAST(name AS BLOB) FROM channels "
                "WHERE floor > ? AND floor < ? ORDER BY floor DESC LIMIT ?",
                (lowest, upper, most),
            ).fetchall()
            stored = [(floor, name) for floor, raw in rows if (name := self._snapshot.nameOf(raw))]
            new = self._names.first(
                ((floor, self._snapshot.bits(name)) for floor, name in stored), wanted
            )
            wanted &= ~self._names.bitsOf(new)
            for pattern, floor in new.items():
                found[pattern] = max(found.get(pattern, 0), floor)
            if len(rows) < most:
                break
            upper, most = rows[-1][0], self._snapshot.examined
            if wanted:
                yield from self._snapshot.rest()
        return found

    def oldest(self, wanted: int) -> Steps[dict[str, int]]:
        """
        Find the position of the oldest message that is held of some names.

        @param wanted: The bits of these names.

        @return: Without the names of which nothing is held.
        """
        if not wanted:
            return {}
        if self._snapshot.isFew():
            held = sorted(
                (channel.oldest, bits)
                for channel, bits in self._snapshot.reached("+held > 0")
                if channel.held
            )
            return self._names.first(held, wanted)
        yield from self._snapshot.rest()
        front = (
            (each.position, self._snapshot.bits(each.channel))
            for each in self._snapshot.walked(0, self._snapshot.end.position)
            if each.isHeld
        )
        found = self._names.first(front, wanted)
        wanted &= ~self._names.bitsOf(found)
        # The rest matches few messages, if any.
        following = 0
        while wanted:
            yield from self._snapshot.rest()
            [last] = self._snapshot.execute(
                "SELECT max(id) FROM (SELECT id FROM channels WHERE id > ? ORDER BY id LIMIT ?)",
                (following, self._snapshot.examined),
            ).fetchone()
            if last is None:
                break
            held = sorted(
                (channel.oldest, self._snapshot.bits(channel.name))
                for channel in self._snapshot.channels("WHERE id > ? AND id <= ?", following, last)
                if channel.held
            )
            for name, position in self._names.first(held, wanted).items():
                found[name] = min(found.get(name, position), position)
            following = last
        return found

    def _lastFew(self, counts: Mapping[str, int]) -> Steps[dict[str, LastFew]]:
        """
        Find where the last few messages of each channel of some names begin.
        """
        newest: dict[int, list[tuple[Channel, int]]] = {}
        groups = set(counts.values())
        for count in groups:
            wanted = self._names.bitsOf(name for name, each in counts.items() if each == count)
            most = max(MOST_LAST // len(groups), 1) + 1
            newest[wanted] = yield from self._newest(wanted, most)
        return lastFew(
            counts, self._names, newest.__getitem__, self._beforeLast, self._snapshot.end
        )

    def _newest(self, wanted: int, most: int) -> Steps[list[tuple[Channel, int]]]:
        """
        Find the channels with messages that some of the names reach: those that
        are named, and then those with the newest messages first.

        @param most: How many at most, beside those that are named.
        """
        found = [
            (channel, bits & wanted)
            for channel, bits in self._snapshot.named()
            if bits & wanted and channel.held
        ]
        if not wanted & self._names.patterns:
            return found
        if self._snapshot.isFew():
            reached = (channel for channel, _ in self._snapshot.reached("+held > 0"))
            found += self._wanted(sorted(reached, key=_end, reverse=True), wanted)
            return found
        upper = ABOVE_ALL
        most += len(found)
        while True:
            yield from self._snapshot.rest()
            channels = list(
                self._snapshot.channels(
                    "WHERE held > 0 AND head < ? ORDER BY head DESC LIMIT ?",
                    upper,
                    self._snapshot.examined,
                )
            )
            found += self._wanted(channels, wanted)
            if not channels or len(found) >= most:
                return found
            upper = channels[-1].end

    def _wanted(self, channels: Iterable[Channel], wanted: int) -> Iterator[tuple[Channel, int]]:
        """
        Those of some channels that patterns reach, and that are not named.
        """
        for channel in channels:
            bits = self._snapshot.bits(channel.name)
            if bits & wanted and not bits & ~self._names.patterns and channel.held:
                yield channel, bits & wanted

    def _beforeLast(self, channel: Channel, count: int) -> int:
        """
        The position just before the last C{count} messages of a channel, or of
        as many as are held.
        """
        if count >= channel.held:
            return channel.oldest - 1
        found = self._snapshot.execute(
            "SELECT position FROM messages WHERE channel = ? ORDER BY position DESC "
            "LIMIT 1 OFFSET ?",
            (channel.id, count - 1),
        ).fetchone()
        # Some may have been dropped since the step that has found the channel.
        before: int = (found or [channel.oldest])[0] - 1
        return before
