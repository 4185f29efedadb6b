"""
Start positions, the resolved starts that a bus finds for them, and what a bus
reads from there; and what it reads before a cursor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import evolve, field, frozen

from comet.errors import BadCursor
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Message

_LAST = re.compile(r"-([1-9][0-9]{0,8})", re.ASCII)


@frozen
class Now:
    """
    Start after the newest message.
    """


@frozen
class Earliest:
    """
    Start before the oldest message that is held.
    """


@frozen
class Last:
    """
    Start before the last few messages of each channel.

    @ivar count: How many messages of each channel; at least 1.
    """

    count: int


@frozen
class At:
    """
    Start after a cursor.
    """

    cursor: Cursor


@frozen
class Unreadable:
    """
    Start from a cursor that can no longer be read.  It is treated like a cursor
    of a lost epoch: the reader is told of a gap.
    """


StartPosition: TypeAlias = Now | Earliest | Last | At | Unreadable


def parseStartPosition(text: str) -> StartPosition:
    """
    Read a start position: a cursor, C{now}, C{earliest}, C{-N}, or the empty
    text, which means C{now}.

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
    The start positions of a reader of several names.

    @ivar default: The start position of each name that has none of its own.

    @ivar byName: The start positions of single names, by the name as it was
        asked for.

    @ivar isGiven: Whether the client has said C{default}; else it is so because the
        client has said nothing.
    """

    default: StartPosition = Now()
    byName: Mapping[str, StartPosition] = field(factory=dict)
    isGiven: bool = field(default=False, eq=False, kw_only=True)

    def of(self, name: str) -> StartPosition:
        """
        Return the start position of one name.
        """
        return self.byName.get(name, self.default)

    def completed(self, starts: Mapping[str, StartPosition]) -> StartPositions:
        """
        Return these with the start positions of names of which the client has said
        nothing.
        """
        if not starts or self.isGiven or not isinstance(self.default, Now):
            return self
        return StartPositions(self.default, {**starts, **self.byName})


@frozen
class ResolvedStart:
    """
    The place in the log where one name starts.

    @ivar position: The reader does not want messages up to here, or has
        received them.

    @ivar floor: The floor of the name.  For a channel, it is the position of
        the newest message that is no longer held.  For a pattern, it is the
        highest of the bus's own floor and the floors of the matching channels.
        It may be 0 if it is not above the position.

    @ivar isGap: Whether messages that the reader wanted are no longer held.

    @ivar isRelative: Whether the position was derived from what is held, and
        not given by the client.  Then it lies just before the oldest message to
        come.

    @ivar skipUpTo: For single channels, a later position up to which the reader
        wants nothing: used where the last few messages of each channel were
        asked for.  It may have channels that the name does not match.  The
        empty key stands for all channels that are not in it.
    """

    position: int
    floor: int = 0
    isGap: bool = False
    isRelative: bool = False
    skipUpTo: Mapping[str, int] = field(factory=dict)


@frozen
class ResolvedStarts:
    """
    The answer of L{IMessageBus.resolve<comet.interfaces.messagebus.IMessageBus.resolve>}.

    @ivar end: The log end.

    @ivar starts: The resolved start of each name that was asked for.

    @ivar page: What the bus has read ahead: the first messages of all the names, in the
        order in which they were asked for, after the cursor at which a reader of them
        begins; as they were at C{end}.  L{None} if it has not read them.
    """

    end: Cursor
    starts: Mapping[str, ResolvedStart]
    page: ReadResult | None = field(default=None, eq=False)


@frozen
class ReadResult:
    """
    The answer of L{IMessageBus.read<comet.interfaces.messagebus.IMessageBus.read>}.

    @ivar after: The cursor after which the reading began.  It is the given
        cursor; or, if the epoch of that is lost, a cursor just before the
        oldest message that is held of the names.

    @ivar messages: The messages in the order of positions, each once.

    @ivar reached: The cursor up to which the result is complete: each message
        of the names up to and including it is in C{messages} or lost in
        C{gaps}.

    @ivar gaps: The names that lost messages after C{after}, with their floors.
        If the epoch of the given cursor is lost, all names are here, with 0 for
        a name without a floor.

    @ivar more: Whether there were more messages after C{reached} at that
        moment, or the bus has not looked yet.

    @ivar isPart: Whether the bus ended before a limit of the caller was reached: what
        comes next may fit as well.
    """

    after: Cursor
    messages: Sequence[Message]
    reached: Cursor
    gaps: Mapping[str, int] = field(factory=dict)
    more: bool = False
    isPart: bool = False

    def first(self, limit: int, maxBytes: int) -> ReadResult:
        """
        Return what a reading with these limits would have given, of a result with others.

        @param limit: How many messages at most; at least 1.

        @param maxBytes: After how many bytes of payload to stop.
        """
        size, count = 0, 0
        for message in self.messages[:limit]:
            size += len(message.payload)
            if count and size > maxBytes:
                break
            count += 1
        if count < len(self.messages):
            messages = self.messages[:count]
            return evolve(
                self, messages=messages, reached=messages[-1].cursor, more=True, isPart=False
            )
        # What comes next may fit, if the other limits have ended this.
        return evolve(self, isPart=self.isPart or (self.more and count < limit))


@frozen
class HistoryPage:
    """
    Messages of one channel before a cursor: what
    L{IMessageBus.history<comet.interfaces.messagebus.IMessageBus.history>} reads.

    @ivar messages: The messages in the order of positions.

    @ivar more: Whether older messages are held.

    @ivar isGap: Whether none are, since the older messages are gone; or, if the
        channel has no record, may be.

    @ivar isPart: Whether the bus ended before a limit of the caller was reached: what was
        before may fit as well.
    """

    messages: Sequence[Message] = ()
    more: bool = False
    isGap: bool = False
    isPart: bool = False
