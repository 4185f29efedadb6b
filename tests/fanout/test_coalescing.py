"""
Tests for L{comet.fanout.coalescing}.
"""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout import coalescing
from comet.fanout.coalescing import LINGER, QueryCoalescer
from comet.reactor.timers import TimerWheel
from comet.reactor.turns import SHARE, Turns


class QueryCoalescerTests(SynchronousTestCase):
    """
    L{QueryCoalescer}.
    """

    def setUp(self) -> None:
        """
        Make a coalescer that has asked nothing.
        """
        self.clock = Clock()
        self.answers = QueryCoalescer(TimerWheel(self.clock), Turns(self.clock))
        self.asked: list[Deferred[str]] = []

    def question(self) -> Deferred[str]:
        """
        Make a query that the test answers later.
        """
        self.asked.append(Deferred())
        return self.asked[-1]

    def ask(self, key: str = "k", isLasting: bool = False) -> Deferred[str]:
        """
        Ask with a key.
        """
        return self.answers.ask(key, self.question, len if isLasting else None)

    def test_equalQueriesShareOneResult(self) -> None:
        """
        Callers with equal keys share a query that has no result yet; callers
        with other keys, and later callers, do not.
        """
        first, second, other = self.ask(), self.ask(), self.ask("other")
        self.assertEqual(len(self.asked), 2)
        self.asked[0].callback("yes")
        self.assertEqual([self.successResultOf(each) for each in (first, second)], ["yes"] * 2)
        self.assertNoResult(other)
        self.ask()
        self.assertEqual(len(self.asked), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_handsOutInShares(self) -> None:
        """
        Callers each of which makes much of the result have it in turns: no other client
        waits for all of them.
        """
        told: list[int] = []

        def tell(_: str, number: int) -> None:
            told.append(number)
            self.clock.rightNow += SHARE

        for number in range(3):
            self.ask().addCallback(tell, number)
        self.asked[0].callback("yes")
        self.assertEqual(told, [0])
        self.clock.advance(0)
        self.assertEqual(told, [0, 1, 2])

    def test_tellsThatItIsShared(self) -> None:
        """
        A caller is told that an equal query waits already, and only then.
        """
        told: list[str] = []
        for name in ("first", "second"):
            asked = self.answers.ask("k", self.question, shared=partial(told.append, name))
            self.assertNoResult(asked)
        self.assertEqual(told, ["second"])

    def test_sharesQueriesThatWaitForAnother(self) -> None:
        """
        A query whose Deferred was called and waits for another Deferred is
        shared, too.
        """
        inner: Deferred[str] = Deferred()
        chained = succeed("no").addCallback(lambda _: inner)
        first = self.answers.ask("k", lambda: chained)
        second = self.ask()
        self.assertEqual(self.asked, [])
        inner.callback("yes")
        self.assertEqual([self.successResultOf(each) for each in (first, second)], ["yes"] * 2)

    def test_resultsAtOnceAreNotKept(self) -> None:
        """
        A result that comes at once is neither shared nor kept.
        """
        for _ in range(2):
            asked = self.answers.ask("k", lambda: succeed("yes"), len)
            self.assertEqual(self.successResultOf(asked), "yes")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask(isLasting=True)
        self.assertEqual(len(self.asked), 1)

    def test_failuresAreSharedAndNotKept(self) -> None:
        """
        All callers get a failure, whether it comes later, comes at once, or is
        raised; it is not kept.
        """

        def broken() -> Deferred[str]:
            raise ValueError

        waiting = [self.ask(isLasting=True) for _ in range(2)]
        self.asked[0].errback(ValueError())
        for each in waiting:
            self.failureResultOf(each, ValueError)
        self.failureResultOf(self.answers.ask("k", lambda: fail(ValueError()), len), ValueError)
        self.failureResultOf(self.answers.ask("k", broken, len), ValueError)
        self.ask(isLasting=True)
        self.assertEqual(len(self.asked), 2)

    def test_keepsResultsForAMoment(self) -> None:
        """
        A result that may be kept is given to callers that ask a moment later
        and accept one; then it is dropped.
        """
        self.ask(isLasting=True)
        self.asked[0].callback("yes")
        self.clock.advance(LINGER - 0.1)
        self.assertEqual(self.successResultOf(self.ask(isLasting=True)), "yes")
        self.assertNoResult(self.ask())
        self.clock.advance(0.3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNoResult(self.ask("k", isLasting=True))

    def test_dropsResultsThatAreNotGood(self) -> None:
        """
        A kept result that will not do any more is given to no later caller.
        """
        self.ask(isLasting=True)
        self.asked[0].callback("yes")
        for wanted, count in (("yes", 1), ("no", 2)):
            self.answers.ask("k", self.question, len, wanted.__eq__)
            self.assertEqual(len(self.asked), count)

    def test_boundsCountAndBytes(self) -> None:
        """
        The newest results are kept, up to a number and up to a number of bytes.
        """
        self.patch(coalescing, "MOST_KEPT", 3)
        self.patch(coalescing, "MOST_BYTES", 10)
        for size in (1, 1, 1, 1, 8, 11):
            self.ask(str(len(self.asked)), isLasting=True)
            self.asked[-1].callback("x" * size)
        kept = []
        for number in range(6):
            before = len(self.asked)
            self.ask(str(number), isLasting=True)
            kept.append(len(self.asked) == before)
        # The last one is more than all that may be kept.
        self.assertEqual(kept, [False, False, True, True, True, False])

    def test_clearedQueriesAreNotShared(self) -> None:
        """
        After the coalescer is cleared, a query under way goes to the callers
        that wait for it, and to no later ones.
        """
        self.ask("kept", isLasting=True)
        self.asked[0].callback("old")
        before = self.ask(isLasting=True)
        self.answers.clear()
        after = self.ask(isLasting=True)
        self.assertNoResult(self.ask("kept", isLasting=True))
        self.asked[1].callback("old")
        self.assertEqual(self.successResultOf(before), "old")
        self.assertNoResult(after)
        self.assertNoResult(self.ask(isLasting=True))
        self.asked[2].callback("new")
        self.assertEqual(self.successResultOf(after), "new")
        self.answers.clear()
        self.assertEqual(self.clock.getDelayedCalls(), [])
