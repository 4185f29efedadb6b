"""
Tests for L{comet.model.cursors}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadCursor
from comet.model.cursors import Cursor, newEpoch, parseCursor

CURSORS = st.builds(
    Cursor,
    st.text("abcXYZ019", min_size=1, max_size=32),
    st.integers(0, 10**19 - 1),
)


class CursorTests(SynchronousTestCase):
    """
    Cursors as they are written.
    """

    @settings(deadline=None)
    @given(CURSORS)
    def test_inverse(self, cursor: Cursor) -> None:
        """
        What is written is read as the same.
        """
        self.assertEqual(parseCursor(str(cursor)), cursor)

    def test_order(self) -> None:
        """
        Cursors of one epoch are ordered by their positions.
        """
        self.assertLess(Cursor("a", 9), Cursor("a", 10))

    def test_isKnownAtWithinItsLog(self) -> None:
        """
        A log knows the cursors of its epoch up to its end.
        """
        end = Cursor("a", 3)
        for cursor, isKnown in (
            (Cursor("a", 0), True),
            (end, True),
            (Cursor("a", 4), False),
            (Cursor("b", 3), False),
        ):
            self.assertIs(cursor.isKnownAt(end), isKnown, str(cursor))

    def test_refused(self) -> None:
        """
        What is not written so is none, and the error says what is.
        """
        for text in ("", "a", "a-", "-1", "a-01", "a--1", "a-1 ", "\u0663-1", "a-\u0663", "a-1\n"):
            error = self.assertRaises(BadCursor, parseCursor, text)
            self.assertIn("epoch", error.detail)
        self.assertRaises(BadCursor, parseCursor, "a-" + "1" * 20)
        self.assertRaises(BadCursor, parseCursor, "a" * 33 + "-1")

    def test_epochs(self) -> None:
        """
        Each new life has another name, which a cursor can have.
        """
        epochs = {newEpoch() for _ in range(100)}
        self.assertEqual(len(epochs), 100)
        for epoch in epochs:
            self.assertEqual(parseCursor(f"{epoch}-0").epoch, epoch)
