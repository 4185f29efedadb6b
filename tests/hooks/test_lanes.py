"""
Tests of L{comet.hooks.lanes}.
"""

from __future__ import annotations

from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.lanes import Lanes, Ticket

# The keys of requests: one or more of four.
KEYS = [{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 3}, {0, 1, 2, 3}]


class LanesTests(SynchronousTestCase):
    """
    The order of what waits.
    """

    # The first draw loads what it needs, which takes long on a busy machine.
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(lists(sampled_from(KEYS), max_size=8), lists(integers(0, 7), max_size=20))
    def test_order(self, requests: list[set[int]], ready: list[int]) -> None:
        """
        In each lane all go in the order in which they came; each goes once, and as soon as
        it and all before it in its lanes are ready; in the end nothing is kept.
        """
        lanes, gone = Lanes(), list[int]()
        tickets: list[Ticket] = []
        for number, keys in enumerate(requests):
            tickets.append(lanes.enter(keys, partial(gone.append, number)))
        isReady = set[int]()

        def due() -> set[int]:
            free = set[int]()
            for number, keys in enumerate(requests):
                before = [each for each in range(number) if requests[each] & keys]
                if number in isReady and free.issuperset(before):
                    free.add(number)
            return free

        for number in [*ready, *range(len(requests))]:
            if number < len(requests) and number not in isReady:
                isReady.add(number)
                lanes.ready(tickets[number])
                self.assertEqual(set(gone), due())
        self.assertEqual(sorted(gone), list(range(len(requests))))
        for key in range(4):
            own = [number for number in gone if key in requests[number]]
            self.assertEqual(own, sorted(own))
        self.assertEqual(len(lanes), 0)
        self.assertTrue(lanes.areFree(range(4)))

    def test_entersFromWithin(self) -> None:
        """
        One that goes on may enter its own lane again, behind those that wait.
        """
        lanes, gone = Lanes(), list[str]()

        def again() -> None:
            gone.append("first")
            lanes.ready(lanes.enter("a", partial(gone.append, "again")))

        first = lanes.enter("a", again)
        second = lanes.enter("ab", partial(gone.append, "second"))
        lanes.ready(second)
        self.assertFalse(lanes.areFree("b"))
        lanes.ready(first)
        self.assertEqual(gone, ["first", "second", "again"])
