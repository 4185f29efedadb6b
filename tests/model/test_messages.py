"""
Tests of L{comet.model.messages}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadCursor
from comet.model.cursors import Cursor, newEpoch, parseCursor
from comet.model.messages import MESSAGE_OVERHEAD, Message, Published
from comet.model.positions import At, Earliest, Last, Now, StartPositions, parseStartPosition

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

    def test_refused(self) -> None:
        """
        What is not written so is none, and the error says what is.
        """
        for text in ("", "a", "a-", "-1", "a-01", "a--1", "a-1 ", "\u0663-1", "a-\u0663", "a-1\n"):
            error = self.assertRaises(BadCursor, parseCursor, text)
            self.assertIn("epoch", error.detail)
        self.assertRaises(BadCursor, parseCursor, "a-" + "1" * 20)
        self.assertRaises(BadCursor, parseCursor, "a" * 33 + "-1")

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


class MessageTests(SynchronousTestCase):
    """
    What is held.
    """

    def test_message(self) -> None:
        """
        A message knows its cursor and what it counts for, and shows itself.
        """
        message = Message("news", "k3f9a2", 7, 1.5, b'"hello"')
        self.assertEqual(message.cursor, Cursor("k3f9a2", 7))
        self.assertEqual(message.size, 7 + MESSAGE_OVERHEAD)
        self.assertEqual(repr(message), "<Message news k3f9a2-7 b'\"hello\"'>")

    def test_event(self) -> None:
        """
        The name of its event counts for as many bytes as it may have.
        """
        message = Message("news", "k3f9a2", 7, 1.5, b"1", event="\U0001f600")
        self.assertEqual(message.size, 1 + 4 + MESSAGE_OVERHEAD)

    def test_published(self) -> None:
        """
        The cursor of several messages is that of the last.
        """
        self.assertEqual(Published("e", {"a": 3, "b": 4}).cursor, Cursor("e", 4))

    def test_epochs(self) -> None:
        """
        Each new life has another name, which a cursor can have.
        """
        epochs = {newEpoch() for _ in range(100)}
        self.assertEqual(len(epochs), 100)
        for epoch in epochs:
            self.assertEqual(parseCursor(f"{epoch}-0").epoch, epoch)
