"""
Tests for L{comet.model.positions}.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadCursor
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import (
    At,
    Earliest,
    Last,
    Now,
    ReadResult,
    StartPositions,
    parseStartPosition,
)
from comet.testing.case import positionsOf


class BeginningTests(SynchronousTestCase):
    """
    Places to begin at.
    """

    def test_words(self) -> None:
        """
        Each form means what it says; nothing means from now on.
        """
        self.assertEqual(parseStartPosition(""), Now())
        self.assertEqual(parseStartPosition("now"), Now())
        self.assertEqual(parseStartPosition("earliest"), Earliest())
        self.assertEqual(parseStartPosition("-3"), Last(3))
        self.assertEqual(parseStartPosition("k3f9a2-1042"), At(Cursor("k3f9a2", 1042)))

    def test_refused(self) -> None:
        """
        None of the last messages cannot be asked for.
        """
        for text in ("-0", "-", "--1", "-1.5", "Now", "- 1"):
            error = self.assertRaises(BadCursor, parseStartPosition, text)
            self.assertIn("earliest", error.detail)

    def test_each(self) -> None:
        """
        A name without a place of its own begins where all do.
        """
        since = StartPositions(Earliest(), {"a": Last(1)})
        self.assertEqual((since.of("a"), since.of("b")), (Last(1), Earliest()))

    @settings(deadline=None)
    @given(st.text())
    def test_anything(self, text: str) -> None:
        """
        Any text is a place to begin at, or refused as a bad cursor.
        """
        try:
            parseStartPosition(text)
        except BadCursor as error:
            self.assertLess(len(error.detail), 1000)


class ReadResultTests(SynchronousTestCase):
    """
    L{ReadResult.first}.
    """

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 9), max_size=9),
        *(st.tuples(st.integers(1, 9), st.integers(1, 30)) for _ in range(2)),
    )
    def test_first(self, sizes: list[int], ahead: tuple[int, int], wanted: tuple[int, int]) -> None:
        """
        What was read with some limits, and is given with others, is what a reading with both
        would have given; and it is a part if only the first ones have ended it.
        """
        given = read(sizes, *ahead).first(*wanted)
        both = read(sizes, min(ahead[0], wanted[0]), min(ahead[1], wanted[1]))
        self.assertEqual(positionsOf(given.messages), positionsOf(both.messages))
        self.assertEqual(evolve(given, messages=[], isPart=False), evolve(both, messages=[]))
        count = len(given.messages)
        if given.isPart:
            self.assertTrue(given.more and count < wanted[0])
        elif given.more and count < wanted[0]:
            self.assertGreater(sum(sizes[: count + 1]), wanted[1])


def read(sizes: list[int], limit: int, maxBytes: int) -> ReadResult:
    """
    Read a log of messages of these sizes.
    """
    messages: list[Message] = []
    for position, size in enumerate(sizes, 1):
        before = sum(len(each.payload) for each in messages)
        if messages and (len(messages) == limit or before + size > maxBytes):
            break
        messages.append(Message("a", "k3f9a2", position, 0.0, b"x" * size))
    start = Cursor("k3f9a2", 0)
    more = len(messages) < len(sizes)
    # Where nothing is left, the page reaches the end.
    return ReadResult(start, messages, Cursor("k3f9a2", len(messages)), {}, more)
