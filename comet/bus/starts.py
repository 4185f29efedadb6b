"""
Where the names of a reader begin: the rules of
L{IMessageBus.resolve<comet.interfaces.IMessageBus.resolve>}, for every bus that
can look at its log at one moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from comet.model.cursors import Cursor
from comet.model.positions import (
    At,
    Last,
    Now,
    ResolvedStart,
    ResolvedStarts,
    StartPosition,
    Unreadable,
)

C = TypeVar("C")


class Snapshot(Protocol[C]):
    """
    The log of a bus at one moment.  C{C} is what the bus has for a channel.
    """

    @property
    def end(self) -> Cursor:
        """
        The cursor of the newest message.
        """

    def reach(
        self, names: Sequence[str], after: int
    ) -> tuple[Mapping[str, Mapping[str, C]], Mapping[str, int]]:
        """
        Find the channels with messages after a position.

        @param names: Channels or patterns.

        @return: For each name, the channels that it reaches, by their names;
            and the floors of those names whose floor is above the position.
            Other floors may be there, too.
        """

    def oldest(self, channel: C) -> int | None:
        """
        The position of the oldest message that is held of a channel, or
        L{None} if none is held.
        """

    def beforeLast(self, channel: C, count: int) -> int | None:
        """
        The position just before the last C{count} messages of a channel, or of
        as many as are held; L{None} if none is held.
        """


def resolve(names: Mapping[str, StartPosition], snapshot: Snapshot[C]) -> ResolvedStarts:
    """
    Find where each of some names begins: see
    L{IMessageBus.resolve<comet.interfaces.IMessageBus.resolve>}.
    """
    end = snapshot.end
    found = resolveAtEnd(names, end)
    if found is not None:
        return found
    positions = {name: _known(startPosition, end) for name, startPosition in names.items()}
    sought = [name for name, startPosition in names.items() if not isinstance(startPosition, Now)]
    after = min((positions[name] or 0 for name in sought), default=0)
    reached, floors = snapshot.reach(sought, after)
    # One table for each count: the names that want as many messages share it.
    byCount: dict[int, dict[str, int]] = {}
    starts = {}
    for name, startPosition in names.items():
        channels, floor, position = reached.get(name, {}), floors.get(name, 0), positions[name]
        if isinstance(startPosition, Now):
            starts[name] = ResolvedStart(end.position)
        elif position is not None:
            starts[name] = ResolvedStart(position, floor, isGap=floor > position)
        elif isinstance(startPosition, Last):
            table = byCount.setdefault(startPosition.count, {})
            start = _beforeLast(startPosition.count, channels, snapshot, table)
            starts[name] = ResolvedStart(start, floor, isRelative=True, skipUpTo=table)
        else:
            isGap = isinstance(startPosition, (At, Unreadable))
            start = beforeOldest(map(snapshot.oldest, channels.values()), end)
            starts[name] = ResolvedStart(start, floor, isGap, isRelative=True)
    return ResolvedStarts(end, starts)


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
        channel, or L{None} if none is held.

    @return: The end of the log if none of the channels holds a message.
    """
    return min((position for position in oldest if position), default=end.position + 1) - 1


def _beforeLast(
    count: int, channels: Mapping[str, C], snapshot: Snapshot[C], table: dict[str, int]
) -> int:
    """
    The lowest position that lies just before the last C{count} messages of one
    of some channels.

    @param table: The positions that are known already, by channel; those that
        are found are added.
    """
    start = snapshot.end.position
    for name, channel in channels.items():
        position = table.get(name)
        if position is None:
            position = snapshot.beforeLast(channel, count)
        if position is not None:
            table[name] = position
            start = min(start, position)
    return start


def _known(startPosition: StartPosition, end: Cursor) -> int | None:
    """
    The position of a start that is a cursor of this log.
    """
    if isinstance(startPosition, At) and startPosition.cursor.isKnownAt(end):
        return startPosition.cursor.position
    return None
