"""
Tests of L{comet.reactor.fairqueue}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers, lists, none, one_of, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.fairqueue import FairQueue


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

    def test_costlyIsTaken(self) -> None:
        """
        What costs much is taken once all others together had as much for each.
        """
        self.add("a", 100)
        for number in range(1000):
            self.queue.add(number, "b", 1)
            if self.queue.take() == "a":
                break
        else:
            self.fail("it was never taken")
        self.assertLessEqual(number, 2 * 100)

    def test_forgetsPublishers(self) -> None:
        """
        Nothing is kept of publishers that have nothing waiting.
        """
        self.add("abc" * 5, 7)
        drained(self.queue)
        self.assertEqual((self.queue._lines, self.queue._served), ({}, 0.0))

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
