"""
What a reader should be told, worked out without any of the code that tells it:
from a list of all messages ever stored, and from where its names began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from comet.model.cursors import Cursor
from comet.model.positions import At, Now, ResolvedStart, ResolvedStarts, StartPosition, Unreadable
from tests.fanout.slowbus import WatchedBus

# Where a client comes back: at a cursor, and for single names elsewhere.
Resume: TypeAlias = tuple[Cursor, Mapping[str, StartPosition]]


def reaches(name: str, channel: str) -> bool:
    """
    Whether a channel is what a name means.
    """
    asked, given = name.split("/"), channel.split("/")
    if asked[-1] == "**":
        if len(given) < len(asked):
            return False
        asked, given = asked[:-1], given[: len(asked) - 1]
    return len(asked) == len(given) and all(
        a in ("*", g) for a, g in zip(asked, given, strict=True)
    )


@frozen
class Found:
    """
    Where names begin, and what was not held any more at that moment.
    """

    resolved: ResolvedStarts
    lost: frozenset[int]


class Held:
    """
    A name that a reader reads.

    @ivar begin: The position after which its messages are wanted, or L{None}
        while nothing of it may come before a gap.

    @ivar has: What was brought of it.

    @ivar excused: What was lost of it, as was told.

    @ivar told: Up to where it is known, at least, what was lost.

    @ivar covered: Up to where a gap that was told may reach: to the floor of the name, which
        is told once, also where it lies ahead of the reader.
    """

    def __init__(
        self,
        name: str,
        startPosition: StartPosition,
        resolved: ResolvedStarts,
        lost: frozenset[int],
    ) -> None:
        start: ResolvedStart = resolved.starts[name]
        self.name = name
        self.startPosition = startPosition
        self.epoch = resolved.end.epoch
        self.begin: int | None = start.position
        self.skips = dict(start.skipUpTo)
        self.isGap = start.isGap
        self.isRelative = start.isRelative
        self.told = self.covered = max(start.floor, start.position)
        self.has: set[int] = set()
        self.excused = set(lost)
        # As far as the client knows: whether it may be behind the others, and
        # how far its replay has come.
        self.isPending = False
        self.replayed = -1
        self.joined = 0
        # Messages that come after those up to here come after its replay.
        self.following = 0

    def wants(self, position: int, channel: str) -> bool:
        """
        Whether a message of this epoch is of the name, and new to it.
        """
        start = self.begin
        if start is None or not reaches(self.name, channel):
            return False
        return position > max(start, self.skips.get(channel, 0))


class Tracker:
    """
    Follows what one reader is told, and objects.

    @ivar cursor: Where it stands, as far as it knows.
    """

    def __init__(self, bus: WatchedBus, adopts: bool = False, isExact: bool = True) -> None:
        self.bus = bus
        self.adopts = adopts
        self.isExact = isExact
        self.names: dict[str, Held] = {}
        self.cursor: Cursor | None = None
        self.lastID: Cursor | None = None
        self.heard: list[object] = []
        # How it comes back, if it knows better than from what it is told.
        self.resumes: Callable[[], Resume] | None = None
        self._replayed = 0
        self._restarts = 0
        self._vague = 0
        # Those that were given up: asked for again, from an earlier place, they
        # may bring again what they have brought.
        self._gone: set[str] = set()

    # -- Its names

    def _places(self, startPositions: Mapping[str, StartPosition], found: Found) -> list[Held]:
        return [
            Held(name, startPosition, found.resolved, found.lost)
            for name, startPosition in startPositions.items()
            if name not in self.names
        ]

    def begin(
        self,
        startPositions: Mapping[str, StartPosition],
        found: Found,
        gap: Sequence[str],
        cursor: Cursor | None = None,
    ) -> None:
        """
        The reader starts at a cursor, with this gap.
        """
        self.heard.append(("begin", tuple(gap), cursor))
        held = self._places(startPositions, found)
        assert list(gap) == [each.name for each in held if each.isGap], (gap, found)
        self._first(held, found.resolved.end)
        isParticular = len({repr(each) for each in startPositions.values()}) > 1
        for each in held:
            self.names[each.name] = each
            each.isPending = isParticular
        assert self.cursor is not None
        self.lastID = self.cursor
        if self.adopts:
            begins = [each.begin for each in held if each.begin is not None]
            self.lastID = Cursor(self.cursor.epoch, min([*begins, self.cursor.position]))
        assert cursor in (None, self.lastID), (cursor, self.lastID)
        if self.resumes is None:
            self._checkResume()

    def _first(self, held: Sequence[Held], end: Cursor) -> None:
        positions = [each.begin or 0 for each in held]
        meet = min if all(each.isRelative for each in held) else max
        self.cursor = Cursor(end.epoch, meet(positions) if positions else end.position)
        for each in held:
            each.joined = self.cursor.position

    def add(
        self,
        startPositions: Mapping[str, StartPosition],
        found: Found,
        gap: Sequence[str],
        cursor: Cursor,
        position: int,
    ) -> None:
        """
        Names were added, while the reader stood at this cursor.

        @param position: What came up to here is told already, or is being told.
        """
        self.heard.append(("add", tuple(startPositions), tuple(gap), cursor))
        held = self._places(startPositions, found)
        # These may be further behind than those that are replayed now.
        self._restarts += 1
        if not held:
            return
        assert self.cursor is not None
        if not self.names:
            self._first(held, found.resolved.end)
        else:
            self._moves(cursor)
        self.lastID = self.cursor
        expected = []
        for each in held:
            each.isPending = True
            each.joined = self.cursor.position
            each.following = position
            if each.epoch != self.cursor.epoch:
                each.begin = None
            elif each.isGap:
                expected.append(each.name)
            for other in self.names.values():
                # Of the last few of many channels it is forgotten, in the end,
                # which they were.
                start = max(other.skips.values(), default=0)
                self._vague = max(self._vague, start)
                for position in other.has:
                    if each.wants(position, self._channel(position)):
                        each.has.add(position)
        assert list(gap) == expected, (gap, expected)
        self.names.update({each.name: each for each in held})
        self._checkResume()

    def remove(self, names: Sequence[str]) -> None:
        """
        Names are removed.
        """
        self.heard.append(("remove", tuple(names)))
        for name in names:
            if self.names.pop(name, None) is not None:
                self._gone.add(name)

    # -- What it is told

    def message(self, channel: str, cursor: Cursor, replay: bool) -> None:
        """
        The client is given a message.
        """
        self.heard.append(("message", channel, cursor, replay))
        assert self.cursor is not None
        position = cursor.position
        assert cursor.epoch == self.cursor.epoch
        assert self._channel(position) == channel
        wanting = [each for each in self.names.values() if each.wants(position, channel)]
        assert wanting, "no name wants the message"
        again = [each.name for each in wanting if position in each.has]
        isMeant = replay and self._gone.issuperset(again)
        assert not again or isMeant or position <= self._vague, "it came before"
        if replay:
            if self.resumes is None:
                assert position <= self.cursor.position, "not older than where it stands"
            if position <= self._replayed:
                assert self._restarts, "not in order"
                self._restarts -= 1
            self._replayed = position
            for each in self.names.values():
                each.replayed = max(each.replayed, position)
        else:
            assert position > self.cursor.position, "not in order"
            self._check(position - 1)
            self.cursor = cursor
            self._caughtUp()
        self.lastID = cursor
        for each in wanting:
            each.has.add(position)
        self._checkResume()

    def standing(self, cursor: Cursor) -> None:
        """
        The client is told its cursor.
        """
        self.heard.append(("standing", cursor))
        assert self.cursor is not None
        if not self.names:
            self._standsWithoutNames(cursor)
            return
        assert cursor.epoch == self.cursor.epoch
        self._check(cursor.position)
        if not self.adopts:
            assert cursor >= self.cursor
            self._caughtUp()
        self.cursor = max(self.cursor, cursor)
        self.lastID = cursor
        self._checkResume()

    def _standsWithoutNames(self, cursor: Cursor) -> None:
        """
        A client that reads no names is told the log end, which may be of a new
        epoch; or, while its first names are looked up, what is before all
        messages.
        """
        assert self.cursor is not None
        if cursor.epoch == self.cursor.epoch:
            self.cursor = max(self.cursor, cursor)
        else:
            epochs = list(self.bus.stored)
            assert epochs.index(cursor.epoch) > epochs.index(self.cursor.epoch)
            self.cursor = cursor
            self._replayed = 0
        self.lastID = cursor

    def _caughtUp(self) -> None:
        for each in self.names.values():
            each.isPending = False

    def gap(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        The client is told of a gap.
        """
        self.heard.append(("gap", cursor, tuple(names)))
        assert self.cursor is not None
        if cursor.epoch != self.cursor.epoch:
            self._newEpoch(cursor, names)
        else:
            if not self.adopts:
                self._moves(cursor)
            assert names and list(names) == [name for name in self.names if name in names]
            for name in names:
                self._lost(self.names[name])
        self.lastID = cursor
        self._checkResume()

    def _moves(self, cursor: Cursor) -> None:
        # It may have gone on without a word, where there was nothing.
        assert self.cursor is not None
        assert cursor.epoch == self.cursor.epoch and cursor >= self.cursor
        self.cursor = cursor

    def _newEpoch(self, cursor: Cursor, names: Sequence[str]) -> None:
        assert self.cursor is not None
        epochs = list(self.bus.stored)
        assert epochs.index(cursor.epoch) > epochs.index(self.cursor.epoch)
        assert list(names) == list(self.names)
        self.cursor = cursor
        self._replayed = 0
        self._vague = 0
        for each in self.names.values():
            each.epoch, each.begin, each.skips = cursor.epoch, 0, {}
            each.has, each.excused, each.told, each.covered = set(), set(), 0, 0
            each.isPending, each.replayed = False, -1
            self._lost(each, isNew=True)

    def hasLost(self, name: str) -> bool:
        """
        Tell whether a name has lost something that the client may not have been told of.
        """
        return self._hasLost(self.names[name])

    def _hasLost(self, held: Held) -> bool:
        if held.epoch != self.bus.end.epoch:
            return True
        return self.bus.floor(held.name) > (held.told if self.isExact else held.begin or 0)

    def _lost(self, held: Held, isNew: bool = False) -> None:
        if held.epoch != self.bus.end.epoch:
            # Nothing is held of it any more; a gap for all will follow.
            log = self.bus.stored[held.epoch]
            held.excused.update(p for p in log if held.wants(p, log[p]))
            return
        floor = self.bus.floor(held.name)
        assert isNew or self._hasLost(held), "nothing was lost"
        held.covered = max(held.covered, floor)
        isBehind = self.cursor is not None and (held.begin or 0) < self.cursor.position
        if held.isPending and self.cursor is not None and isBehind:
            # A replay reads up to where the other names stand, and tells what it
            # has lost up to there.  What is lost beyond is another gap.
            floor = min(floor, self.cursor.position)
        held.told = max(held.told, floor)
        held.excused.update(self.bus.lost() - held.has)

    # -- What is to be true

    def _channel(self, position: int) -> str:
        assert self.cursor is not None
        return self.bus.stored[self.cursor.epoch][position]

    def missing(self, held: Held) -> list[int]:
        """
        What is wanted and has not come.
        """
        log = self.bus.stored[held.epoch]
        missing = [
            position
            for position, channel in log.items()
            if position not in held.has
            and position not in held.excused
            and held.wants(position, channel)
        ]
        if "*" in held.name and any(position <= held.covered for position in missing):
            # Of several channels only the highest floor is known: what the
            # others lose below it cannot be told.
            lost = self.bus.lost() if held.epoch == self.bus.end.epoch else log.keys()
            return [p for p in missing if p > held.covered or p not in lost]
        return missing

    def _check(self, upTo: int) -> None:
        """
        Everything up to a position has come.
        """
        for each in self.names.values():
            if upTo < each.following:
                continue
            if each.begin is None:
                assert self.cursor is not None
                assert self.cursor.epoch != self.bus.end.epoch, "there should be a gap"
                continue
            if each.isPending and each.epoch != self.bus.end.epoch:
                # The epoch went while the name was replayed, so the replay is over.
                # Whoever comes back with this cursor is told of a gap.
                continue
            missing = [position for position in self.missing(each) if position <= upTo]
            assert not missing, f"{missing} of {each.name} did not come"

    def checkAll(self) -> None:
        """
        Everything has come.
        """
        for each in self.names.values():
            assert each.epoch == self.bus.end.epoch, "a new epoch was not told"
        self._check(self.bus.end.position)

    def resume(self) -> Resume:
        """
        With what the client would come back now.
        """
        if self.resumes is not None:
            return self.resumes()
        assert self.lastID is not None and self.cursor is not None
        if self.adopts:
            return self.lastID, {}
        byName: dict[str, StartPosition] = {}
        for each in self.names.values():
            if each.isPending:
                byName[each.name] = self._resumeOf(each)
        return self.cursor, byName

    def _resumeOf(self, held: Held) -> StartPosition:
        assert self.cursor is not None
        # A place that was refused is not to be given again: it may exist by then.
        given = Unreadable() if held.isGap else held.startPosition
        isAt = isinstance(given, At) and given.cursor.epoch == self.cursor.epoch
        start = given.cursor.position if isinstance(given, At) and isAt else -1
        if max(start, held.replayed) >= 0:
            return At(Cursor(self.cursor.epoch, max(start, held.replayed)))
        return given

    def _checkResume(self) -> None:
        cursor, byName = self.resume()
        self.checkResume(cursor, byName)

    def checkResume(self, cursor: Cursor, byName: Mapping[str, StartPosition]) -> None:
        """
        A client that comes back with this misses nothing.
        """
        assert self.cursor is not None
        if cursor.epoch != self.cursor.epoch or cursor.epoch != self.bus.end.epoch:
            # All that is left of that epoch is a gap.
            return
        for each in self.names.values():
            startPosition = byName.get(each.name, At(cursor))
            if isinstance(startPosition, Now):
                position = each.joined
            elif isinstance(startPosition, At) and startPosition.cursor.epoch == cursor.epoch:
                position = startPosition.cursor.position
            else:
                continue
            if each.begin is not None:
                skipped = [p for p in self.missing(each) if p <= position]
                assert not skipped, f"{skipped} of {each.name} would be skipped"
