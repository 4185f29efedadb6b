"""
Tests for L{comet.fanout.readqueue}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import Internal, Unavailable
from comet.fanout.readqueue import (
    MOST_ASKED,
    ROOM_SECONDS,
    ReadQueue,
    costOf,
    costOfPart,
    never,
)
from comet.reactor.timers import TimerWheel
from comet.reactor.turns import SHARE, Turns


class CostTests(SynchronousTestCase):
    """
    L{costOf} and L{costOfPart}.
    """

    def test_grows(self) -> None:
        """
        What reads more costs more; a part costs little, however much is wanted.
        """
        self.assertEqual(costOf(1, 0, 0), 1)
        self.assertEqual(costOf(100, 1000, 1024 * 1024), 1 + 3 + 7 + 16)
        self.assertEqual(costOfPart(1, 64, 32 * 1024), 1)
        self.assertEqual(costOfPart(1, 1000, 1024 * 1024), costOfPart(1, 256, 128 * 1024))
        self.assertEqual(costOfPart(1, 1000, 1024 * 1024), 1 + 2 + 2)


class ReadQueueTests(SynchronousTestCase):
    """
    L{ReadQueue}.

    @ivar asked: What the bus was asked, in this order.

    @ivar answers: What it has not answered.
    """

    def setUp(self) -> None:
        """
        Make a queue of a bus that was asked nothing.
        """
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock)
        self.isAvailable = True
        turns = Turns(self.clock)
        self.queue = ReadQueue(self.wheel, turns, lambda: self.isAvailable)
        self.asked: list[str] = []
        self.answers: dict[str, Deferred[str]] = {}

    def ask(
        self,
        key: str,
        connection: object = "c",
        names: str = "a",
        cost: int = 1,
        isGone: Callable[[], bool] = never,
    ) -> Deferred[str]:
        """
        Ask something.
        """

        def query() -> Deferred[str]:
            self.asked.append(key)
            self.answers[key] = Deferred()
            return self.answers[key]

        return self.queue.ask(key, connection, names.split(), cost, query, isGone)

    def answer(self, *keys: str) -> None:
        """
        Answer questions.
        """
        for key in keys:
            self.answers.pop(key).callback(key)

    def fill(self, names: str = "a") -> None:
        """
        Ask something that leaves no room.
        """
        for key in ("full", "other"):
            self.ask(key, key, names, 1000)

    def test_asksAtOnce(self) -> None:
        """
        A question is asked at once while there is room, and costs what there is of it
        until it is answered.
        """
        for number in range(MOST_ASKED + 1):
            self.ask(str(number))
        self.assertEqual((len(self.asked), len(self.queue)), (MOST_ASKED, 1))
        self.answer("3")
        self.assertEqual((self.asked[-1], len(self.queue)), (str(MOST_ASKED), 0))

    def test_answersAtOnceCostNothing(self) -> None:
        """
        A bus that answers at once is asked without end.
        """
        for number in range(100):
            asked = self.queue.ask(number, "c", ["a"], 7, lambda: succeed("yes"))
            self.assertEqual(self.successResultOf(asked), "yes")

    def test_nobodyWaitsForAnother(self) -> None:
        """
        Whoever asks for one thing waits for no line of another connection.
        """
        self.fill()
        for number in range(50):
            self.ask(f"many{number}", "greedy", cost=5)
        one = self.ask("one", "modest")
        self.answer("full")
        self.assertEqual(self.asked[2], "one")
        self.answer("one")
        self.assertEqual(self.successResultOf(one), "one")

    def test_orderOfOneConnection(self) -> None:
        """
        What one connection asks for is asked in its order.
        """
        self.fill()
        keys = [str(number) for number in range(MOST_ASKED)]
        for key in keys:
            self.ask(key)
        self.answer("full", "other")
        self.assertEqual(self.asked[2:], keys)

    def test_patternsHaveTheirOwn(self) -> None:
        """
        A question about channels does not wait behind those about patterns, nor they
        behind it.
        """
        self.fill("a/*")
        self.ask("pattern", names="a **")
        self.ask("channel")
        self.assertEqual(self.asked, ["full", "other", "channel"])
        self.answer("full")
        self.assertEqual(self.asked, ["full", "other", "channel", "pattern"])

    def test_equalInEachLine(self) -> None:
        """
        A question that two connections have is asked when the first of them has its
        turn, and once.
        """
        self.fill()
        for number in range(20):
            self.ask(f"many{number}", "greedy", cost=5)
        self.ask("same", "greedy")
        self.queue.askedToo("same", "modest", ["a"])
        self.queue.askedToo("unknown", "modest", ["a"])
        self.answer("full")
        self.assertEqual(self.asked[2], "same")
        while self.answers:
            self.answer(*list(self.answers))
        self.assertEqual((self.asked.count("same"), len(self.asked)), (1, 23))

    def test_clientsThatLeft(self) -> None:
        """
        A question is not asked if all that have asked it are gone when its turn comes.
        """
        self.fill()
        gone: set[str] = set()
        left = self.ask("left", "left", isGone=lambda: "left" in gone)
        shared = self.ask("shared", "shared", isGone=lambda: "shared" in gone)
        self.queue.askedToo("shared", "other", ["a"], lambda: False)
        gone.update(("left", "shared"))
        self.answer("full")
        self.assertEqual(self.asked, ["full", "other", "shared"])
        self.failureResultOf(left, Unavailable)
        self.answer("shared")
        self.assertEqual(self.successResultOf(shared), "shared")
        self.assertEqual(len(self.queue), 0)

    def test_failuresLeaveRoom(self) -> None:
        """
        A question that fails, or cannot be asked, leaves room for others.
        """
        full, _ = self.ask("full", cost=1000), self.ask("other", cost=1000)
        waits = self.ask("waits")

        def broken() -> Deferred[str]:
            raise ValueError

        bad = self.queue.ask("bad", "c", ["a"], 1, broken)
        self.answers.pop("full").errback(Internal())
        self.failureResultOf(full, Internal)
        self.failureResultOf(bad, ValueError)
        self.answer("waits")
        self.assertEqual(self.successResultOf(waits), "waits")

    def test_failsWithTheBus(self) -> None:
        """
        When a question fails and the bus is not available, all that waits fails as well:
        it does not wait for as long, one after the other.
        """
        for error in (Unavailable("gone"), ValueError("other")):
            self.isAvailable = True
            full, _ = self.ask("full", cost=1000), self.ask("other", cost=1000)
            waiting = [self.ask(str(number), number) for number in range(3)]
            self.queue.askedToo("1", "other", ["a"])
            self.isAvailable = False
            self.answers.pop("full").errback(Failure(error))
            self.failureResultOf(full, type(error))
            for each in waiting:
                self.failureResultOf(each, Unavailable)
            self.assertEqual((len(self.queue), list(self.answers)), (0, ["other"]))
            self.answer("other")
        self.assertEqual(self.asked, ["full", "other"] * 2)

    def test_busThatNeverAnswers(self) -> None:
        """
        A question that the bus does not answer for long takes no room any more.
        """
        both = [self.ask(key, cost=1000) for key in ("full", "other")]
        self.ask("waits")
        self.clock.advance(ROOM_SECONDS + 1)
        self.assertEqual(self.asked, ["full", "other", "waits"])
        self.answer("waits", "full", "other")
        self.assertEqual([self.successResultOf(each) for each in both], ["full", "other"])
        for number in range(MOST_ASKED + 1):
            self.ask(str(number))
        self.assertEqual(len(self.queue), 1)
        self.answer(*map(str, range(MOST_ASKED + 1)))
        self.assertEqual(len(self.wheel), 0)

    def test_afterAnswers(self) -> None:
        """
        A call comes once when all that was asked about channels is answered, or is late:
        not for what is asked meanwhile, nor for patterns.
        """
        called: list[str] = []
        for key in "ab":
            self.ask(key)
        self.ask("pattern", names="**")
        self.queue.afterAnswers(lambda: called.append("first"))
        self.ask("c")
        self.answer("a")
        self.assertEqual(called, [])
        self.answer("b")
        self.assertEqual(called, ["first"])
        self.queue.afterAnswers(lambda: called.append("second"))
        self.clock.advance(ROOM_SECONDS + 1)
        self.assertEqual(called, ["first", "second"])
        self.answer("pattern", "c")
        self.assertEqual((called, len(self.wheel)), (["first", "second"], 0))

    def test_sharesTime(self) -> None:
        """
        Answers that come at once do not take the time of others: what is left when the
        share is over is asked in another turn.
        """
        self.fill()
        done: list[int] = []

        def query() -> Deferred[None]:
            done.append(len(done))
            self.clock.rightNow += SHARE
            return succeed(None)

        for number in range(4):
            self.queue.ask(number, "c", ["a"], 1, query)
        self.answer("full")
        self.assertEqual(done, [0])
        self.clock.advance(0)
        self.assertEqual(done, [0, 1, 2, 3])

    @settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
    @given(lists(tuples(sampled_from("abc"), integers(1, 20)), max_size=30), integers(0, 3))
    def test_allAreAnswered(self, asked: list[tuple[str, int]], every: int) -> None:
        """
        Each question is asked once and answered, in the order of its connection, and the
        bus is never asked more than there is room for.
        """
        self.setUp()
        costs: dict[str, int] = {}
        results: dict[str, list[str]] = {"a": [], "b": [], "c": []}
        for number, (connection, cost) in enumerate(asked):
            key = f"{connection}{number}"
            costs[key] = min(cost, MOST_ASKED // 2)
            self.ask(key, connection, cost=cost).addCallback(results[connection].append)
            if every and number % every == 0 and self.answers:
                self.answer(next(iter(self.answers)))
            self.assertLessEqual(sum([costs[each] for each in self.answers]), MOST_ASKED)
        while self.answers:
            self.answer(next(iter(self.answers)))
        for connection, found in results.items():
            expected = [f"{each}{n}" for n, (each, _) in enumerate(asked) if each == connection]
            self.assertEqual(found, expected)
        self.assertEqual((len(self.queue), len(self.wheel)), (0, 0))
