"""
Tests of L{comet.framing.jsonoutline}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.jsonoutline import countMembers, isBareLarger, isDeeper, outline
from tests.framing.readers import VALUES

# Strings of characters that mean something outside of strings.
_TRICKY = st.text(alphabet='[]{}:,"\\ \nu0a')


def _tricky(children: Any) -> Any:
    return st.lists(children, max_size=4) | st.dictionaries(_TRICKY, children, max_size=4)


VALUES_OR_TRICKY = VALUES | st.recursive(st.none() | _TRICKY | st.integers(), _tricky)


def levels(value: Any) -> int:
    """
    Return how many levels of lists and objects a value has.
    """
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


def emptied(value: Any) -> Any:
    """
    Return a value whose strings are empty: objects as lists of their members.
    """
    if isinstance(value, dict):
        return [emptied(item) for pair in value.items() for item in pair]
    if isinstance(value, list):
        return list(map(emptied, value))
    return "" if isinstance(value, str) else value


class OutlineTests(SynchronousTestCase):
    """
    Each function, compared with what a decoder finds.
    """

    @settings(deadline=None)
    @given(VALUES_OR_TRICKY, st.booleans())
    def test_emptiesStrings(self, value: Any, isASCII: bool) -> None:
        """
        The outline is the text of the same value with empty strings.
        """
        raw = json.dumps(value, ensure_ascii=isASCII).encode("utf-8", "surrogatepass")
        # A name that is there twice is there twice.
        pairs = json.loads(outline(raw), object_pairs_hook=lambda pairs: sum(pairs, ()))
        self.assertEqual(json.loads(json.dumps(pairs)), emptied(value))

    @settings(deadline=None)
    @given(VALUES_OR_TRICKY)
    def test_countsLevels(self, value: Any) -> None:
        """
        A text is deeper than all numbers below that of its levels.
        """
        raw, depth = json.dumps(value).encode(), levels(value)
        self.assertEqual(
            [isDeeper(raw, most) for most in range(depth + 2)], [True] * depth + [False] * 2
        )

    def test_levelsOfManyShapes(self) -> None:
        """
        Neither many peaks nor long slopes hide a level.
        """
        for deep in (1, 2, 3, 64, 65):
            nested = b"[" * deep + b"]" * deep
            for raw in (
                nested,
                b"[%b]" % b",".join([nested] * 50),
                b"[" + b"[]," * 50 + nested + b"]",
                b'{"a":[[]],"b":%b,"c":[]}' % nested,
            ):
                real = levels(json.loads(raw))
                self.assertFalse(isDeeper(raw, real), raw)
                self.assertTrue(isDeeper(raw, real - 1), raw)

    def test_levelsNeverClosed(self) -> None:
        """
        The decoder is kept from what is never closed, too.
        """
        for raw in (b"[" * 66, b'{"a":' * 66, b"[" * 60 + b"[[]]," * 9 + b"[" * 6, b"[[]," * 66):
            self.assertTrue(isDeeper(raw, 64), raw)
            self.assertFalse(isDeeper(raw, 80), raw)
        self.assertFalse(isDeeper(b"]" * 100, 64))

    @settings(deadline=None)
    @given(st.dictionaries(_TRICKY, VALUES_OR_TRICKY, max_size=5))
    def test_countsMembers(self, value: dict[str, Any]) -> None:
        """
        The members of the outermost object count, and no others.
        """
        for separators in ((",", ":"), (" , ", "\t: ")):
            raw = f" {json.dumps(value, separators=separators)}\n".encode()
            self.assertEqual(countMembers(raw), len(value))
            if value:
                twice = raw.replace(b"{", b'{"":{"":[{}]},', 1)
                self.assertEqual(countMembers(twice), len(value) + 1)

    @settings(deadline=None)
    @given(VALUES_OR_TRICKY)
    def test_countsBareBytes(self, value: Any) -> None:
        """
        What is outside of strings counts, with quotes, and without white space.
        """
        raw = json.dumps(value).encode()
        size = len("".join(outline(raw).decode().split()))
        self.assertFalse(isBareLarger(raw, size))
        self.assertEqual(isBareLarger(raw, size - 1), size > 0)

    def test_textsThatAreNoJSON(self) -> None:
        """
        Any bytes at all have an outline.
        """
        for raw in (b"", b'"', b"\\", b'\\"', b'"\\', b"}{", b"\xff", b'{"a":"'):
            self.assertLessEqual(len(outline(raw)), len(raw) + 2)
            isDeeper(raw, 1)
            countMembers(raw)
            isBareLarger(raw, 0)
