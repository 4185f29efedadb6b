"""
Where a reader asks to begin, where the bus found that to be, and what it read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import field, frozen

from comet.errors import BadCursor
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Message

_LAST = re.compile(r"-([1-9][0-9]{0,8})", re.ASCII)


@frozen
class Now:
    """
    Begin after the newest message there is.
    """


@frozen
class Earliest:
    """
    Begin before the oldest message that is held.
    """


@frozen
class Last:
    """
    Begin before the last messages of each channel.

    @ivar count: How many of each, at least 1.
    """

    count: int


@frozen
class At:
    """
    Begin after everything that a cursor stands for.
    """

    cursor: Cursor


@frozen
class Unreadable:
    """
    A cursor was given once, and cannot be read any more: begin as if its epoch
    were gone, which is a gap.
    """


StartPosition: TypeAlias = Now | Earliest | Last | At | Unreadable


def parseStartPosition(text: str) -> StartPosition:
    """
    Read a place to begin at: a cursor, C{now}, C{earliest}, C{-N}, or nothing,
    which is C{now}.

    @raise BadCursor: If C{text} is none of them.
    """
    if text in ("", "now"):
        return Now()
    if text == "earliest":
        return Earliest()
    last = _LAST.fullmatch(text)
    if last is not None:
        return Last(int(last[1]))
    try:
        return At(parseCursor(text))
    except BadCursor as error:
        raise BadCursor(f"{error.detail}; or 'now', 'earliest', '-N' with N >= 1") from None


@frozen
class StartPositions:
    """
    Where a reader of several names begins.

    @ivar default: Where each name begins that has no place of its own.

    @ivar byName: The places of single names, by the name as it was asked
        for.
    """

    default: StartPosition = Now()
    byName: Mapping[str, StartPosition] = field(factory=dict)

    def of(self, name: str) -> StartPosition:
        """
        Where one name begins.
        """
        return self.byName.get(name, self.default)


@frozen
class ResolvedStart:
    """
    Where one name begins.

    @ivar position: Everything up to here is not wanted, or has arrived.

    @ivar floor: The floor of the name: for a channel, the position of the
        newest message that it no longer holds; for a pattern, the highest of
        the bus's own floor and of the channels that it matches.  It may be 0
        where it is not above the position.

    @ivar isGap: Whether messages that were wanted are no longer held.

    @ivar isRelative: Whether the position was found by what is held, and is
        not one that was given: it lies just before the oldest message to come.

    @ivar skipUpTo: For single channels, a later position up to which nothing is
        wanted of them: where the last few of each channel were asked for.  It
        may hold channels that are not of this name.
    """

    position: int
    floor: int = 0
    isGap: bool = False
    isRelative: bool = False
    skipUpTo: Mapping[str, int] = field(factory=dict)


@frozen
class ResolvedStarts:
    """
    The answer of L{IMessageBus.resolve<comet.interfaces.IMessageBus.resolve>}.

    @ivar end: The position of the newest message of the bus.

    @ivar starts: A place for each name that was asked for.
    """

    end: Cursor
    starts: Mapping[str, ResolvedStart]


@frozen
class ReadResult:
    """
    The answer of L{IMessageBus.read<comet.interfaces.IMessageBus.read>}.

    @ivar after: Where the reading began: the cursor that was given, or, where
        its epoch is gone, one before the oldest message that is held of the
        names.

    @ivar messages: In the order of their positions, each once.

    @ivar reached: Everything of the names up to and including this cursor is
        among the messages, or in the gaps.

    @ivar gaps: The names that lost messages after C{after}, with their floors.
        All names, where the epoch of the cursor is gone; then 0 for one that
        has none.

    @ivar more: Whether there is more after C{reached} at this moment.
    """

    after: Cursor
    messages: Sequence[Message]
    reached: Cursor
    gaps: Mapping[str, int] = field(factory=dict)
    more: bool = False
