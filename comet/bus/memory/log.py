"""
The log of one channel, as the memory bus keeps it; and the merged logs of
several channels.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from comet.model.channels import isReserved
from comet.model.log import ChannelLog, Retention
from comet.model.messages import Message
from comet.reactor.timers import NOT_SET

# How many messages of each channel are merged at once.
_PAGE: Final = 32

_position = attrgetter("position")


class Record(ChannelLog):
    """
    The log of a channel, with what the memory bus keeps beside it.

    @ivar block: Where the record stands in the index of channels, which sets
        it.

    @ivar channel: The name of the channel.

    @ivar isReserved: Whether it is one of the server's own.

    @ivar ownSize: How many bytes it counts for without its messages.  The log of
        the bus sets it.
    """

    __slots__ = ("_timedOut", "block", "channel", "isReserved", "ownSize", "timerSlot")

    def __init__(
        self,
        timedOut: Callable[[Record], None],
        channel: str,
        retention: Retention,
        floor: int,
    ) -> None:
        """
        @param timedOut: Called when a message may be too old.
        """
        super().__init__(retention, floor)
        self._timedOut = timedOut
        self.block = _NOWHERE
        self.channel = channel
        self.isReserved = isReserved(channel)
        self.ownSize = 0
        self.timerSlot = NOT_SET

    def timedOut(self) -> None:
        """
        Called by the timer wheel when a message expires.
        """
        self._timedOut(self)

    @property
    def name(self) -> str:
        """
        The name of the channel.
        """
        return self.channel

    @property
    def oldestPosition(self) -> int | None:
        """
        The position of the oldest message that is held, or L{None} if none is.
        """
        oldest = self.oldest
        return None if oldest is None else oldest.position


class Block:
    """
    Some channels whose names follow one another.

    @ivar records: Their records, in the order of the names.

    @ivar floor: No record has a higher floor.
    """

    __slots__ = ("floor", "records")

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.floor = 0
        for record in records:
            record.block = self
        self.tighten()

    def tighten(self) -> None:
        """
        Lower the bound of the floors as far as it can be.
        """
        self.floor = max((record.floor for record in self.records), default=0)


# The block of a record that is not in the index yet.
_NOWHERE: Final = Block([])


def merged(records: Sequence[Record], after: int) -> Iterator[Message]:
    """
    The messages after a position of some records, in the order of positions.
    """
    if len(records) == 1:
        return _paged(records[0], after)
    return heapq.merge(*(_paged(record, after) for record in records), key=_position)


def _paged(record: Record, after: int) -> Iterator[Message]:
    while page := record.after(after, _PAGE):
        yield from page
        after = page[-1].position
