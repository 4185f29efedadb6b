"""
Tests of L{comet.model.patterns}.
"""

from __future__ import annotations

import re
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadChannel
from comet.model.channels import MAX_PATTERN_SEGMENTS, parseChannel, parseName
from comet.model.patterns import NameSet, PatternTable, covers, matches, overlaps

LITERALS = ("a", "b", "$s")
# One segment of either kind is only in channels, never spelled by a pattern.
SEGMENTS = (*LITERALS, "c", "$t")

CHANNELS = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=5).map("/".join)
NAMES = st.tuples(
    st.lists(st.sampled_from((*LITERALS, "*")), max_size=3),
    st.sampled_from((*LITERALS, "*", "**")),
).map(lambda parts: "/".join([*parts[0], parts[1]]))

# All channels of as many segments as the longest of the NAMES has.
SHORT_CHANNELS = [
    "/".join(segments)
    for length in range(1, 5)
    for segments in product((*LITERALS, "c"), repeat=length)
]


def reference(pattern: str, channel: str) -> bool:
    """
    Decide whether a name reaches a channel, by a regular expression.
    """
    free = "[^/$][^/]*"
    wild = {"*": free, "**": f"{free}(?:/{free})*"}
    expression = "/".join(wild.get(part, re.escape(part)) for part in pattern.split("/"))
    return re.fullmatch(expression, channel) is not None


class MatchTests(SynchronousTestCase):
    """
    L{matches} and L{covers}.
    """

    def test_matches(self) -> None:
        """
        C{*} stands for one segment and C{**} for one or more; a channel
        matches itself.
        """
        for pattern, channel, expected in (
            ("news", "news", True),
            ("news", "news/a", False),
            ("chat/*", "chat/a", True),
            ("chat/*", "chat", False),
            ("chat/*", "chat/a/b", False),
            ("news/**", "news/a/b", True),
            ("news/**", "news", False),
            ("**", "a/b/c", True),
            ("*/b", "a/b", True),
        ):
            self.assertIs(matches(pattern, channel), expected, (pattern, channel))

    def test_matchesReserved(self) -> None:
        """
        A reserved channel is reached only by a name that spells its reserved
        segments.
        """
        for pattern, channel, expected in (
            ("*", "$stats", False),
            ("**", "$stats", False),
            ("**", "a/$b", False),
            ("a/**", "a/b/$c", False),
            ("$presence/**", "$presence/chat/a", True),
            ("$presence/*", "$presence/$stats", False),
            ("*/$b", "a/$b", True),
        ):
            self.assertIs(matches(pattern, channel), expected, (pattern, channel))

    def test_boundsSegmentsOfPatterns(self) -> None:
        """
        A pattern with more than L{MAX_PATTERN_SEGMENTS} is refused, and the
        error says how many are allowed; a channel may have more.
        """
        most = MAX_PATTERN_SEGMENTS
        for last in ("*", "**", "a"):
            upper = "/".join(["*", *["a"] * (most - 2)])
            self.assertEqual(parseName(f"{upper}/{last}"), f"{upper}/{last}")
            refused = self.assertRaises(BadChannel, parseName, f"{upper}/a/{last}")
            self.assertIn(f"{most + 1} segments: {most} are allowed", refused.detail)
        self.assertRaises(BadChannel, parseName, "/".join(["*"] * 100))
        for count in (most, most + 1, 128):
            channel = "/".join(["a"] * count)
            self.assertEqual(parseChannel(channel), channel)

    @settings(deadline=None)
    @given(NAMES, CHANNELS)
    def test_matchesAsExpression(self, name: str, channel: str) -> None:
        """
        L{matches} agrees with a regular expression made of the pattern.
        """
        self.assertIs(matches(name, channel), reference(name, channel))

    @settings(deadline=None)
    @given(NAMES, NAMES, CHANNELS)
    def test_coversImpliesMatches(self, pattern: str, name: str, channel: str) -> None:
        """
        A pattern that covers a name reaches every channel that the name
        reaches.
        """
        if covers(pattern, name) and matches(name, channel):
            self.assertTrue(matches(pattern, channel))
        self.assertTrue(covers(name, name))
        self.assertIs(covers(pattern, channel), matches(pattern, channel))

    def test_coversExactly(self) -> None:
        """
        Of all names of up to three segments, one covers another exactly if it
        reaches all channels that the other reaches.
        """
        channels = [
            "/".join(parts) for size in range(1, 5) for parts in product(SEGMENTS, repeat=size)
        ]
        names = [
            "/".join([*parts, last])
            for size in range(3)
            for parts in product((*LITERALS, "*"), repeat=size)
            for last in (*LITERALS, "*", "**")
        ]
        reached = {
            name: frozenset(channel for channel in channels if reference(name, channel))
            for name in names
        }
        for pattern, name in product(names, repeat=2):
            expected = reached[pattern] >= reached[name]
            self.assertIs(covers(parseName(pattern), name), expected, (pattern, name))


