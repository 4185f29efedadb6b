"""
Where one reader stands, and what it must read next.

A reader of several names has I{one} position: everything up to it, in all of
its names, has reached the reader.  Three things make it more than a number.

  - Names that begin behind the furthest of them are I{late}: what they missed
    is replayed up to the position of the others, before anything else.
  - A gap is told once, though the log is read many times.
  - Where the last few of each channel were asked for, older ones that lie
    between are skipped.

All of them pass; a reader that has caught up is a number again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from attrs import frozen

from comet.model.cursors import Cursor
from comet.model.delivered import DeliveredRange, isOf, merge
from comet.model.messages import Message
from comet.model.positions import At, Now, ReadResult, ResolvedStart, ResolvedStarts, StartPosition

V = TypeVar("V")


@frozen
class Wanted:
    """
    What a reader must read next.

    @ivar names: The names to read.

    @ivar after: The cursor to read after.

    @ivar upTo: The last position to read, or L{None} for the head.
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

    @ivar lowest: Where the name stood that was furthest behind, before this
        step.

    @ivar messages: What it has not seen, in the order of positions.

    @ivar isReplay: Whether the messages are older than C{cursor}.

    @ivar isCaughtUp: Whether with this step all late names have caught up.

    @ivar more: Whether there is more to read at this moment.
    """

    gap: tuple[str, ...]
    cursor: Cursor
    lowest: Cursor
    messages: Sequence[Message]
    isReplay: bool
    isCaughtUp: bool
    more: bool


# The table of a reader that needs none, as most do: one for all of them, which
# nothing is ever put into.
_NONE: Final[dict[str, Any]] = {}


def _put(table: dict[str, V], name: str, value: V) -> dict[str, V]:
    """
    Put something into a table.

    @return: The table that has it.
    """
    if table is _NONE:
        return {name: value}
    table[name] = value
    return table


class Progress:
    """
    Where one reader stands.

    @ivar names: The channels and patterns that it reads, each once, in the
        order in which they were asked for.

    @ivar cursor: Everything up to here, in all names that are not late, has
        arrived.
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
        # The position after which those names have brought everything that are
        # not in the next table.
        self._base = 0
        # By name: the position after which it has brought everything.
        self._deliveredAfter: dict[str, int] = _NONE
        # By name: the position that its replay has reached.
        self._replaying: dict[str, int] = _NONE
        # By name: the floor of which the reader was told, or need not know.
        self._reportedFloors: dict[str, int] = _NONE
        # By name: up to which position which channel is not wanted.
        self._skipUpTo: dict[str, Mapping[str, int]] = _NONE
        # By late name: what was brought by names that were read beside it.
        self._suppressed: dict[str, list[DeliveredRange]] = _NONE

    def begin(self, names: tuple[str, ...], cursor: Cursor) -> None:
        """
        Read these names, each once, all of them after this cursor, which none
        of them has a gap before.  To be called in the place of L{add}, once.
        """
        self.names = names
        self.cursor = cursor
        self._base = cursor.position

    @property
    def isReplaying(self) -> bool:
        """
        Whether there are late names.
        """
        return bool(self._replaying)

    @property
    def lowest(self) -> Cursor:
        """
        The cursor of a reader that would lose nothing and repeat something:
        the position of the name that is furthest behind.
        """
        positions = [self.cursor.position, *self._replaying.values()]
        return Cursor(self.cursor.epoch, min(positions))

    def add(self, resolved: ResolvedStarts) -> tuple[str, ...]:
        """
        Begin to read more names.

        @param resolved: Where they begin, in the order in which they were
            asked for.  Names that are held already change nothing.

        @return: Those that begin with a gap, in the same order.
        """
        if not self.names and len(resolved.starts) == 1:
            ((name, start),) = resolved.starts.items()
            if not start.skipUpTo and start.floor <= start.position and not start.isGap:
                # So it is with most.
                self.begin((name,), Cursor(resolved.end.epoch, start.position))
                return ()
        starts = {n: start for n, start in resolved.starts.items() if n not in self.names}
        if not starts:
            return ()
        if not self.names:
            self.cursor = Cursor(resolved.end.epoch, _meet(starts.values()))
            self._base = self.cursor.position
        elif resolved.end.epoch != self.cursor.epoch:
            # The next reading will tell of the new epoch, for all names.
            self.names = (*self.names, *starts)
            return ()
        self.names = (*self.names, *starts)
        for name, start in starts.items():
            self._begin(name, start)
        return tuple(name for name, start in starts.items() if start.isGap)

    def _begin(self, name: str, start: ResolvedStart) -> None:
        if start.position != self._base:
            self._deliveredAfter = _put(self._deliveredAfter, name, start.position)
        if start.position < self.cursor.position:
            self._replaying = _put(self._replaying, name, start.position)
        # What is lost of it below its place was never wanted.
        told = max(start.floor, start.position)
        if told > self._replaying.get(name, self.cursor.position):
            self._reportedFloors = _put(self._reportedFloors, name, told)
        # Shared, as it was given: there may be many channels.
        skips = start.skipUpTo if any(p > start.position for p in start.skipUpTo.values()) else {}
        if start.position > self.cursor.position and not skips:
            # Wanted from a place ahead of the others.
            skips = {"": start.position}
        if skips:
            self._skipUpTo = _put(self._skipUpTo, name, skips)

    def remove(self, names: Iterable[str], reached: int | None = None) -> None:
        """
        Read these names no more.  Names that are not held change nothing.

        @param reached: Up to where what was read was told, if not all of it.
        """
        given = set(names)
        gone = [name for name in self.names if name in given]
        self.names = tuple(name for name in self.names if name not in gone)
        brought = [self._broughtBy(name, reached) for name in gone] if self._replaying else []
        # Most have brought nothing yet.
        brought = [each for each in brought if each.after < each.upTo]
        for name in gone:
            for table in self._tables:
                table.pop(name, None)
        for name in self._replaying:
            if brought:
                had = merge([*self._suppressed.get(name, ()), *brought])
                self._suppressed = _put(self._suppressed, name, had)

    def _broughtBy(self, name: str, reached: int | None) -> DeliveredRange:
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
        What to read next: late names first, the one furthest behind before
        the others.
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
        Go on by what was read.

        @param wanted: What L{wanted} gave; the names may have changed since.

        @param result: What the bus gave for it.
        """
        if wanted != self.wanted():
            # The names changed while the log was read.
            return self._readAgain()
        self.settle()
        if result.after.epoch != self.cursor.epoch:
            return self._acceptEpoch(wanted, result)
        if wanted.upTo is not None:
            return self._acceptReplay(wanted, result)
        stood = self.cursor
        gap = self._gap(result, self.names)
        messages = self._unseen(result.messages, self.names)
        self.cursor = result.reached
        return Step(gap, stood, stood, messages, False, False, result.more)

    def _readAgain(self) -> Step:
        return Step((), self.cursor, self.lowest, (), False, False, True)

    def _acceptEpoch(self, wanted: Wanted, result: ReadResult) -> Step:
        """
        The log began a new life: everything that was known of the old one is
        void.
        """
        self._forgetDetails()
        if wanted.upTo is not None:
            # This was a replay: of some of the names, and not up to the head.
            return self._readAgain()
        gap = tuple(name for name in self.names if name in result.gaps)
        for name in gap:
            floor = max(result.gaps[name], result.after.position)
            self._reportedFloors = _put(self._reportedFloors, name, floor)
        self.cursor = result.reached
        after = result.after
        return Step(gap, after, after, result.messages, False, False, result.more)

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
        Which of the names have a gap that the reader was not told of.
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
        Leave out what is skipped, and what a name that is further on has
        brought.
        """
        others = [name for name in self.names if name not in names] if self._replaying else []
        if not self._skipUpTo and not others and not self._suppressed:
            return messages
        return [
            message
            for message in messages
            if any(self._wants(name, message) for name in names)
            and not any(self._has(name, message) for name in self._suppressed)
            and not any(self._hasBrought(name, message) for name in others)
        ]

    def isWanted(self, message: Message, names: Iterable[str]) -> bool:
        """
        Whether any of these names, of those that are read, began before this
        message, and wants it.
        """
        position = message.position
        return any(
            self._deliveredAfter.get(name, self._base) < position and self._wants(name, message)
            for name in names
        )

    def _wants(self, name: str, message: Message) -> bool:
        return isOf(name, self._skipUpTo.get(name), message)

    def _has(self, name: str, message: Message) -> bool:
        """
        Whether a late name is spared a message that it would bring.
        """
        return self.isWanted(message, (name,)) and any(
            brought.includes(message) for brought in self._suppressed[name]
        )

    def _hasBrought(self, name: str, message: Message) -> bool:
        reached = self._replaying.get(name, self.cursor.position)
        return self._deliveredAfter.get(
            name, self._base
        ) < message.position <= reached and self._wants(name, message)

    def stand(self, position: int) -> None:
        """
        Everything up to this position has arrived, without having been read
        from the log.
        """
        if position > self.cursor.position:
            self.cursor = Cursor(self.cursor.epoch, position)
            self.settle()

    def settle(self) -> None:
        """
        Forget what no longer makes a difference, once what was read is told.
        """
        position = self.cursor.position
        if self._reportedFloors:
            told = {
                name: floor
                for name, floor in self._reportedFloors.items()
                if floor > self._replaying.get(name, position)
            }
            self._reportedFloors = told or _NONE
        if self._skipUpTo:
            # Many names may share one table.
            tables = {id(skips): skips for skips in self._skipUpTo.values()}
            lasts = {which: max(skips.values()) for which, skips in tables.items()}
            for name, skips in list(self._skipUpTo.items()):
                last = lasts[id(skips)]
                if last <= self._replaying.get(name, position):
                    # There may be very many.  Without them it is not known
                    # any more what of this was brought: it would be repeated.
                    brought = max(self._deliveredAfter.get(name, self._base), last)
                    self._deliveredAfter = _put(self._deliveredAfter, name, brought)
                    del self._skipUpTo[name]
        if self._suppressed:
            had = {name: had for name, had in self._suppressed.items() if name in self._replaying}
            self._suppressed = had or _NONE

    def _forgetDetails(self) -> None:
        self._base = 0
        self._deliveredAfter = self._replaying = self._reportedFloors = self._skipUpTo = (
            self._suppressed
        ) = _NONE


def unbegun(startPositions: Mapping[str, StartPosition], end: Cursor) -> Cursor:
    """
    A cursor for a reader that is cut off before it is known where its names
    begin: it will miss nothing of what was asked for.

    @param end: The position of the newest message that is known.
    """
    cursors = [each.cursor for each in startPositions.values() if isinstance(each, At)]
    others = [cursor for cursor in cursors if cursor.epoch != end.epoch]
    # What others have told already may be not known of here yet: another epoch,
    # or a later position.
    furthest = others[0] if others else max([end, *cursors])
    positions = [furthest.position]
    for startPosition in startPositions.values():
        if isinstance(startPosition, At) and startPosition.cursor.epoch == furthest.epoch:
            positions.append(startPosition.cursor.position)
        elif not isinstance(startPosition, Now):
            # It wants all that is held.
            positions.append(0)
    return Cursor(furthest.epoch, min(positions))


def _meet(starts: Collection[ResolvedStart]) -> int:
    """
    Where a reader of several names stands before any message: at the place
    that is furthest on; or, where all were found by what is held, before the
    oldest message to come.
    """
    positions = [start.position for start in starts]
    return min(positions) if all(start.isRelative for start in starts) else max(positions)
