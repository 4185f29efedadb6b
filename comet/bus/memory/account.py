"""
The channels that share one part of what the memory bus may hold.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from comet.bus.memory.log import Record

# How many entries there may be in the heap beside two for each record with messages.
_SPARE = 64


class Account:
    """
    The records with messages of some channels: how much they hold, and which of
    their messages is the oldest.

    @ivar size: How many bytes these records count for, with their messages.
    """

    __slots__ = ("_oldest", "_records", "_used", "size")

    def __init__(self, records: Mapping[str, Record]) -> None:
        """
        @param records: The records of all channels, by name.
        """
        self.size = 0
        self._records = records
        self._used = 0
        # A heap with the oldest position of each record.  An entry may be out of
        # date, and too old: it is corrected when it comes up.
        self._oldest: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """
        How many entries the heap has.
        """
        return len(self._oldest)

    @property
    def channels(self) -> int:
        """
        How many records have a message.
        """
        return self._used

    def filled(self, record: Record) -> None:
        """
        Add a record that has got its first message.
        """
        self._used += 1
        self.size += record.ownSize
        self._push(record)

    def emptied(self, record: Record) -> None:
        """
        Remove a record that has lost its last message.
        """
        self._used -= 1
        self.size -= record.ownSize

    def withOldest(self) -> Record | None:
        """
        Find the record that has the oldest message.

        @return: L{None} if no record has a message.
        """
        while self._oldest:
            position, channel = self._oldest[0]
            record = self._records.get(channel)
            oldest = None if record is None else record.oldest
            if record is not None and oldest is not None and oldest.position == position:
                return record
            heapq.heappop(self._oldest)
            if record is not None and oldest is not None:
                self._push(record)
        return None

    def _push(self, record: Record) -> None:
        oldest = record.oldest
        assert oldest is not None, "the record has no message"
        heapq.heappush(self._oldest, (oldest.position, record.channel))
        if len(self._oldest) > 2 * self._used + _SPARE:
            # More than half of the entries are out of date.  Each record with
            # messages has one.
            found = (self._records.get(channel) for channel in {each[1] for each in self._oldest})
            held = ((record, record.oldest) for record in found if record is not None)
            self._oldest = [(first.position, r.channel) for r, first in held if first is not None]
            heapq.heapify(self._oldest)