class OverlapTests(SynchronousTestCase):
    """
    L{overlaps}.
    """

    def test_overlaps(self) -> None:
        """
        Two names overlap where a channel is reached by both, whichever of them
        is the wider.
        """
        for one, other, expected in (
            ("news", "news", True),
            ("news", "sport", False),
            ("chat/*", "chat/a", True),
            ("chat/*", "*/a", True),
            ("chat/**", "*/a/b", True),
            ("chat/*", "chat", False),
            ("chat/**", "chat", False),
            ("a/*/c", "a/**", True),
            ("**", "$stats", False),
            ("a/**", "a/$b", False),
            ("a/**", "*/b/$c", False),
            ("$presence/*", "$presence/**", True),
            ("*/$b", "a/*", False),
        ):
            self.assertIs(overlaps(one, other), expected, (one, other))
            self.assertIs(overlaps(other, one), expected, (other, one))

    @given(NAMES, NAMES)
    @settings(max_examples=200)
    def test_asAllChannels(self, one: str, other: str) -> None:
        """
        Two names overlap exactly where one channel of all those that are long
        enough to tell is reached by both.
        """
        found = any(
            reference(one, channel) and reference(other, channel) for channel in SHORT_CHANNELS
        )
        self.assertIs(overlaps(one, other), found)


class TableTests(SynchronousTestCase):
    """
    L{PatternTable}.
    """

    def test_holdsValues(self) -> None:
        """
        A table has the newest value of each name, and tells which names it
        has.
        """
        table: PatternTable[int] = PatternTable()
        for value, name in enumerate(("a", "a/*", "**", "a")):
            table.add(name, value)
        self.assertEqual(list(table), ["a", "a/*", "**"])
        self.assertEqual(len(table), 3)
        self.assertEqual([table.get(name) for name in ("a", "a/*", "b")], [3, 1, None])
        self.assertTrue("**" in table)
        self.assertFalse("a/**" in table)

    def test_findsMatching(self) -> None:
        """
        The values of all names that reach a channel are found, each once.
        """
        table: PatternTable[str] = PatternTable()
        self.assertEqual(table.matching("a/b"), [])
        for name in ("a/b", "a/*", "*/b", "*/*", "**", "a/**", "a/b/**", "a", "*", "$a/**"):
            table.add(name, name)
        found = ["**", "*/*", "*/b", "a/*", "a/**", "a/b"]
        self.assertEqual(sorted(table.matching("a/b")), found)
        self.assertEqual(sorted(table.matching("$a/b")), ["$a/**"])
        self.assertEqual(table.matching("$a"), [])

    def test_refusesToRemoveUnknown(self) -> None:
        """
        Removing a name that the table does not have raises, and changes
        nothing.
        """
        table: PatternTable[int] = PatternTable()
        table.add("a/**", 1)
        for name in ("b", "a/*", "a/b/**", "a"):
            self.assertRaises(KeyError, table.remove, name)
        self.assertEqual(table.matching("a/b"), [1])

    def test_findsNewList(self) -> None:
        """
        The list of values can be walked while the table changes.
        """
        table: PatternTable[str] = PatternTable()
        for name in ("a", "*", "**"):
            table.add(name, name)
        for name in table.matching("a"):
            table.remove(name)
        self.assertEqual(len(table), 0)

    def test_prunes(self) -> None:
        """
        Removing a pattern removes the nodes that only it needs, and no other.
        """
        table: PatternTable[str] = PatternTable()
        for name in ("a/b/*", "a/b/*/d/**", "a/*"):
            table.add(name, name)
        table.remove("a/b/*/d/**")
        self.assertEqual(self.nodes(table), ["a", "a/*", "a/b", "a/b/*"])
        table.add("a/b/*/d/**", "")
        table.remove("a/b/*")
        self.assertEqual(len(self.nodes(table)), 6)
        table.remove("a/b/*/d/**")
        self.assertEqual(self.nodes(table), ["a", "a/*"])
        table.remove("a/*")
        self.assertEqual(self.nodes(table), [])

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.booleans(), NAMES), max_size=30),
        st.lists(CHANNELS, min_size=1, max_size=5),
    )
    def test_agreesWithMatches(self, changes: list[tuple[bool, str]], channels: list[str]) -> None:
        """
        After any series of adding and removing, the table finds what
        L{matches} finds, and an emptied table has no nodes.
        """
        table: PatternTable[str] = PatternTable()
        names: set[str] = set()
        for isAdded, name in changes:
            if isAdded:
                table.add(name, name)
                names.add(name)
            elif name in names:
                table.remove(name)
                names.remove(name)
        for channel in channels:
            expected = sorted(name for name in names if matches(name, channel))
            self.assertEqual(sorted(table.matching(channel)), expected)
        self.assertEqual(set(table), names)
        for name in names:
            table.remove(name)
        self.assertEqual((len(table), self.nodes(table)), (0, []))

    def nodes(self, table: PatternTable[str]) -> list[str]:
        """
        All nodes in the trie of a table, by the segments that lead there.
        """
        found: list[str] = []
        below = [("", table._root)]
        while below:
            path, node = below.pop()
            found += [path + key for key in node.children]
            below += [(f"{path}{key}/", child) for key, child in node.children.items()]
        return sorted(found)


