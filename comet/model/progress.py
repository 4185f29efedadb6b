"""
Where one reader stands, and what it must read next.

How it works
============

A reader of several names has I{one} cursor: everything up to it, in all of its
names, has reached the reader.  Most readers are that number and nothing else.
Each of these tables makes a name an exception; all of them are empty again once
the reader has caught up.

  - I{Replaying}: a name that starts behind the furthest name is read on its own
    up to the cursor, before anything else.  Its messages are marked as replayed,
    since their cursors lie behind the one that the reader has.

  - I{Suppressed}: a replayed name must not repeat what another name delivered.
    Names that are still read answer for themselves.  When a name is removed
    during a replay, the range that it delivered is kept for the names that are
    replaying.

  - I{Reported floors}: the log is read many times, and each reading tells the
    floor of a name with a gap.  A gap is told once for each floor.

  - I{Skips}: where only the last few messages of each channel were asked for,
    a name starts at the oldest of all these, and each channel has a position up
    to which its messages are left out.  A reader keeps a bounded number
    of them (L{comet.model.skips}), however many names it adds one after the other.

These hold between two calls:

  - A replaying name stands behind the cursor; all other names stand at it.

  - The reader gets the messages of one step in the order of positions, and each
    message once, however many of its names match it.  The exceptions are bounded
    tables that had to drop an entry: then a replay may repeat messages.

  - C{lowest} is a cursor with which the reader may come back at any moment: it
    misses nothing, and gets again at most what was being replayed.

A new epoch voids all of that: positions of the old log mean nothing in the new
one, so the reader has one position again, and no exceptions.

The table C{_deliveredAfter} says after which position a name has delivered
everything, as far as it differs from the position at which the first names
started.  Without it, a name that was added later would be taken to have
delivered what was stored before it was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from comet.model.cursors import Cursor
from comet.model.delivered import DeliveredRange, includes, merge
from comet.model.messages import Message
from comet.model.positions import At, Now, ReadResult, ResolvedStart, ResolvedStarts, StartPosition
from comet.model.skips import bounded

V = TypeVar("V")


@frozen
class Wanted:
    """
    What a reader must read next.

    @ivar names: The names to read.

    @ivar after: The cursor to read after.

    @ivar upTo: The last position to read, or L{None} for the log end.
    """

    names: tuple[str, ...]
    after: Cursor
    upTo: int | None


@frozen
class Step:
    """
    What a reader must be told next, in this order.

    @ivar gap: Names that lost messages after C{cursor}.

    @ivar cursor: Where the reader stood before this step.

    @ivar lowest: Where the name that was furthest behind stood before this
        step.

    @ivar messages: What the reader has not got yet, in the order of positions.

    @ivar isReplay: Whether the messages are older than C{cursor}.

    @ivar isCaughtUp: Whether with this step all late names have caught up.

    @ivar more: Whether there is more to read at this moment.

    @ivar isPart: Whether the bus ended before a limit of the reader was reached.
    """

    gap: tuple[str, ...]
    cursor: Cursor
    lowest: Cursor
    messages: Sequence[Message]
    isReplay: bool
    isCaughtUp: bool
    more: bool
    isPart: bool = False

    def without(self, readerID: str) -> Step:
        """
        Return the same step for a reader of a client that has given its readers an id.
        """
        told = [each for each in self.messages if each.exclude != readerID]
        return self if len(told) == len(self.messages) else evolve(self, messages=told)


# The empty table, which most readers have.  They share it, so nothing is ever put
# into it.
_NONE: Final[dict[str, Any]] = {}


def _put(table: dict[str, V], name: str, value: V) -> dict[str, V]:
    """
    Put a value into a table, or into a new one where the table is the shared
    empty one.

    @return: The table that has the value.
    """
    if table is _NONE:
        return {name: value}
    table[name] = value
    return table


class Progress:
    """
    Where one reader stands.

    @ivar names: The channels and patterns that are read, each once, in the
        order in which they were asked for.

    @ivar cursor: Everything up to here, in all names that are not replaying,
        has reached the reader.
    """

    __slots__ = (
        "_base",
        "_deliveredAfter",
        "_replaying",
        "_reportedFloors",
        "_skipUpTo",
        "_suppressed",
        "cursor",
        "names",
    )

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.names: tuple[str, ...] = ()
        # The position after which a name has delivered everything, unless it is
        # in the next table.
        self._base = 0
        # By name: the position after which it has delivered everything.
        self._deliveredAfter: dict[str, int] = _NONE
        # By name: the position that its replay has reached.
        self._replaying: dict[str, int] = _NONE
        # By name: the floor that the reader was told of, or need not be told of.
        self._reportedFloors: dict[str, int] = _NONE
        # By name: for each channel, the position up to which it is left out.
        self._skipUpTo: dict[str, Mapping[str, int]] = _NONE
        # By replaying name: the ranges that removed names delivered meanwhile.
        self._suppressed: dict[str, list[DeliveredRange]] = _NONE

    def begin(self, names: tuple[str, ...], cursor: Cursor) -> None:
        """
        Start to read these names, all of them after this cursor, with no gap, in the
        place of L{add}.  Whatever the reader has read before does not count any more.

        @param names: Each once.
        """
        self.names = names
        self.cursor = cursor
        self._base = cursor.position
        self._deliveredAfter = self._replaying = self._reportedFloors = _NONE
        self._skipUpTo = self._suppressed = _NONE

    @property
    def isReplaying(self) -> bool:
        """
        Whether a name is being replayed.
        """
        return bool(self._replaying)

    @property
    def lowest(self) -> Cursor:
        """
        The position of the name that is furthest behind.  A reader that comes
        back with it misses nothing, and may get again what other names had
        delivered.
        """
        positions = [self.cursor.position, *self._replaying.values()]
        return Cursor(self.cursor.epoch, min(positions))

    def add(self, resolved: ResolvedStarts) -> tuple[str, ...]:
        """
        Start to read more names.

        @param resolved: Where they start, in the order in which they were
            asked for.  Names that are read already change nothing.

        @return: The names that start with a gap, in the same order.
        """
        if not self.names and len(resolved.starts) == 1:
            ((name, start),) = resolved.starts.items()
            if not start.skipUpTo and start.floor <= start.position and not start.isGap:
                # Fast path: most readers have one name, and no exceptions.
                self.begin((name,), Cursor(resolved.end.epoch, start.position))
                return ()
        starts = {n: start for n, start in resolved.starts.items() if n not in self.names}
        if not starts:
            return ()
        starts = bounded(starts, self._skips(), resolved.end.position)
        if not self.names:
            self.cursor = Cursor(resolved.end.epoch, _startTogether(starts.values()))
            self._base = self.cursor.position
        elif resolved.end.epoch != self.cursor.epoch:
            # The next reading has the new epoch, and starts all names there.
            self.names = (*self.names, *starts)
            return ()
        self.names = (*self.names, *starts)
        for name, start in starts.items():
            self._start(name, start)
        return tuple(name for name, start in starts.items() if start.isGap)

    def _skips(self) -> Iterator[Mapping[str, int]]:
        """
        The tables of skips that are kept.
        """
        yield from self._skipUpTo.values()
        for ranges in self._suppressed.values():
            yield from (each.skips for each in ranges)

    def _start(self, name: str, start: ResolvedStart) -> None:
        if start.position != self._base:
            self._deliveredAfter = _put(self._deliveredAfter, name, start.position)
        if start.position < self.cursor.position:
            self._replaying = _put(self._replaying, name, start.position)
        # Messages that were lost below the start were never wanted.
        known = max(start.floor, start.position)
        if known > self._replaying.get(name, self.cursor.position):
            self._reportedFloors = _put(self._reportedFloors, name, known)
        # The mapping is shared by names, not copied: there may be many channels.
        skips = start.skipUpTo if any(p > start.position for p in start.skipUpTo.values()) else {}
        if start.position > self.cursor.position and not skips:
            # This name starts ahead of the others.
            skips = {"": start.position}
        if skips:
            self._skipUpTo = _put(self._skipUpTo, name, skips)

    def remove(self, names: Iterable[str], reached: int | None = None) -> None:
        """
        Stop reading these names.  Names that are not read change nothing.

        @param reached: The position up to which the reader was given what was
            read last, if not all of it.
        """
        given = set(names)
        gone = [name for name in self.names if name in given]
        self.names = tuple(name for name in self.names if name not in gone)
        delivered = [self._deliveredBy(name, reached) for name in gone] if self._replaying else []
        # Most names have delivered nothing yet.
        delivered = [each for each in delivered if each.after < each.upTo]
        for name in gone:
            for table in self._tables:
                table.pop(name, None)
        for name in self._replaying:
            if delivered:
                ranges = merge([*self._suppressed.get(name, ()), *delivered])
                self._suppressed = _put(self._suppressed, name, ranges)

    def _deliveredBy(self, name: str, reached: int | None) -> DeliveredRange:
        upTo = self._replaying.get(name, self.cursor.position)
        if reached is not None:
            upTo = min(upTo, reached)
        return DeliveredRange(
            name, self._deliveredAfter.get(name, self._base), upTo, self._skipUpTo.get(name, {})
        )

    @property
    def _tables(self) -> tuple[dict[str, Any], ...]:
        return (
            self._deliveredAfter,
            self._replaying,
            self._reportedFloors,
            self._skipUpTo,
            self._suppressed,
        )

    def wanted(self) -> Wanted:
        """
        What to read next: replaying names first, and of these the one that is
        furthest behind.
        """
        if not self._replaying:
            return Wanted(self.names, self.cursor, None)
        position = min(self._replaying.values())
        names = tuple(name for name in self.names if self._replaying.get(name) == position)
        ahead = [p for p in self._replaying.values() if p > position]
        upTo = min(ahead, default=self.cursor.position)
        return Wanted(names, Cursor(self.cursor.epoch, position), upTo)

    def accept(self, wanted: Wanted, result: ReadResult) -> Step:
        """
        Advance by what was read.

        @param wanted: What L{wanted} gave before the log was read; the names
            may have changed since.

        @param result: What the bus gave for it.
        """
        if wanted != self.wanted():
            # The names changed while the log was read.
            return self._readAgain()
        self.prune()
        if result.after.epoch != self.cursor.epoch:
            return self._acceptEpoch(wanted, result)
        if wanted.upTo is not None:
            return self._acceptReplay(wanted, result)
        before = self.cursor
        gap = self._gap(result, self.names)
        messages = self._unseen(result.messages, self.names)
        self.cursor = result.reached
        return Step(gap, before, before, messages, False, False, result.more, result.isPart)

    def _readAgain(self) -> Step:
        return Step((), self.cursor, self.lowest, (), False, False, True)

    def _acceptEpoch(self, wanted: Wanted, result: ReadResult) -> Step:
        """
        The log began a new epoch: everything that was known of the old one is
        void.
        """
        self._dropExceptions()
        if wanted.upTo is not None:
            # A replay reads only some of the names, and not up to the log end.
            return self._readAgain()
        gap = tuple(name for name in self.names if name in result.gaps)
        for name in gap:
            floor = max(result.gaps[name], result.after.position)
            self._reportedFloors = _put(self._reportedFloors, name, floor)
        self.cursor = result.reached
        after = result.after
        return Step(gap, after, after, result.messages, False, False, result.more, result.isPart)

    def _acceptReplay(self, wanted: Wanted, result: ReadResult) -> Step:
        lowest = self.lowest
        gap = self._gap(result, wanted.names)
        messages = self._unseen(result.messages, wanted.names)
        for name in wanted.names:
            self._replaying = _put(self._replaying, name, result.reached.position)
            if result.reached.position >= self.cursor.position:
                del self._replaying[name]
        return Step(gap, self.cursor, lowest, messages, True, not self._replaying, True)

    def _gap(self, result: ReadResult, names: Sequence[str]) -> tuple[str, ...]:
        """
        The names with a gap that the reader was not told of.
        """
        found = []
        for name in names if result.gaps else ():
            floor = result.gaps.get(name, -1)
            if floor > self._reportedFloors.get(name, -1):
                self._reportedFloors = _put(self._reportedFloors, name, floor)
                found.append(name)
        return tuple(found)

    def _unseen(self, messages: Sequence[Message], names: Sequence[str]) -> Sequence[Message]:
        """
        Leave out messages that are skipped, and those that a name further on
        has delivered.
        """
        others = [name for name in self.names if name not in names] if self._replaying else []
        if not self._skipUpTo and not others and not self._suppressed:
            return messages
        return [
            message
            for message in messages
            if any(self._wants(name, message) for name in names)
            and not any(self._isSuppressed(name, message) for name in self._suppressed)
            and not any(self._hasDelivered(name, message) for name in others)
        ]

    def isWanted(self, message: Message, names: Iterable[str]) -> bool:
        """
        Whether any of these names, all of them being read, started before this
        message and does not skip it.
        """
        position = message.position
        return any(
            self._deliveredAfter.get(name, self._base) < position and self._wants(name, message)
            for name in names
        )

    def _wants(self, name: str, message: Message) -> bool:
        return includes(name, self._skipUpTo.get(name), message)

    def _isSuppressed(self, name: str, message: Message) -> bool:
        """
        Whether a removed name delivered a message that this replaying name
        would deliver.
        """
        return self.isWanted(message, (name,)) and any(
            each.includes(message) for each in self._suppressed[name]
        )

    def _hasDelivered(self, name: str, message: Message) -> bool:
        reached = self._replaying.get(name, self.cursor.position)
        return self._deliveredAfter.get(
            name, self._base
        ) < message.position <= reached and self._wants(name, message)

    def advance(self, position: int) -> None:
        """
        Everything up to this position has reached the reader, without being
        read from the log.
        """
        if position > self.cursor.position:
            self.cursor = Cursor(self.cursor.epoch, position)
            self.prune()

    def prune(self) -> None:
        """
        Drop entries that no longer make a difference.  Called once the reader
        was given what was read.
        """
        position = self.cursor.position
        if self._reportedFloors:
            floors = {
                name: floor
                for name, floor in self._reportedFloors.items()
                if floor > self._replaying.get(name, position)
            }
            self._reportedFloors = floors or _NONE
        if self._skipUpTo:
            # Many names may share one table.
            tables = {id(skips): skips for skips in self._skipUpTo.values()}
            lasts = {which: max(skips.values()) for which, skips in tables.items()}
            for name, skips in list(self._skipUpTo.items()):
                last = lasts[id(skips)]
                if last <= self._replaying.get(name, position):
                    # There may be skips for very many channels.  Once they are
                    # dropped, it is not known what was delivered among them, so
                    # none of it counts as delivered.
                    after = max(self._deliveredAfter.get(name, self._base), last)
                    self._deliveredAfter = _put(self._deliveredAfter, name, after)
                    del self._skipUpTo[name]
        if self._suppressed:
            ranges = {name: r for name, r in self._suppressed.items() if name in self._replaying}
            self._suppressed = ranges or _NONE

    def _dropExceptions(self) -> None:
        self._base = 0
        self._deliveredAfter = self._replaying = self._reportedFloors = self._skipUpTo = (
            self._suppressed
        ) = _NONE


def cursorBeforeStart(startPositions: Mapping[str, StartPosition], end: Cursor) -> Cursor:
    """
    The cursor for a reader that is cut off before the bus has told where its
    names start.  With it the reader misses nothing of what it asked for.

    @param end: The position of the newest message that is known.
    """
    cursors = [each.cursor for each in startPositions.values() if isinstance(each, At)]
    others = [cursor for cursor in cursors if cursor.epoch != end.epoch]
    # A client may have a cursor from another node, of an epoch or a position that
    # this node has not heard of yet.
    furthest = others[0] if others else max([end, *cursors])
    positions = [furthest.position]
    for startPosition in startPositions.values():
        if isinstance(startPosition, At) and startPosition.cursor.epoch == furthest.epoch:
            positions.append(startPosition.cursor.position)
        elif not isinstance(startPosition, Now):
            # The reader wants what is held.
            positions.append(0)
    return Cursor(furthest.epoch, min(positions))


def _startTogether(starts: Collection[ResolvedStart]) -> int:
    """
    The position at which a reader of several names starts: that of the furthest
    name.  If all names start relative to what is held, it is the position of the
    name furthest behind, so that no message comes before its turn.
    """
    positions = [start.position for start in starts]
    return min(positions) if all(start.isRelative for start in starts) else max(positions)
