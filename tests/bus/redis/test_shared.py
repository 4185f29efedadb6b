"""
Tests for L{comet.bus.redis.bus}: the contract of shared buses.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.bus.redis.bus import RedisBus
from comet.interfaces import IMessageBus
from comet.testing.shared import SharedBusContract
from tests.bus.redis.case import RedisCase, until


class SharedTests(RedisCase, SharedBusContract):
    """
    L{RedisBus} is a bus that nodes can share.
    """

    async def makeNodes(self, count: int, messages: int = 1000) -> Sequence[IMessageBus]:
        """
        Make several buses.
        """
        return [await self.startedBus(messages=messages) for _ in range(count)]

    async def join(self) -> IMessageBus:
        """
        Make another bus.
        """
        return await self.startedBus()

    async def die(self, bus: IMessageBus) -> None:
        """
        Cut the connection of a bus, and let it make no other.
        """
        assert isinstance(bus, RedisBus)
        await bus.stop()

    async def test_nodesBeginOneEpoch(self) -> None:
        """
        Nodes that start at the same moment on an empty Redis begin one epoch.
        """
        buses = [self.newBus() for _ in range(5)]
        starting = [bus.start() for bus in buses]
        for bus, started in zip(buses, starting, strict=True):
            await started
            self.addCleanup(bus.stop)
        await until(lambda: len({bus.end for bus in buses}) == 1)
