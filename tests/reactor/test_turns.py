"""
Tests of L{comet.reactor.turns}: shares of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.turns import LEAST, SHARE, TURN, Turns
from tests.fanout.doubles import TurnClock


def assertFair(case: SynchronousTestCase, begun: Sequence[str], most: int = 2) -> None:
    """
    Assert that clients that had as much to ask each were served in turn.

    @param begun: The client of each request, in the order in which they were begun.

    @param most: By how many requests one client was ahead of another at most.
    """
    had = dict.fromkeys(begun, 0)
    for name in begun:
        had[name] += 1
        case.assertLessEqual(max(had.values()) - min(had.values()), most, begun)


class TurnsTests(SynchronousTestCase):
    """
    Those that wait, and a clock that goes on while they work.
    """

    def setUp(self) -> None:
        """
        Make an empty queue.
        """
        self.clock = TurnClock()
        self.noted: list[object] = []
        self.turns = Turns(
            self.clock, lambda: self.noted.append("begin"), lambda: self.noted.append("end")
        )

    def worker(self, name: str, parts: int = 1, cost: float = 0.0) -> Callable[[], None]:
        """
        Return a call that notes its name.

        @param parts: In how many turns it has work.

        @param cost: For how many seconds it works in each of them.
        """
        left = parts

        def work() -> None:
            nonlocal left
            self.noted.append(name)
            self.clock.rightNow += cost
            left -= 1
            if left:
                self.turns.later(work)

        return work

    def turn(self) -> list[object]:
        """
        Let one turn go by, and return what happened in it.
        """
        self.noted.clear()
        self.clock.turn()
        return [*self.noted]

    def test_callsInOrder(self) -> None:
        """
        All that wait are called in the next turn, in their order, between the two
        calls that frame a turn.  No timer is left then.
        """
        for name in "abc":
            self.turns.later(self.worker(name))
        self.assertEqual((self.noted, len(self.turns)), ([], 3))
        self.assertEqual(self.turn(), ["begin", "a", "b", "c", "end"])
        self.assertEqual((self.clock.getDelayedCalls(), len(self.turns)), ([], 0))

    def test_calledAgainInAnotherTurn(self) -> None:
        """
        A call that waits again is made in another turn, also if no time has passed.
        """
        self.turns.later(self.worker("a", parts=2))
        self.assertEqual(self.turn(), ["begin", "a", "end"])
        self.assertEqual(self.turn(), ["begin", "a", "end"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endsWithTime(self) -> None:
        """
        When the time for all of them is over, the others wait for the next one.  Those
        that have more work go to the end.
        """
        for name in "abcd":
            self.turns.later(self.worker(name, parts=2, cost=SHARE / 2))
        heard = [self.turn()[1:-1] for _ in range(4)]
        self.assertEqual(heard, [["a", "b"], ["c", "d"], ["a", "b"], ["c", "d"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oneCallAtLeast(self) -> None:
        """
        A call is made in each turn, however long the one before it took.
        """
        for name in "ab":
            self.turns.later(self.worker(name, cost=10 * TURN))
        self.assertEqual([self.turn()[1:-1] for _ in range(2)], [["a"], ["b"]])

    def test_lightFirst(self) -> None:
        """
        Those that ask for little are called before those that have work left, in their
        order.
        """
        self.turns.later(self.worker("a", parts=2))
        for name in "xy":
            self.turns.later(self.worker(name), isLight=True)
        self.assertEqual(len(self.turns), 3)
        self.assertEqual(self.turn(), ["begin", "x", "y", "a", "end"])
        self.turns.later(self.worker("z"), isLight=True)
        self.assertEqual(self.turn(), ["begin", "z", "a", "end"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_newWaitsBehindLight(self) -> None:
        """
        What comes in waits while others that ask for little have waited longer, but not what
        one says that has its turn.
        """
        self.assertFalse(self.turns.mustWait(1))
        said: list[bool] = []
        for _ in range(2):
            self.turns.later(lambda: said.append(self.turns.mustWait(1)), isLight=True)
        self.assertTrue(self.turns.mustWait(1))
        self.turn()
        self.assertEqual(said, [False, False])
        self.assertFalse(self.turns.mustWait(1))

    def test_lightWithoutEnd(self) -> None:
        """
        However many ask for little, those that have work left get a share of each turn.
        """
        for name in "abc":
            self.turns.later(self.worker(name, cost=SHARE / 2))
        for _ in range(6):
            self.turns.later(self.worker("x", cost=TURN / 2), isLight=True)
        self.assertEqual(self.turn()[1:-1], ["x", "x", "x", "a", "b"])
        self.assertEqual(self.turn()[1:-1], ["x", "x", "x", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_shareIsSmallerForMany(self) -> None:
        """
        The more wait, the shorter is the share of each, so that together they do not
        keep a new client waiting; but it is never too short to get on.
        """
        shares = [self.turns.share]
        for _ in range(3):
            self.turns.later(lambda: shares.append(self.turns.share))
            shares.append(self.turns.share)
        self.assertEqual(shares, [SHARE, SHARE / 2, SHARE / 3, SHARE / 4])
        shares.clear()
        self.turn()
        self.assertEqual((shares, self.turns.share), ([SHARE / 3, SHARE / 2, SHARE], SHARE))
        for _ in range(1000):
            self.turns.later(self.worker("a"))
        self.assertEqual(self.turns.share, LEAST)

    def test_spent(self) -> None:
        """
        Once what was done at once has taken the time of a turn, all that comes in has to
        wait, however little it is, until the next turn.
        """
        for _ in range(2):
            waits = []
            for _ in range(4):
                begun = self.clock.seconds()
                self.clock.rightNow += TURN / 3
                self.turns.spend(begun)
                waits.append(self.turns.mustWait(1))
            self.assertEqual(waits[:2] + waits[3:], [False, False, True])
            self.clock.turn()
            self.assertFalse(self.turns.mustWait(1))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_littleNeedsNoTimer(self) -> None:
        """
        Work for less than a share sets no timer.
        """
        begun = self.clock.seconds()
        self.clock.rightNow += SHARE / 2
        self.turns.spend(begun)
        self.assertEqual((self.turns.isSpent, self.clock.getDelayedCalls()), (False, []))

    def test_spentOnce(self) -> None:
        """
        Work that is a part of other work is counted once.
        """
        begun = self.clock.seconds()
        for _ in range(3):
            self.clock.rightNow += TURN / 4
            self.turns.spend(begun)
        self.turns.spend(begun)
        self.assertFalse(self.turns.isSpent)
        self.turns.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_thoseThatWaitedSpendNothing(self) -> None:
        """
        The work of those that have waited keeps no new input waiting; nor is it kept
        from its turn by what was done at once.
        """
        noted: list[bool] = []

        def work() -> None:
            noted.append(self.turns.isSpent)
            begun = self.clock.seconds()
            self.clock.rightNow += 2 * TURN
            self.turns.spend(begun)

        self.turns.later(work)
        begun = self.clock.seconds()
        self.clock.rightNow += 2 * TURN
        self.turns.spend(begun)
        self.assertTrue(self.turns.isSpent)
        self.clock.turn()
        self.assertEqual((noted, self.turns.isSpent), ([False], False))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failingCall(self) -> None:
        """
        A call that fails is logged, and those behind it are made.
        """
        self.turns.later(lambda: 1 // 0)
        self.turns.later(self.worker("a"))
        self.assertEqual(self.turn(), ["begin", "a", "end"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_finish(self) -> None:
        """
        All that wait are called at once when the server stops, however long that
        takes, and those that come meanwhile.
        """
        for name in "ab":
            self.turns.later(self.worker(name, parts=2, cost=TURN))
        self.turns.finish()
        heard = [each for each in self.noted if each not in ("begin", "end")]
        self.assertEqual(heard, ["a", "b", "a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.turns.finish()
