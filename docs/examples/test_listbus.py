"""
Tests that the bus on a list keeps all promises of a bus: C{trial test_listbus}.
"""

from __future__ import annotations

import listbus
from listbus import ListBus
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from comet import IMessageBus, KeyBudget, Retention
from comet.testing import EPOCH_SECONDS, BusContract


class ListBusTests(BusContract, TestCase):
    """
    The makers and hooks for the suite.
    """

    def setUp(self) -> None:
        """
        Make a clock that the tests advance.
        """
        self.clock = Clock()

    async def makeBus(
        self,
        messages: int = 1000,
        seconds: float = 3600.0,
        bytes: int = 1048576,
        totalBytes: int = 268435456,
        keyBudget: KeyBudget | None = None,
    ) -> IMessageBus:
        """
        Make and start a bus.
        """
        kept = Retention(messages, seconds, bytes)
        bus = ListBus(
            self.clock,
            lambda channel: kept,
            totalBytes,
            lambda: EPOCH_SECONDS + self.clock.seconds(),
            keyBudget,
        )
        await bus.start()
        self.addCleanup(bus.stop)
        return bus

    async def advance(self, seconds: float) -> None:
        """
        Let time go on.
        """
        self.clock.advance(seconds)

    async def renew(self, bus: IMessageBus) -> None:
        """
        Make a bus lose its log.
        """
        assert isinstance(bus, ListBus)
        bus.renew()

    async def settle(self, bus: IMessageBus) -> None:
        """
        Wait for nothing: listeners have heard when a publisher is answered.
        """

    async def test_forgottenChannelIsGap(self) -> None:
        """
        Of too many channels without messages some are forgotten.  Their readers are told
        of a gap rather than of nothing; those of channels with messages are not.
        """
        self.patch(listbus, "MOST_CHANNELS", 3)
        bus = await self.makeBus(messages=1)
        await self.put(bus, "held a b c")
        for channel in "abc":
            await bus.forget(channel)
        [last] = await self.put(bus, "d")
        assert isinstance(bus, ListBus)
        self.assertEqual(sorted(bus.floors), ["c", "d", "held"])
        gaps = {name: (await self.read(bus, name)).gaps.get(name) for name in ("a", "d", "held")}
        # Whether d had messages before it was forgotten is not known any more.
        self.assertEqual(gaps, {"a": 3, "d": 2, "held": None})
        self.assertEqual(await self.held(bus, "*"), [1, last])
