"""
Where the names of a reader begin: the rules of
L{IMessageBus.resolve<comet.interfaces.messagebus.IMessageBus.resolve>}, for every bus that
can look at its log at one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from attrs import frozen

from comet.model.cursors import Cursor
from comet.model.patterns import NameSet
from comet.model.positions import (
    At,
    Last,
    Now,
    ResolvedStart,
    ResolvedStarts,
    StartPosition,
    Unreadable,
)

# How many channels are told in one question, of which the last few messages are
# wanted: those with the newest messages.  A reader keeps a position for each.
MOST_LAST: Final = 1000


class NamedChannel(Protocol):
    """
    What a bus knows of a channel.
    """

    @property
    def name(self) -> str:
        """
        Its name.
        """


C = TypeVar("C", bound=NamedChannel)


class LastFew(NamedTuple):
    """
    Where the last few messages of each channel of a name begin.

    @ivar position: The position just before the oldest of all these; or the end
        of the log, if there are none.

    @ivar skipUpTo: By channel, the position just before the last few messages.
        Several names may share this table, so it may have channels that the
        name does not match.  If there are more channels than L{MOST_LAST}, those
        with the newest messages are in it, and the empty key has the end of the
        log, for all others.
    """

    position: int
    skipUpTo: Mapping[str, int]


class Snapshot(Protocol):
    """
    The log of a bus at one moment.
    """

    @property
    def end(self) -> Cursor:
        """
        The cursor of the newest message.
        """

    def floors(self, names: Sequence[str], after: int) -> Mapping[str, int]:
        """
        The floors of those names whose floor is above a position.  Other floors
        may be there, too.
        """

    def oldest(self, names: Sequence[str]) -> Mapping[str, int]:
        """
        The position of the oldest message that is held of each name.  Names
        without messages are left out.
        """

    def lastFew(self, counts: Mapping[str, int]) -> Mapping[str, LastFew]:
        """
        Where the last few messages of each channel of some names begin.

        @param counts: For each name, how many messages of each channel.

        @return: For each name.  Names with the same count share a table.
        """


@frozen
class FoundStarts:
    """
    A L{Snapshot} of what was found of some names, for a bus that needs several
    steps for it.

    @ivar end: The cursor of the newest message.
    """

    end: Cursor
    _floors: Mapping[str, int]
    _oldest: Mapping[str, int]
    _tables: Mapping[str, LastFew]

    def floors(self, names: Sequence[str], after: int) -> Mapping[str, int]:
        """
        See L{Snapshot.floors}.
        """
        return self._floors

    def oldest(self, names: Sequence[str]) -> Mapping[str, int]:
        """
        See L{Snapshot.oldest}.
        """
        return self._oldest

    def lastFew(self, counts: Mapping[str, int]) -> Mapping[str, LastFew]:
        """
        See L{Snapshot.lastFew}.
        """
        return self._tables


def resolve(names: Mapping[str, StartPosition], snapshot: Snapshot) -> ResolvedStarts:
    """
    Find where each of some names begins: see
    L{IMessageBus.resolve<comet.interfaces.messagebus.IMessageBus.resolve>}.
    """
    end = snapshot.end
    found = resolveAtEnd(names, end)
    if found is not None:
        return found
    positions = {name: knownPosition(startPosition, end) for name, startPosition in names.items()}
    sought = [name for name, startPosition in names.items() if not isinstance(startPosition, Now)]
    after = min((positions[name] or 0 for name in sought), default=0)
    last = {name: each.count for name, each in names.items() if isinstance(each, Last)}
    lastFew = snapshot.lastFew(last)
    oldest = snapshot.oldest([n for n in sought if positions[n] is None and n not in last])
    floors = snapshot.floors(sought, after)
    starts = {}
    for name, startPosition in names.items():
        floor, position = floors.get(name, 0), positions[name]
        if isinstance(startPosition, Now):
            starts[name] = ResolvedStart(end.position)
        elif position is not None:
            starts[name] = ResolvedStart(position, floor, isGap=floor > position)
        elif isinstance(startPosition, Last):
            start, table = lastFew[name]
            starts[name] = ResolvedStart(start, floor, isRelative=True, skipUpTo=table)
        else:
            isGap = isinstance(startPosition, (At, Unreadable))
            start = beforeOldest([oldest.get(name)], end)
            starts[name] = ResolvedStart(start, floor, isGap, isRelative=True)
    return ResolvedStarts(end, starts)


def lastFew(
    counts: Mapping[str, int],
    names: NameSet,
    newest: Callable[[int], Iterable[tuple[C, int]]],
    beforeLast: Callable[[C, int], int],
    end: Cursor,
) -> dict[str, LastFew]:
    """
    See L{Snapshot.lastFew}.

    @param names: The names, and perhaps others.

    @param newest: Finds, for the bits of some names, the channels with messages
        that they reach, each with these bits: first those that are named, then
        those with the newest messages first.

    @param beforeLast: Finds the position just before the last few messages of
        such a channel.

    @param end: The end of the log.
    """
    byCount: dict[int, list[str]] = {}
    for name, count in counts.items():
        byCount.setdefault(count, []).append(name)
    found = {}
    for count, same in byCount.items():
        most = max(MOST_LAST // len(byCount), 1)
        wanted = names.bitsOf(same)
        table: dict[str, int] = {}
        held: list[tuple[int, int]] = []
        for channel, bits in newest(wanted):
            if channel.name in table:
                continue
            if len(table) >= most and not bits & ~names.patterns:
                table[""] = end.position
                break
            position = table[channel.name] = beforeLast(channel, count)
            held.append((position, bits))
        held.sort()
        starts = names.first(held, wanted)
        for name in same:
            found[name] = LastFew(starts.get(name, end.position), table)
    return found


def resolveAtEnd(names: Mapping[str, StartPosition], end: Cursor) -> ResolvedStarts | None:
    """
    Fast path: every name starts at the log's end, so no gap is possible.

    @return: L{None} if one of the names starts elsewhere.
    """
    for startPosition in names.values():
        if type(startPosition) is not Now and not (
            type(startPosition) is At and startPosition.cursor == end
        ):
            return None
    return ResolvedStarts(end, dict.fromkeys(names, ResolvedStart(end.position)))


def beforeOldest(oldest: Iterable[int | None], end: Cursor) -> int:
    """
    The position just before the oldest message of some channels.

    @param oldest: The position of the oldest message that is held of each
        channel or name, or L{None} if none is held.

    @return: The end of the log if none holds a message.
    """
    return min((position for position in oldest if position), default=end.position + 1) - 1


def knownPosition(startPosition: StartPosition, end: Cursor) -> int | None:
    """
    The position of a start that is a cursor of this log; L{None} of any other.
    """
    if isinstance(startPosition, At) and startPosition.cursor.isKnownAt(end):
        return startPosition.cursor.position
    return None
