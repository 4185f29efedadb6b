"""
Tests for L{comet.bus.memory.channelindex}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.channelindex import ChannelIndex
from comet.bus.memory.log import Record
from comet.model.log import Retention

NAMES = st.lists(st.sampled_from(["a", "b", "a0", "é", "b\U0001f600"]), min_size=1, max_size=3).map(
    "/".join
)


class SmallIndex(ChannelIndex):
    """
    An index whose blocks are split soon.
    """

    most = 3


def record(channel: str, floor: int = 0) -> Record:
    """
    Make the record of a channel.
    """
    return Record(lambda record: None, channel, Retention(), floor)


class ChannelIndexTests(SynchronousTestCase):
    """
    L{ChannelIndex}.
    """

    @settings(deadline=None)
    @given(st.lists(st.tuples(NAMES, st.integers(0, 9))), NAMES, NAMES)
    def test_findsByBeginning(self, changes: list[tuple[str, int]], one: str, other: str) -> None:
        """
        After any series of adding and removing, the channels that begin with a
        prefix are found, in order, with a bound of their floors.
        """
        index = SmallIndex()
        records: dict[str, Record] = {}
        for name, floor in changes:
            if name in records:
                index.remove(records.pop(name))
            else:
                records[name] = record(name, floor)
                index.add(records[name])
        prefixes = sorted({f"{one}/", f"{other}/"})
        if prefixes[-1].startswith(prefixes[0]):
            del prefixes[1:]
        for sought in ([""], prefixes):
            expected = [
                name for prefix in sought for name in sorted(records) if name.startswith(prefix)
            ]
            found = []
            for block, start, end in index.within(sought):
                self.assertLessEqual(len(block.records), index.most)
                for each in block.records[start:end]:
                    self.assertIs(each.block, block)
                    self.assertLessEqual(each.floor, block.floor)
                    found.append(each.channel)
            self.assertEqual(found, expected)
            for most in range(len(expected) + 2):
                self.assertIs(index.isFew(sought, most), len(expected) <= most)

    def test_tightens(self) -> None:
        """
        The bound of a block can be lowered to the highest of its floors.
        """
        index = ChannelIndex()
        high, low = record("a", 7), record("b", 3)
        index.add(high)
        index.add(low)
        index.remove(high)
        self.assertEqual(low.block.floor, 7)
        low.block.tighten()
        self.assertEqual(low.block.floor, 3)
