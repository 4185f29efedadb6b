"""
All channels in the order of their names, so that a pattern looks only at those
that begin as it does.

The channels are kept in blocks of some hundreds, which makes it cheap to add
one (L{Block<comet.bus.memory.log.Block>}).  Each block knows a bound of the
floors in it.  So the channels that have lost messages are found without looking
at all others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter

from comet.bus.memory.log import Block, Record

_channel = attrgetter("channel")


class ChannelIndex:
    """
    The records of all channels, in the order of their names.

    @cvar most: How many records a block has at most.
    """

    most = 512

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        # The first name of each block.
        self._firsts: list[str] = []

    def add(self, record: Record) -> None:
        """
        Add the record of a channel that has none.
        """
        if not self._blocks:
            self._blocks.append(Block([record]))
            self._firsts.append(record.channel)
            return
        at = max(bisect_right(self._firsts, record.channel) - 1, 0)
        block = self._blocks[at]
        insort(block.records, record, key=_channel)
        record.block = block
        block.floor = max(block.floor, record.floor)
        if len(block.records) > self.most:
            half = len(block.records) // 2
            self._blocks[at : at + 1] = [Block(block.records[:half]), Block(block.records[half:])]
            self._firsts.insert(at + 1, block.records[half].channel)
        self._firsts[at] = self._blocks[at].records[0].channel

    def remove(self, record: Record) -> None:
        """
        Remove a record, which must be there.
        """
        at = bisect_right(self._firsts, record.channel) - 1
        records = self._blocks[at].records
        del records[bisect_left(records, record.channel, key=_channel)]
        if records:
            self._firsts[at] = records[0].channel
        else:
            del self._blocks[at], self._firsts[at]

    def within(self, prefixes: Iterable[str]) -> Iterator[tuple[Block, int, int]]:
        """
        Find the channels that begin with one of some texts.  The index must not
        change during the iteration.

        @param prefixes: Each is empty or ends with a slash, and none begins
            with another.

        @return: Blocks, each with the indices of its first record and of the
            one after its last.
        """
        for prefix in prefixes:
            # '0' follows the slash in Unicode.
            stop = f"{prefix[:-1]}0" if prefix else None
            at = max(bisect_right(self._firsts, prefix) - 1, 0)
            while at < len(self._blocks) and (stop is None or self._firsts[at] < stop):
                block = self._blocks[at]
                start, end = 0, len(block.records)
                if prefix:
                    start = bisect_left(block.records, prefix, key=_channel)
                if stop is not None:
                    end = bisect_left(block.records, stop, key=_channel)
                if start < end:
                    yield block, start, end
                at += 1

    def isFew(self, prefixes: Iterable[str], most: int) -> bool:
        """
        Whether no more than so many channels begin with one of some texts.
        """
        for _, start, end in self.within(prefixes):
            most -= end - start
            if most < 0:
                return False
        return True
