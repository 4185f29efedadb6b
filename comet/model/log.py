"""
The log of one channel: bounded by count, bytes and age together, with a floor.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from attrs import frozen

from comet.model.messages import MESSAGE_OVERHEAD, Message

# Channels without messages are known for their floors: while a channel is
# known, no reader that missed nothing is told of a gap in it.  They may take
# this part of what a bus may hold in all, each counted without its name; and, as
# names may be long, no more than the second part with all that they count for.  Then
# those are forgotten whose newest message is the oldest.
FLOORS_PART: Final = 4
NAMED_FLOORS_PART: Final = 2

# The server's own channels, as those of presence and of events, are safe from what
# clients publish while they hold no more than this part of what a bus may hold in
# all.  Above it they lose their oldest messages first, so a flood of members takes
# no more from the channels of clients either.
RESERVED_PART: Final = 4

_position = attrgetter("position")

# Takes the place of a dropped message until the list is cut.
_DROPPED = Message("", "", 0, 0.0, b"")


@frozen
class Retention:
    """
    How much of a channel is held.  The limit that is reached first counts.

    @ivar messages: How many messages.

    @ivar seconds: For how long, in seconds.

    @ivar bytes: How many bytes of payload.
    """

    messages: int = 1000
    seconds: float = 3600.0
    bytes: int = 1048576


class ChannelLog:
    """
    The messages of one channel, oldest first.

    @ivar floor: The position of the newest message that is no longer held; or,
        before the first message, the position below which nothing is known.

    @ivar payloadBytes: How many bytes of payload are held.

    @ivar size: How many bytes the held messages count for, their overhead
        included.
    """

    __slots__ = ("_first", "_messages", "floor", "payloadBytes", "retention", "size")

    def __init__(self, retention: Retention, floor: int = 0) -> None:
        self.retention = retention
        self.floor = floor
        self.payloadBytes = 0
        self.size = 0
        # Dropping from the front only moves C{_first}.  The list is cut when
        # half of it is dropped, so the cost of a drop does not grow with the
        # log.
        self._messages: list[Message] = []
        self._first = 0

    def __len__(self) -> int:
        """
        How many messages are held.
        """
        return len(self._messages) - self._first

    @property
    def end(self) -> int:
        """
        The position of the newest message, held or not.
        """
        return self._messages[-1].position if len(self) else self.floor

    @property
    def oldest(self) -> Message | None:
        """
        The oldest message that is held.
        """
        return self._messages[self._first] if len(self) else None

    def append(self, message: Message) -> bool:
        """
        Add the newest message, and drop the oldest ones while there are too
        many messages or too many bytes.

        @param message: Its position must be greater than L{end}.

        @return: Whether the log had no message before.
        """
        messages, kept = self._messages, self.retention
        wasEmpty = len(messages) == self._first
        messages.append(message)
        size = len(message.payload)
        self.payloadBytes += size
        # Nearly all messages have no event, and each is counted twice.
        self.size += size + MESSAGE_OVERHEAD if message.event is None else message.size
        while len(messages) - self._first > kept.messages or self.payloadBytes > kept.bytes:
            self.dropOldest()
        return wasEmpty

    def isBeyond(self, now: float) -> bool:
        """
        Tell whether the oldest message is not to be held, as after the retention has
        changed.

        @param now: The time, in seconds since 1970.
        """
        oldest, kept = self.oldest, self.retention
        return oldest is not None and (
            len(self) > kept.messages
            or self.payloadBytes > kept.bytes
            or oldest.time + kept.seconds <= now
        )

    def dropOldest(self) -> None:
        """
        Drop the oldest message; the floor rises to it.
        """
        message = self._messages[self._first]
        self._messages[self._first] = _DROPPED
        self._first += 1
        self.floor = message.position
        size = len(message.payload)
        self.payloadBytes -= size
        self.size -= size + MESSAGE_OVERHEAD if message.event is None else message.size
        if self._first * 2 >= len(self._messages):
            del self._messages[: self._first]
            self._first = 0

    def expire(self, now: float) -> None:
        """
        Drop the messages that are too old.

        @param now: The time, in seconds since 1970.
        """
        while (oldest := self.oldest) is not None and oldest.time + self.retention.seconds <= now:
            self.dropOldest()

    def clear(self) -> None:
        """
        Drop all messages.  The floor rises to the newest.
        """
        self.floor = self.end
        self._messages.clear()
        self._first = 0
        self.payloadBytes = 0
        self.size = 0

    def after(self, position: int, limit: int) -> Sequence[Message]:
        """
        Return the oldest messages after a position.

        @param limit: How many messages at most.
        """
        start = bisect_right(self._messages, position, lo=self._first, key=_position)
        return self._messages[start : start + limit]

    def before(self, position: int | None, limit: int) -> Sequence[Message]:
        """
        Return the newest messages before a position, or before the end if that is
        L{None}; oldest first.

        @param limit: How many messages at most.
        """
        end = len(self._messages)
        if position is not None:
            end = bisect_left(self._messages, position, lo=self._first, key=_position)
        return self._messages[max(end - limit, self._first) : end]

    def at(self, position: int) -> Message:
        """
        Return the message at a position.  It must be held.
        """
        return self._messages[bisect_left(self._messages, position, lo=self._first, key=_position)]

    def beforeLast(self, count: int) -> int:
        """
        The position just before the last C{count} messages, or before all of
        them if fewer are held.
        """
        count = min(count, len(self))
        if not count:
            return self.end
        return self._messages[-count].position - 1
