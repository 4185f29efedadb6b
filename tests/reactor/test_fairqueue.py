"""
Tests of L{comet.reactor.fairqueue}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers, lists, none, one_of, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.fairqueue import MOST_LINES, FairQueue


def drained(queue: FairQueue[str]) -> str:
    """
    Take all that waits.
    """
    return "".join(queue.take() for _ in range(len(queue)))


class FairQueueTests(SynchronousTestCase):
    """
    In which order things are taken.
    """

    def setUp(self) -> None:
        """
        Make an empty queue.
        """
        self.queue: FairQueue[str] = FairQueue()

    def add(self, things: str, cost: int = 1) -> None:
        """
        Add things, each of the publisher that it names.
        """
        for thing in things:
            self.queue.add(thing, thing, cost)

    def test_takesTurns(self) -> None:
        """
        Publishers have their turns, however many things each has brought.
        """
        self.add("aaaabbc")
        self.assertEqual(drained(self.queue), "abcabaa")

    def test_newcomerIsNext(self) -> None:
        """
        A publisher that had nothing waiting waits for its share only, and for one thing
        that was next already, again and again.
        """
        self.add("a" * 50 + "b" * 50)
        for _ in range(12):
            self.queue.take()
            self.add("c")
            self.assertIn("c", [self.queue.take() for _ in range(4)])

    def test_countsCost(self) -> None:
        """
        What costs little comes before what costs much.
        """
        self.add("ab", 1000)
        self.add("c")
        self.assertEqual(self.queue.nextCost(), 1)
        self.assertEqual(drained(self.queue), "cab")

    def test_newcomerIsNextWhereTheOthersBecomeFewer(self) -> None:
        """
        A publisher that comes with little is next, also while those that came together, each
        with much, are served one after the other.
        """
        self.add("abcdefghijklmnopqrstuvwxy", 1000)
        while self.queue:
            self.add("Z")
            self.assertEqual(self.queue.take(), "Z")
            self.queue.take()

    def test_newcomerIsNextWhereTheOthersComeAgain(self) -> None:
        """
        A publisher that comes with little is next, also while others come again, each some
        time after it was served.
        """
        others = "abcdefghijklmnopqrstuvwxy"
        self.add(others, 1000)
        away: list[str] = []
        for number in range(1000):
            self.add("Z")
            self.assertEqual(self.queue.take(), "Z")
            away.append(self.queue.take())
            while len(away) > number % len(others) // 2:
                self.add(away.pop(0), 1000)

    def test_costlyIsTaken(self) -> None:
        """
        What costs much is taken, though publishers that were not seen before come without
        an end.
        """
        self.add("a", 300)
        for number in range(2 * 300 * MOST_LINES):
            self.queue.add(number, "b", 1)
            if self.queue.take() == "a":
                break
        else:
            self.fail("it was never taken")
        self.assertLessEqual(number, 300 * MOST_LINES)

    def test_costlyIsTakenBesideFew(self) -> None:
        """
        It is taken once each of the others had as much, where these come again.
        """
        self.add("a", 100)
        for number in range(1000):
            self.queue.add(number % 3, "b", 1)
            if self.queue.take() == "a":
                break
        self.assertLessEqual(number, 4 * 100)

    def test_forgetsPublishers(self) -> None:
        """
        Nothing is kept of publishers that have nothing waiting.
        """
        self.add("abc" * 5, 7)
        drained(self.queue)
        self.assertEqual(
            (self.queue._finishes, self.queue._lasting, self.queue._served), ({}, [], 0.0)
        )

    @given(lists(one_of(none(), tuples(sampled_from("abc"), integers(1, 50))), max_size=60))
    def test_keepsOrder(self, steps: list[tuple[str, int] | None]) -> None:
        """
        All that was added is taken, that of each publisher in its order.
        """
        queue: FairQueue[tuple[str, int]] = FairQueue()
        added: list[tuple[str, int]] = []
        taken: list[tuple[str, int]] = []
        for number, step in enumerate(steps):
            if step is not None:
                added.append((step[0], number))
                queue.add(step[0], added[-1], step[1])
            elif queue:
                taken.append(queue.take())
        taken += [queue.take() for _ in range(len(queue))]
        for publisher in "abc":
            self.assertEqual(
                [each for each in taken if each[0] == publisher],
                [each for each in added if each[0] == publisher],
            )
