"""
Tests of L{comet.interfaces.overrides}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.interfaces.overrides import speaksFor


class Base:
    """
    A class with an early answer, and what that follows from.
    """

    def early(self) -> None:
        """
        The early answer.
        """

    def late(self) -> None:
        """
        The answer that it stands for.
        """


class Same(Base):
    """
    Overrides nothing.
    """


class Changed(Base):
    """
    Overrides the answer alone.
    """

    def late(self) -> None:
        """
        Another answer.
        """


class Both(Changed):
    """
    Overrides the early answer, too.
    """

    def early(self) -> None:
        """
        The early answer for the other answer.
        """


class Mixed(Changed, Base):
    """
    Inherits the answer from a class that stands before the one of the early one.
    """


class SpeaksForTests(SynchronousTestCase):
    """
    L{speaksFor}.
    """

    def test_unlessOverriddenFurtherDown(self) -> None:
        """
        A method speaks for another one, unless a subclass has overridden only
        that.
        """
        for kind, expected in (
            (Base, True),
            (Same, True),
            (Changed, False),
            (Both, True),
            (Mixed, False),
            (type("Below", (Both,), {"late": lambda self: None}), False),
        ):
            self.assertEqual(speaksFor(kind, "early", "late"), expected, kind)
        self.assertTrue(speaksFor(Changed, "early"))
        self.assertFalse(speaksFor(Changed, "early", "__init__", "late"))
