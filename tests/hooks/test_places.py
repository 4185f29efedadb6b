"""
Tests of L{comet.hooks.places} and L{comet.hooks.roundrobin}.
"""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.places import Places, holderOf
from comet.hooks.roundrobin import RoundRobin
from comet.limits.clientlimits import NOWHERE
from comet.model.clients import ANONYMOUS, Client
from tests.hooks.test_publishhook import Where


class PlacesTests(SynchronousTestCase):
    """
    Who gets a place.
    """

    def fill(self, places: Places, *holders: str) -> list[int]:
        """
        Let some clients take all that they get, in turn.

        @return: How many places each has.
        """
        taken = dict.fromkeys(holders, 0)
        while True:
            got = [holder for holder in holders if places.take(holder, 1, 10)]
            for holder in got:
                taken[holder] += 1
            if not got:
                return list(taken.values())

    def test_shares(self) -> None:
        """
        One client gets a half, two a third each, nine a tenth; so there is always a place
        for one more.
        """
        for holders, expected in (("a", [50]), ("ab", [34, 33]), ("abcdefghi", [10] * 9)):
            places = Places(100, 10_000)
            self.assertEqual(self.fill(places, *holders), expected)
            self.assertTrue(places.take("new", 1, 10))

    def test_bytes(self) -> None:
        """
        Bytes are shared likewise.
        """
        places = Places(100, 300)
        self.assertEqual(self.fill(places, "a"), [15])
        self.assertFalse(places.take("new", 1, 151))
        self.assertTrue(places.take("new", 1, 150))
        self.assertEqual((places.waiting, places.bytes), (16, 300))

    def test_alone(self) -> None:
        """
        Where nothing waits, anything may.
        """
        places = Places(2, 2)
        self.assertTrue(places.take("a", 5, 5))
        self.assertFalse(places.take("b", 1, 0))
        places.leave("a", 5, 5)
        self.assertTrue(places.take("b", 3, 3))

    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 4), st.integers(0, 30))))
    def test_model(self, wanted: list[tuple[str, int, int]]) -> None:
        """
        What is given back is free for all, and nothing is kept of clients that have none.
        """
        places = Places(10, 100)
        taken: deque[tuple[str, int, int]] = deque()
        for holder, count, size in wanted:
            if places.take(holder, count, size):
                taken.append((holder, count, size))
            elif taken:
                places.leave(*taken.popleft())
            self.assertEqual(places.waiting, sum(count for _, count, _ in taken))
            self.assertEqual(places.bytes, sum(size for *_, size in taken))
            self.assertTrue(len(taken) <= 1 or (places.waiting <= 10 and places.bytes <= 100))
        while taken:
            places.leave(*taken.pop())
        self.assertEqual((places.waiting, places.bytes, places._held), (0, 0, {}))

    def test_holder(self) -> None:
        """
        A client is known by its name, else by its address or network, else by its
        connection.
        """
        ada, peer = Client("ada"), Where("192.0.2.1")
        self.assertEqual(holderOf(ada, peer), holderOf(ada, NOWHERE))
        self.assertNotEqual(holderOf(Client("192.0.2.1"), NOWHERE), holderOf(ANONYMOUS, peer))
        nets = {holderOf(ANONYMOUS, Where(f"2001:db8::{n}")) for n in range(3)}
        self.assertEqual(len(nets), 1)
        unix, other = Where(""), object()
        self.assertEqual(holderOf(ANONYMOUS, unix), unix)
        self.assertIs(holderOf(ANONYMOUS, other), other)


class RoundRobinTests(SynchronousTestCase):
    """
    The order in which things are taken.
    """

    @given(st.lists(st.sampled_from(["take", "remove", *"abc"])))
    def test_model(self, steps: list[str]) -> None:
        """
        A client is served in its own order, and never twice while another one waits all
        that time.
        """
        lines: RoundRobin[tuple[str, int]] = RoundRobin()
        waiting: list[tuple[str, int]] = []
        # Since a client was served: who was, of those that wait since.
        served: dict[str, set[str]] = {}
        for number, step in enumerate(steps):
            if step in "abc":
                waiting.append((step, number))
                lines.add(step, (step, number))
                served.setdefault(step, set())
            elif not waiting:
                self.assertFalse(lines)
            elif step == "remove":
                thing = waiting.pop(number % len(waiting))
                lines.remove(thing[0], thing)
            else:
                thing = lines.take()
                holder = thing[0]
                self.assertEqual(thing, next(each for each in waiting if each[0] == holder))
                waiting.remove(thing)
                for other, passed in served.items():
                    if other != holder:
                        self.assertNotIn(holder, passed)
                        passed.add(holder)
                served[holder] = set()
            for name in set(served) - {each[0] for each in waiting}:
                del served[name]
