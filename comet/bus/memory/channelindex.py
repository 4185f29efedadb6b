"""
All channels in the order of their names, and by each of their other segments, so
that a pattern looks only at those that begin as it does, or have a segment that it
spells after a star.

The channels are kept in blocks of some hundreds, which makes it cheap to add
one (L{Block<comet.bus.memory.log.Block>}).  Each block knows a bound of the
floors in it.  So the channels that have lost messages are found without looking
at all others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from comet.bus.memory.log import Block, Record
from comet.model.patterns import MOST_INDEXED, NameSet, outermost

_channel = attrgetter("channel")


class Reach(NamedTuple):
    """
    Which channels some patterns can reach.

    @ivar narrow: The bits of the patterns that can reach few channels.

    @ivar records: The records of these channels, each once.

    @ivar prefixes: What the channels of the other patterns begin with; none of
        these texts begins with another.
    """

    narrow: int
    records: Collection[Record]
    prefixes: Sequence[str]


def _segmentsOf(channel: str) -> Iterator[tuple[int, str]]:
    """
    The segments of a name but the first, with their numbers.
    """
    if "/" in channel:
        yield from islice(enumerate(channel.split("/"), 1), 1, MOST_INDEXED)


def segmentsIndexed(channel: str) -> int:
    """
    How many segments the index has of a channel, beside its name.
    """
    return min(channel.count("/"), MOST_INDEXED - 1)


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
        # The records with a segment, by its number and by the segment.  Many
        # segments are of one channel alone, which needs no table then.
        self._bySegment: dict[tuple[int, str], Record | dict[Record, None]] = {}

    def add(self, record: Record) -> None:
        """
        Add the record of a channel that has none.
        """
        for segment in _segmentsOf(record.channel):
            others = self._bySegment.setdefault(segment, record)
            if others is not record:
                if isinstance(others, Record):
                    others = self._bySegment[segment] = {others: None}
                others[record] = None
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
        for segment in _segmentsOf(record.channel):
            records = self._bySegment[segment]
            if isinstance(records, dict):
                del records[record]
            if records is record or not records:
                del self._bySegment[segment]
        at = bisect_right(self._firsts, record.channel) - 1
        own = self._blocks[at].records
        del own[bisect_left(own, record.channel, key=_channel)]
        if own:
            self._firsts[at] = own[0].channel
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

    def reach(self, names: NameSet, most: int) -> Reach:
        """
        Find which channels patterns can reach, where these are few.

        @param most: How many in all, at most.
        """
        narrow = 0
        records: dict[Record, None] = {}
        wide = []
        # Prefixes that were looked at, and whether their channels are few.
        known: dict[str, bool] = {}
        for bit, (prefix, segments) in names.spellings.items():
            spelled = [self._with(each) for each in segments]
            fewest = min(spelled, key=len, default=None)
            if fewest is not None and len(records) + len(fewest) <= most:
                records.update(dict.fromkeys(fewest))
                narrow |= bit
                continue
            if prefix not in known:
                found = self._begun(prefix, most)
                known[prefix] = found is not None and len(records.keys() | found) <= most
                if known[prefix]:
                    records.update(dict.fromkeys(found or ()))
            if known[prefix]:
                narrow |= bit
            else:
                wide.append(prefix)
        return Reach(narrow, records, outermost(wide))

    def _begun(self, prefix: str, most: int) -> set[Record] | None:
        """
        The records that begin with a prefix, or L{None} if they are too many.
        """
        if not self.isFew([prefix], most):
            return None
        found: set[Record] = set()
        for block, start, end in self.within([prefix]):
            found.update(block.records[start:end])
        return found

    def _with(self, segment: tuple[int, str]) -> Collection[Record]:
        """
        The records with a segment.
        """
        found = self._bySegment.get(segment, ())
        return (found,) if isinstance(found, Record) else found

    def isFew(self, prefixes: Iterable[str], most: int) -> bool:
        """
        Whether no more than so many channels begin with one of some texts.
        """
        for _, start, end in self.within(prefixes):
            most -= end - start
            if most < 0:
                return False
        return True
