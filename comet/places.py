"""
What a bus tells of its log: where names begin, and what lies after a cursor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from comet.messages import Cursor, Message


@frozen
class Place:
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

    @ivar skips: For single channels, a later position up to which nothing is
        wanted of them: where the last few of each channel were asked for.  It
        may hold channels that are not of this name.
    """

    position: int
    floor: int = 0
    isGap: bool = False
    isRelative: bool = False
    skips: Mapping[str, int] = field(factory=dict)


@frozen
class Location:
    """
    The answer of L{IMessageBus.locate<comet.interfaces.IMessageBus.locate>}.

    @ivar head: The position of the newest message of the bus.

    @ivar places: A place for each name that was asked for.
    """

    head: Cursor
    places: Mapping[str, Place]


@frozen
class Reading:
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
