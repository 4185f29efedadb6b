"""
The channel of each message, in the order of positions, so that a reader of many
channels that catches up looks only at the messages that come next.

The entries of dropped messages are not searched for when the messages are
dropped, which happens with every message of a full channel.  Each time that a
block of entries is full, some older blocks are cleaned instead: the oldest one,
since most messages are dropped in the order of positions, and a few in turn.
So there are never more than about twice as many entries as messages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from comet.bus.memory.log import Record

# How many blocks are cleaned in turn each time that one is full.
_CLEANED: Final = 2


class PositionLog:
    """
    The position of each message, with the record of its channel.

    @cvar most: How many entries a block has at most.
    """

    most = 512

    def __init__(self) -> None:
        # Each block has positions, and their records.  The last block is the
        # one that is being filled.
        self._blocks: list[tuple[list[int], list[Record]]] = [([], [])]
        # The first position of each block, or a lower one.
        self._firsts = [0]
        self._next = 0

    def __len__(self) -> int:
        """
        How many entries there are, those of dropped messages included.
        """
        return sum(len(positions) for positions, _ in self._blocks)

    def append(self, position: int, record: Record) -> None:
        """
        Add the newest message.
        """
        positions, records = self._blocks[-1]
        positions.append(position)
        records.append(record)
        if len(positions) >= self.most:
            self._clean(0)
            for _ in range(_CLEANED):
                self._next = (self._next + 1) % len(self._blocks)
                self._clean(self._next)
            self._blocks.append(([], []))
            self._firsts.append(position + 1)

    def _clean(self, at: int) -> None:
        """
        Remove the entries of dropped messages from a block, and join it with the
        one before it if both are small.
        """
        positions, records = self._blocks[at]
        held = [
            (position, record)
            for position, record in zip(positions, records, strict=True)
            if position > record.floor
        ]
        if len(held) < len(positions):
            positions[:] = [position for position, _ in held]
            records[:] = [record for _, record in held]
        if at and len(self._blocks[at - 1][0]) + len(positions) <= self.most:
            self._blocks[at - 1][0].extend(positions)
            self._blocks[at - 1][1].extend(records)
            del self._blocks[at], self._firsts[at]
        elif not positions and len(self._blocks) > 1:
            del self._blocks[at], self._firsts[at]

    def after(self, position: int) -> Iterator[tuple[int, Record]]:
        """
        The entries after a position, in order.  Entries of dropped messages may
        be among them: their positions are not above the floors of their
        records.  Nothing may be added during the iteration.
        """
        at = max(bisect_right(self._firsts, position) - 1, 0)
        positions, records = self._blocks[at]
        start = bisect_right(positions, position)
        yield from zip(positions[start:], records[start:], strict=True)
        for positions, records in self._blocks[at + 1 :]:
            yield from zip(positions, records, strict=True)