class NameSetTests(SynchronousTestCase):
    """
    L{NameSet}.
    """

    @settings(deadline=None)
    @given(st.lists(NAMES, max_size=12), st.lists(CHANNELS, min_size=1, max_size=5))
    def test_agreesWithMatches(self, names: list[str], channels: list[str]) -> None:
        """
        A set finds the names that L{matches} finds; and the channels that its
        patterns reach begin with exactly one of its prefixes.
        """
        asked = NameSet(names)
        everything = asked.bitsOf(asked.names)
        for channel in channels:
            found = asked.matching(channel)
            expected = {name for name in names if matches(name, channel)}
            self.assertEqual(set(asked.first([(1, found)], everything)), expected)
            begun = [prefix for prefix in asked.prefixes if channel.startswith(prefix)]
            if found & asked.patterns:
                self.assertEqual(len(begun), 1)
        self.assertEqual(set(asked.channels), {name for name in names if "*" not in name})
        patterns = set(asked.names) - set(asked.channels)
        self.assertEqual(asked.patterns, asked.bitsOf(patterns))

    def test_prefixes(self) -> None:
        """
        The prefixes are what the patterns spell before their first star, as far
        as none begins with another.
        """
        for names, prefixes in (
            ("a/* a/b/** c/d/*/e c", ["a/", "c/d/"]),
            ("a/b/* a/b0/*", ["a/b/", "a/b0/"]),
            ("a/* */b", [""]),
            ("**", [""]),
            ("a", []),
        ):
            self.assertEqual(NameSet(names.split()).prefixes, prefixes, names)

    def test_first(self) -> None:
        """
        Of each wanted name, the first value is found, and no more values are
        taken than needed.
        """
        asked = NameSet(["a", "*", "b/*"])
        values = iter([(1, 0), (2, asked.bitsOf(["a"])), (3, asked.bitsOf(["a", "*"])), (4, 7)])
        self.assertEqual(asked.first(values, asked.bitsOf(["a", "*"])), {"a": 2, "*": 3})
        self.assertEqual(list(values), [(4, 7)])
        self.assertEqual(asked.first([(5, 1)], asked.bitsOf(["*"])), {})
        self.assertEqual(asked.first([(5, 1)], 0), {})
