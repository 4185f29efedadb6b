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
from comet.model.patterns import NameSet

NAMES = st.lists(st.sampled_from(["a", "b", "a0", "é", "b\U0001f600"]), min_size=1, max_size=3).map(
    "/".join
)
PATTERNS = st.tuples(
    st.lists(st.sampled_from(["a", "b", "a0", "*", "*"]), max_size=3), st.sampled_from(["*", "**"])
).map(lambda each: "/".join([*each[0], each[1]])) | NAMES.map(lambda name: f"*/{name}")


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

    @settings(deadline=None)
    @given(
        st.lists(NAMES),
        st.lists(PATTERNS, min_size=1, max_size=4, unique=True),
        st.integers(0, 12),
    )
    def test_reaches(self, changes: list[str], patterns: list[str], most: int) -> None:
        """
        After any series of adding and removing, every channel that a pattern
        matches is among those that were found for it, which are few; or else it
        begins with one of the prefixes.
        """
        index = SmallIndex()
        records: dict[str, Record] = {}
        for name in changes:
            if name in records:
                index.remove(records.pop(name))
            else:
                records[name] = record(name)
                index.add(records[name])
        names = NameSet(patterns)
        reach = index.reach(names, most)
        self.assertLessEqual(len(reach.records), most)
        self.assertLessEqual({each.channel for each in reach.records}, set(records))
        for name in records:
            bits = names.matching(name)
            if bits & reach.narrow:
                self.assertIn(records[name], reach.records)
            if bits & ~reach.narrow:
                self.assertTrue(name.startswith(tuple(reach.prefixes)))
        if len(records) <= most:
            self.assertEqual((reach.narrow, reach.prefixes), (names.patterns, []))
        for each in records.values():
            index.remove(each)
        self.assertEqual(index._bySegment, {})

    def test_reachesBySpelledSegments(self) -> None:
        """
        Of the segments that a pattern spells after a star, the one that the
        fewest channels have tells which they are; up to the eighth.
        """
        index = ChannelIndex()
        records = {}
        for name in (
            "a/x/1",
            "b/x/1",
            "c/x/2",
            "d/y",
            "e/x",
            "1/2/3/4/5/6/7/8",
            "9/9/9/9/9/9/9/9/9",
        ):
            records[name] = record(name)
            index.add(records[name])
        for pattern, few in (
            ("*/x/2", ["c/x/2"]),
            ("*/x/**", ["a/x/1", "b/x/1", "c/x/2", "e/x"]),
            ("*/*/1", ["a/x/1", "b/x/1"]),
            ("*/y", ["d/y"]),
            ("a/*/1", ["a/x/1", "b/x/1"]),
            ("*/*/*/*/*/*/*/8", ["1/2/3/4/5/6/7/8"]),
            ("*/nothing/**", []),
            ("*/*/*/*/*/*/*/*/9", None),
            ("**", None),
        ):
            reach = index.reach(NameSet([pattern]), 4)
            if few is None:
                self.assertEqual((reach.narrow, list(reach.prefixes)), (0, [""]))
            else:
                self.assertEqual(sorted(each.channel for each in reach.records), sorted(few))
                self.assertEqual((reach.narrow, list(reach.prefixes)), (1, []))

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
