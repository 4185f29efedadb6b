"""
Tests for L{comet.model.messages}.
"""

from __future__ import annotations

from itertools import combinations

from twisted.trial.unittest import SynchronousTestCase

from comet.model.cursors import Cursor
from comet.model.messages import MESSAGE_OVERHEAD, Message, Publication, Published


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


class FingerprintTests(SynchronousTestCase):
    """
    L{Publication.fingerprint}.
    """

    def test_differsByDataEventAndEncoding(self) -> None:
        """
        Data, event and encoding each make a difference, and none can pass for
        another.
        """
        publications = [
            Publication(("a",), b'"x"'),
            Publication(("a",), b'"y"'),
            Publication(("a",), b'"x"', event="x"),
            Publication(("a",), b'"x"', event="base64"),
            Publication(("a",), b'"x"', encoding="base64"),
            Publication(("a",), b'x"x"', event="x"),
            Publication(("a",), b'"x"', event='x"x"'),
        ]
        for one, other in combinations(publications, 2):
            self.assertNotEqual(one.fingerprint(), other.fingerprint())

    def test_ignoresChannelsPublisherAndKey(self) -> None:
        """
        Channels, publisher and key make no difference.
        """
        one = Publication(("a",), b"1", "tick")
        other = Publication(("b", "c"), b"1", "tick", None, "me", "k")
        self.assertEqual(one.fingerprint(), other.fingerprint())
        self.assertEqual(len(one.fingerprint()), 16)


class KeyScopeTests(SynchronousTestCase):
    """
    L{Publication.keyScope}.
    """

    def test_isNoneWithoutKey(self) -> None:
        """
        A publication without a key has no scope.
        """
        self.assertIsNone(Publication(("a",), b"1").keyScope)

    def test_ignoresOrderOfChannels(self) -> None:
        """
        The order of the channels makes no difference.
        """
        scope = Publication(("b", "a"), b"1", publisher="me", key="k").keyScope
        self.assertEqual(scope, ("me", ("a", "b"), "k"))
        other = Publication(("a", "b"), b"2", publisher="me", key="k")
        self.assertEqual(scope, other.keyScope)

    def test_differsByPublisherChannelsAndKey(self) -> None:
        """
        Another publisher, other channels or another key are another scope, and
        no spelling makes one pass for another.
        """
        scopes = {
            Publication(channels, b"1", publisher=publisher, key=key).keyScope
            for channels in (("a",), ("b",), ("a", "b"), ("a b",))
            for publisher in ("", "a", "a b")
            for key in ("a", "b", "a b")
        }
        self.assertEqual(len(scopes), 36)
