"""
Tests for L{comet.model.positions}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadCursor
from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Last, Now, StartPositions, parseStartPosition


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
