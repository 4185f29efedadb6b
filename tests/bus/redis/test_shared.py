"""
Tests for L{comet.bus.redis.bus}: the contract of shared buses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from comet.bus.redis.bus import RedisBus
from comet.interfaces.messagebus import IMessageBus
from comet.testing.keeping import TABLE, change, stateOf
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

    async def test_state(self) -> None:
        """
        What one node keeps or drops is kept or dropped for all, and heard by all; also by
        one that joins later.
        """
        buses = await self.makeNodes(3)
        listeners = await self.listening(buses, TABLE)
        first, second, third = (cast(RedisBus, bus) for bus in buses)
        await first.putState(change(b"1"), "a", None, 9)
        await second.putState(change(b"2"), "b", None, 9)
        self.assertTrue(await third.dropState(change(b"0", "drop"), "a"))
        await until(lambda: all(len(each.heard) == 3 for each in listeners))
        for bus in (*buses, await self.join()):
            self.assertEqual(await stateOf(bus), {"b": b"2"})

    async def test_countsListening(self) -> None:
        """
        The nodes are counted that listen to a channel; those that read it by a pattern are
        not among them.
        """
        buses = [await self.startedBus() for _ in range(3)]
        self.assertEqual(await buses[0].countListening(TABLE), 0)
        listeners = await self.listening(buses[1:], TABLE)
        await self.listening(buses[:1], "**")
        self.assertEqual(await buses[0].countListening(TABLE), 2)
        buses[1].unlisten(listeners[0], [TABLE])
        await self.settle(buses[1])
        self.assertEqual(await buses[0].countListening(TABLE), 1)

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
