"""
Tests for L{comet.fanout.coalescing}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout import coalescing
from comet.fanout.coalescing import LINGER, QueryCoalescer
from comet.timers import TimerWheel


class SharedAnswersTests(SynchronousTestCase):
    """
    L{QueryCoalescer}.
    """

    def setUp(self) -> None:
        """
        Ask nothing yet.
        """
        self.clock = Clock()
        self.answers = QueryCoalescer(TimerWheel(self.clock), self.clock.seconds)
        self.asked: list[Deferred[str]] = []

    def question(self) -> Deferred[str]:
        """
        A question that is answered later.
        """
        self.asked.append(Deferred())
        return self.asked[-1]

    def ask(self, key: str = "k", isLasting: bool = False) -> Deferred[str]:
        """
        Ask it.
        """
        return self.answers.ask(key, self.question, len if isLasting else None)

    def test_shared(self) -> None:
        """
        Who asks the same while there is no answer shares it; who asks
        something else does not, nor who asks afterwards.
        """
        first, second, other = self.ask(), self.ask(), self.ask("other")
        self.assertEqual(len(self.asked), 2)
        self.asked[0].callback("yes")
        self.assertEqual([self.successResultOf(each) for each in (first, second)], ["yes"] * 2)
        self.assertNoResult(other)
        self.ask()
        self.assertEqual(len(self.asked), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_chained(self) -> None:
        """
        Also where what waits is chained to something else that waits.
        """
        inner: Deferred[str] = Deferred()
        chained = succeed("no").addCallback(lambda _: inner)
        first = self.answers.ask("k", lambda: chained)
        second = self.ask()
        self.assertEqual(self.asked, [])
        inner.callback("yes")
        self.assertEqual([self.successResultOf(each) for each in (first, second)], ["yes"] * 2)

    def test_atOnce(self) -> None:
        """
        What is answered at once is neither shared nor kept.
        """
        for _ in range(2):
            asked = self.answers.ask("k", lambda: succeed("yes"), len)
            self.assertEqual(self.successResultOf(asked), "yes")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask(isLasting=True)
        self.assertEqual(len(self.asked), 1)

    def test_failed(self) -> None:
        """
        All are told of a failure; it is not kept, whether it comes later, at
        once or is raised.
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

    def test_kept(self) -> None:
        """
        An answer that lasts is given to those who come a moment later, and
        take such a one; then it is forgotten.
        """
        self.ask(isLasting=True)
        self.asked[0].callback("yes")
        self.clock.advance(LINGER - 0.1)
        self.assertEqual(self.successResultOf(self.ask(isLasting=True)), "yes")
        self.assertNoResult(self.ask())
        self.clock.advance(0.3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNoResult(self.ask("k", isLasting=True))

    def test_good(self) -> None:
        """
        An answer that will not do is not given to anybody who comes later.
        """
        self.ask(isLasting=True)
        self.asked[0].callback("yes")
        for wanted, count in (("yes", 1), ("no", 2)):
            self.answers.ask("k", self.question, len, wanted.__eq__)
            self.assertEqual(len(self.asked), count)

    def test_bounded(self) -> None:
        """
        Only so many are kept, with only so many bytes; the newest are.
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

    def test_clear(self) -> None:
        """
        What was asked before something was missed is for those who wait for
        it, and for nobody else.
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
