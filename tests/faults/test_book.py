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
    A cursor.
    """
    return Cursor(epoch, position)


class NameTests(SynchronousTestCase):
    """
    Which names mean which channels.
    """

    def test_names(self) -> None:
        """
        A channel means itself, C{*} one segment, and C{**} one or more.
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
    What is wrong with what publishers were answered, whoever reads it.
    """

    def setUp(self) -> None:
        """
        Begin a book, in which two things were published.
        """
        self.book = Book()
        self.book.send("k1")
        self.book.send("k2")

    def assertFound(self, kinds: Sequence[str]) -> None:
        """
        What is found is of these kinds.
        """
        found = [*self.book.findings, *self.book.check()]
        self.assertEqual([finding.kind for finding in found], list(kinds), found)

    def test_right(self) -> None:
        """
        Nothing is found where what was answered and read is the same; it is
        all in the log, in order.
        """
        self.book.answered("p", "k2", {"a": at(3), "b": at(2)})
        self.book.saw("r", "a", at(1), "k1")
        self.book.saw("r", "a", at(3), "k2")
        self.assertFound([])
        self.assertEqual([each.cursor.position for each in self.book.log()["e1"]], [1, 2, 3])

    def test_unpublished(self) -> None:
        """
        What nobody has published is found.
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
        The same key at two positions of a channel is found; in two epochs it
        may be.
        """
        self.book.saw("r", "a", at(1), "k1")
        self.book.saw("r", "a", at(1, "e2"), "k1")
        self.assertFound([])
        self.book.saw("r", "a", at(2), "k1")
        self.assertFound(["twice"])

    def test_twoAnswers(self) -> None:
        """
        Two answers to the same key are found, besides what is stored.
        """
        self.book.answered("p", "k1", {"a": at(1)})
        self.book.answered("p", "k1", {"a": at(1)})
        self.assertFound([])
        self.book.answered("p", "k1", {"a": at(2)})
        self.assertFound(["twice", "twice"])

    def test_refused(self) -> None:
        """
        What was said to be not stored, and is, is found.
        """
        self.book.refused("p", "k1")
        self.assertFound([])
        self.book.saw("r", "a", at(1), "k1")
        self.assertFound(["refused"])
