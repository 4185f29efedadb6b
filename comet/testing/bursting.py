"""
The contract of buses that store several requests in one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface.verify import verifyObject

from comet.errors import KeyReused
from comet.interfaces.busabilities import IBurstBus, Outcome
from comet.model.messages import Publication, Published
from comet.testing.case import BusCase, Listener


def keyed(data: bytes, key: str, *channels: str) -> Publication:
    """
    Make a publication with an idempotency key.
    """
    return Publication(channels or ("a",), data, key=key)


class BurstContract(BusCase):
    """
    L{IBurstBus.publishBurst}.
    """

    async def burst(self, bus: Any, *requests: Sequence[Publication]) -> Sequence[Outcome]:
        """
        Store some requests in one step.
        """
        outcomes: Sequence[Outcome] = await bus.publishBurst(requests)
        self.assertEqual(len(outcomes), len(requests))
        return outcomes

    def offsets(self, outcomes: Sequence[Outcome], start: int) -> list[Any]:
        """
        The positions that each request was answered with, as seen from the end
        before; or the class of its error.
        """
        return [
            type(outcome)
            if isinstance(outcome, Exception)
            else [[p - start for p in each.positions.values()] for each in outcome]
            for outcome in outcomes
        ]

    async def test_providesIBurstBus(self) -> None:
        """
        A bus that stores bursts provides L{IBurstBus}.
        """
        verifyObject(IBurstBus, await self.makeBus())

    async def test_answersEachRequestOfBurst(self) -> None:
        """
        The requests are stored in their order, and each is answered as C{publish}
        would answer it.  Listeners hear the messages in that order.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a", "b"])
        start = bus.end.position
        outcomes = await self.burst(
            bus,
            [Publication(("a",), b"1")],
            [Publication(("b", "a"), b"2"), Publication(("a",), b"3")],
            [],
            [Publication(("b",), b"4")],
        )
        self.assertEqual(self.offsets(outcomes, start), [[[1]], [[2, 3], [4]], [], [[5]]])
        self.assertEqual(bus.end.position, start + 5)
        await self.settle(bus)
        heard = [(m.channel, m.payload) for m in listener.messages]
        expected = [("a", b"1"), ("b", b"2"), ("a", b"2"), ("a", b"3"), ("b", b"4")]
        self.assertEqual(heard, expected)

    async def test_refusesRequestsOfBurstAlone(self) -> None:
        """
        A request that is refused is refused as a whole, and alone.
        """
        bus = await self.makeBus()
        await bus.publish([keyed(b"1", "old")])
        start = bus.end.position
        outcomes = await self.burst(
            bus,
            [Publication(("a",), b"1")],
            [Publication(("a",), b"2"), keyed(b"other", "old")],
            [Publication(("a",), b"3")],
        )
        self.assertEqual(self.offsets(outcomes, start), [[[1]], KeyReused, [[2]]])
        self.assertEqual(bus.end.position, start + 2)

    async def test_keysOfBurst(self) -> None:
        """
        A key in a burst means what it would if the requests came one after the
        other: what comes again is stored once, with another message it is refused,
        and what a refused request brought is not known.
        """
        bus = await self.makeBus()
        start = bus.end.position
        outcomes = await self.burst(
            bus,
            [keyed(b"1", "k")],
            [keyed(b"1", "k")],
            [keyed(b"2", "k")],
            [keyed(b"3", "new"), keyed(b"2", "k")],
            [keyed(b"4", "new")],
            [keyed(b"1", "k", "b")],
        )
        self.assertEqual(
            self.offsets(outcomes, start), [[[1]], [[1]], KeyReused, KeyReused, [[2]], [[3]]]
        )
        again = await bus.publish([keyed(b"1", "k")])
        first = outcomes[0]
        assert not isinstance(first, Exception)
        self.assertEqual(again, first)
        self.assertIsInstance(again[0], Published)
