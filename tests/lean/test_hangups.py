"""
Tests of L{comet.lean.hangups}.
"""

from __future__ import annotations

from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.lean.hangups import Hangups
from comet.reactor.turns import SHARE, Turns


class HangupsTests(SynchronousTestCase):
    """
    L{Hangups} leaves time for others.
    """

    def setUp(self) -> None:
        """
        Make a queue of turns, and note what is called.
        """
        self.clock = Clock()
        self.turns = Turns(self.clock)
        self.hangups = Hangups(self.turns)
        self.called: list[object] = []

    def spend(self, what: object) -> None:
        """
        Note a call that takes half a share.
        """
        self.called.append(what)
        self.clock.rightNow += SHARE / 2

    def test_othersBetween(self) -> None:
        """
        A client that comes after many have left waits for a share of that, and in the end
        all is called, in order.
        """
        for number in range(20):
            self.hangups.add(partial(self.spend, number))
        self.turns.later(partial(self.spend, "other"))
        self.assertEqual(len(self.turns), 2)
        self.turns.finish()
        self.assertLess(self.called.index("other"), 3)
        self.called.remove("other")
        self.assertEqual(self.called, [*range(20)])

    def test_addedMeanwhile(self) -> None:
        """
        A call may add another one: each is made once.
        """
        self.hangups.add(lambda: self.hangups.add(partial(self.spend, "inner")))
        self.turns.finish()
        self.hangups.add(partial(self.spend, "later"))
        self.assertEqual(len(self.turns), 1)
        self.turns.finish()
        self.assertEqual(self.called, ["inner", "later"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failing(self) -> None:
        """
        A call that fails is logged, and the others are made.
        """
        self.hangups.add(lambda: 1 // 0)
        self.hangups.add(partial(self.spend, "other"))
        self.turns.finish()
        self.assertEqual(self.called, ["other"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
