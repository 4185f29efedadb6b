"""
Tests for L{tests.faults.book}.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.envelopes import Cursor
from tests.faults.book import Book, isNamed


def at(position: int, epoch: str = "e1") -> Cursor:
    """
    Make a cursor.
    """
    return Cursor(epoch, position)


class NameTests(SynchronousTestCase):
    """
    L{isNamed}.
    """

    def test_names(self) -> None:
        """
        A channel matches itself, C{*} one segment, and C{**} one or more.
        """
        for name, channel, isMeant in (
            ("a/b", "a/b", True),
            ("a/b", "a/c", False),
            ("a/*", "a/b", True),
            ("a/*", "a/b/c", False),
            ("*/b", "a/b", True),
            ("a/**", "a/b/c", True),
            ("a/**", "a", False),
            ("a/*/c", "a/b/c", True),
            ("b/**", "a/b/c", False),
        ):
            self.assertEqual(isNamed(name, channel), isMeant, (name, channel))


class BookTests(SynchronousTestCase):
    """
    L{Book}: the errors that do not depend on a reader.
    """

    def setUp(self) -> None:
        """
        Make a book with two publications.
        """
        self.book = Book()
        self.book.send("k1")
        self.book.send("k2")

    def assertFound(self, kinds: Sequence[str]) -> None:
        """
        Check that the findings are of these kinds.
        """
        found = [*self.book.findings, *self.book.check()]
        self.assertEqual([finding.kind for finding in found], list(kinds), found)

    def test_right(self) -> None:
        """
        If the answers and the messages read agree, nothing is found, and the log
        has all messages in order.
        """
        self.book.answered("p", "k2", {"a": at(3), "b": at(2)})
        self.book.saw("r", "a", at(1), "k1")
        self.book.saw("r", "a", at(3), "k2")
        self.assertFound([])
        self.assertEqual([each.cursor.position for each in self.book.log()["e1"]], [1, 2, 3])

    def test_unpublished(self) -> None:
        """
        A message that was never published is found.
        """
        self.book.saw("r", "a", at(1), "k9")
        self.assertFound(["foreign"])

    def test_changed(self) -> None:
        """
        Two messages at one position are found.
        """
        self.book.saw("r", "a", at(1), "k1")
        self.book.saw("s", "a", at(1), "k2")
        self.assertFound(["changed"])

    def test_storedTwice(self) -> None:
        """
        A key at two positions of a channel is found; in two epochs it is
        allowed.
        """
        self.book.saw("r", "a", at(1), "k1")
        self.book.saw("r", "a", at(1, "e2"), "k1")
        self.assertFound([])
        self.book.saw("r", "a", at(2), "k1")
        self.assertFound(["twice"])

    def test_twoAnswers(self) -> None:
        """
        Two different answers to one key are found, and the second message, too.
        """
        self.book.answered("p", "k1", {"a": at(1)})
        self.book.answered("p", "k1", {"a": at(1)})
        self.assertFound([])
        self.book.answered("p", "k1", {"a": at(2)})
        self.assertFound(["twice", "twice"])

    def test_refused(self) -> None:
        """
        A message that is in the log although it was answered as not stored is
        found.
        """
        self.book.refused("p", "k1")
        self.assertFound([])
        self.book.saw("r", "a", at(1), "k1")
        self.assertFound(["refused"])
