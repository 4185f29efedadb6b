"""
What the buses that keep a log themselves decide alike: what is to be done with
a publication that has a key, and where names begin.
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


class Survey(Protocol[C]):
    """
    What a bus holds, at one moment.
    """

    @property
    def end(self) -> Cursor:
        """
        The position of its newest message.
        """

    def reach(
        self, names: Sequence[str], after: int
    ) -> tuple[Mapping[str, Mapping[str, C]], Mapping[str, int]]:
        """
        The channels with news after a position.

        @return: By name, those that it reaches, by theirs; and the floors of
            those names that have one above the position.
        """

    def beforeOldest(self, channels: Iterable[C]) -> int:
        """
        One before the oldest message that is held in some channels; the head
        if there is none.
        """

    def beforeLast(self, channel: C, count: int) -> int | None:
        """
        The position that the last few messages of a channel come after;
        L{None} if it holds none.
        """


def resolve(names: Mapping[str, StartPosition], survey: Survey[C]) -> ResolvedStarts:
    """
    Find where names begin: see
    L{IMessageBus.resolve<comet.interfaces.IMessageBus.resolve>}.
    """
    end = survey.end
    found = resolveAtEnd(names, end)
    if found is not None:
        return found
    positions = {name: _known(startPosition, end) for name, startPosition in names.items()}
    sought = [name for name, startPosition in names.items() if not isinstance(startPosition, Now)]
    after = min((positions[name] or 0 for name in sought), default=0)
    reached, floors = survey.reach(sought, after)
    # By how many are wanted of each: shared by all names that want so many.
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
            start = _beforeLast(startPosition.count, channels, survey, table)
            starts[name] = ResolvedStart(start, floor, isRelative=True, skips=table)
        else:
            isGap = isinstance(startPosition, (At, Unreadable))
            starts[name] = ResolvedStart(survey.beforeOldest(channels.values()), floor, isGap, True)
    return ResolvedStarts(end, starts)


def resolveAtEnd(names: Mapping[str, StartPosition], end: Cursor) -> ResolvedStarts | None:
    """
    Where names begin that all begin at the head, as those of most readers do:
    nothing that they want can be lost.

    @return: L{None} if one of them begins elsewhere.
    """
    for startPosition in names.values():
        if type(startPosition) is not Now and not (
            type(startPosition) is At and startPosition.cursor == end
        ):
            return None
    return ResolvedStarts(end, dict.fromkeys(names, ResolvedStart(end.position)))


def _beforeLast(
    count: int, channels: Mapping[str, C], survey: Survey[C], table: dict[str, int]
) -> int:
    """
    The position that the last few messages of each of some channels come after.

    @param table: What is known already, by channel; what is found is added.
    """
    start = survey.end.position
    for name, channel in channels.items():
        position = table.get(name)
        if position is None:
            position = survey.beforeLast(channel, count)
        if position is not None:
            table[name] = position
            start = min(start, position)
    return start


def isKnown(cursor: Cursor, end: Cursor) -> bool:
    """
    Whether a cursor is one of this life of the log.
    """
    return cursor.epoch == end.epoch and cursor.position <= end.position


def _known(startPosition: StartPosition, end: Cursor) -> int | None:
    """
    The position of a beginning that is known.
    """
    if isinstance(startPosition, At) and isKnown(startPosition.cursor, end):
        return startPosition.cursor.position
    return None
