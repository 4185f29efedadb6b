"""
Tests of L{comet.reactor.clientpace}: which clients ask for little.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.clientpace import QUICK, ClientPace
from comet.reactor.turns import MUCH, Turns
from tests.fanout.doubles import TurnClock


class ClientPaceTests(SynchronousTestCase):
    """
    What a client sends, and a clock that goes on while it is dealt with.
    """

    def setUp(self) -> None:
        """
        Connect a client.
        """
        self.clock = TurnClock()
        self.turns = Turns(self.clock)
        self.pace = ClientPace(self.turns)

    def work(self, seconds: float, isDone: bool = False) -> None:
        """
        Work for the client.
        """
        begun = self.clock.seconds()
        self.clock.rightNow += seconds
        self.assertEqual(self.pace.worked(begun, isDone), self.clock.seconds())

    def say(self, size: int = 1, *seconds: float) -> None:
        """
        Send something, which is dealt with in parts.
        """
        self.pace.size += size
        *parts, last = seconds or (QUICK / 2,)
        for each in parts:
            self.work(each)
        self.work(last, isDone=True)

    def test_new(self) -> None:
        """
        A client that was not served is not light, though it sends nothing.
        """
        self.assertFalse(self.pace.isLight)
        self.work(0.0, isDone=True)
        self.pace.size += 1
        self.assertFalse(self.pace.isLight)

    def test_before(self) -> None:
        """
        What the client said last was little, all of it, however many parts it had.
        """
        for size, seconds, isLight in (
            (MUCH, (QUICK * 0.9,), True),
            (MUCH + 1, (QUICK * 0.9,), False),
            (1, (QUICK * 1.1,), False),
            (1, (QUICK * 0.6, QUICK * 0.6), False),
            (1, (QUICK * 0.4, QUICK * 0.4), True),
        ):
            self.say(size, *seconds)
            self.assertEqual(self.pace.isLight, isLight, (size, seconds))

    def test_now(self) -> None:
        """
        What it says now is little as far as that is known.
        """
        self.say()
        self.pace.size += MUCH
        self.work(QUICK * 0.9)
        self.assertTrue(self.pace.isLight)
        self.work(QUICK * 0.2)
        self.assertFalse(self.pace.isLight)
        self.work(0.0, isDone=True)
        self.say()
        self.pace.size += MUCH
        self.assertTrue(self.pace.isLight)
        self.pace.size += 1
        self.assertFalse(self.pace.isLight)

    def test_counts(self) -> None:
        """
        The work is counted in the turn.
        """
        self.work(3 * QUICK)
        self.assertTrue(self.turns.isSpent)
