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

from comet.bus.sqlite.readrows import ChannelRow
from comet.bus.sqlite.snapshot import ABOVE_ALL, Channel, Snapshot, Steps
from comet.bus.starts import MOST_LAST, FoundStarts, LastFew, knownPosition, lastFew, resolve
from comet.model.positions import Last, ResolvedStarts, StartPosition

# How many messages, and how many floors, a walk looks at first: most patterns are found
# there.
FIRST: Final = 8

_end = attrgetter("end")
_floor = attrgetter("floor")


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
            rows = ((each.floor, each.bits) for each in reached if each.floor > after)
            found = self._names.first(sorted(rows, reverse=True), self._names.patterns)
        elif self._names.patterns:
            found = yield from self._walkFloors(after)
        known = {channel.name: channel.floor for channel in self._snapshot.named()}
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

        def add(rows: Iterable[ChannelRow]) -> None:
            floors = [(each.floor, each.bits) for each in self._snapshot.channels(rows)]
            patterns = self._names.patterns
            for pattern, floor in self._names.first(sorted(floors, reverse=True), patterns).items():
                if floor > after:
                    found[pattern] = max(found.get(pattern, 0), floor)

        # The rows do not know yet of messages that have become too old since
        # old messages were dropped last.
        for name in sorted(self._snapshot.overdue):
            yield from self._snapshot.rest()
            add(self._snapshot.rows("WHERE name = ?", name))
        # By the time at which they are due, which an index has, and then by their number.
        due, following = -1.0, 0
        while rows := self._snapshot.rows(
            "WHERE due <= ? AND (due, id) > (?, ?) AND +head > ? ORDER BY due, id LIMIT ?",
            *(self._snapshot.now, due, following, after, self._snapshot.together),
        ):
            add(rows)
            due, following = max((each.due or 0.0, each.id) for each in rows)
            yield from self._snapshot.rest()
        # A channel began with the bus's own floor of that time.  What matters of a
        # pattern is above that.
        lowest, wanted = max(after, self._snapshot.floor), self._names.patterns
        upper, most = ABOVE_ALL, min(FIRST, self._snapshot.together)
        while wanted:
            rows = self._snapshot.rows(
                "WHERE floor > ? AND floor < ? ORDER BY floor DESC LIMIT ?", lowest, upper, most
            )
            rows.sort(key=_floor, reverse=True)
            reached = ((each.floor, self._snapshot.reach(each.raw)[1]) for each in rows)
            new = self._names.first(reached, wanted)
            wanted &= ~self._names.bitsOf(new)
            for pattern, floor in new.items():
                found[pattern] = max(found.get(pattern, 0), floor)
            if len(rows) < most:
                break
            upper, most = rows[-1].floor, self._snapshot.together
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
        snapshot = self._snapshot
        if snapshot.isFew():
            held = sorted(
                (channel.oldest, channel.bits)
                for channel in snapshot.reached("+held > 0")
                if channel.held
            )
            return self._names.first(held, wanted)
        found: dict[str, int] = {}
        # The front of the log, where names that reach much find what they seek.
        after, examined, most = 0, 0, min(FIRST, snapshot.together)
        while wanted and after < snapshot.end.position and examined < snapshot.examined:
            yield from snapshot.rest()
            entries, after = snapshot.walked(after, snapshot.end.position, most)
            examined, most = examined + most, snapshot.together
            new = self._names.first(((each.position, each.bits) for each in entries), wanted)
            found.update(new)
            wanted &= ~self._names.bitsOf(new)
        # The rest matches few messages, if any.
        following: int | None = 0
        while wanted and following is not None:
            yield from snapshot.rest()
            rows, following = snapshot.scan(following)
            held = sorted(
                (channel.oldest, channel.bits)
                for channel in snapshot.channels(rows)
                if channel.held
            )
            for name, position in self._names.first(held, wanted).items():
                found[name] = min(found.get(name, position), position)
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
        snapshot = self._snapshot
        found = [
            (channel, channel.bits & wanted)
            for channel in snapshot.named()
            if channel.bits & wanted and channel.held
        ]
        if not wanted & self._names.patterns:
            return found
        if snapshot.isFew():
            reached = snapshot.reached("+held > 0")
            found += self._wanted(sorted(reached, key=_end, reverse=True), wanted)
            return found
        upper = ABOVE_ALL
        most += len(found)
        while True:
            yield from snapshot.rest()
            rows = snapshot.rows(
                "WHERE held > 0 AND head < ? ORDER BY head DESC LIMIT ?", upper, snapshot.together
            )
            rows.sort(key=_end, reverse=True)
            found += self._wanted(snapshot.channels(rows), wanted)
            if not rows or len(found) >= most:
                return found
            upper = rows[-1].end

    def _wanted(self, channels: Iterable[Channel], wanted: int) -> Iterator[tuple[Channel, int]]:
        """
        Those of some channels that patterns reach, and that are not named.
        """
        for channel in channels:
            bits = channel.bits
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
