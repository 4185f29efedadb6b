"""
The contract of buses whose bounds change while they run.
"""

from __future__ import annotations

from typing import Any

from comet.interfaces.busabilities import IConfigurableBus
from comet.model.log import Retention
from comet.testing.case import HOUR, BusCase, dataOf, positionsOf


class ConfigurableContract(BusCase):
    """
    L{comet.interfaces.busabilities.IConfigurableBus}.
    """

    async def makeConfigurable(self, **bounds: Any) -> Any:
        """
        Make a bus, as L{makeBus} does.
        """
        bus = await self.makeBus(**bounds)
        self.assertTrue(IConfigurableBus.providedBy(bus))
        return bus

    async def test_holdsFewer(self) -> None:
        """
        Of a channel with too many messages, by the new bounds, the newest are held
        once it has got another one.
        """
        bus = await self.makeConfigurable()
        before = await self.put(bus, "a a a a b b")
        bus.configure(
            lambda channel: Retention(2 if channel == "a" else 9, HOUR, 1 << 20), 1 << 28, {}
        )
        [last] = await self.put(bus, "a")
        held = await self.read(bus, "a")
        self.assertEqual(positionsOf(held.messages), [before[3], last])
        self.assertEqual(dict(held.gaps), {"a": before[2]})
        self.assertEqual(len(await self.held(bus, "b")), 2)

    async def test_holdsLess(self) -> None:
        """
        So it is with bytes, and with the time.
        """
        bus = await self.makeConfigurable()
        await self.put(bus, "a a", dataOf(1000))
        bus.configure(lambda channel: Retention(1000, 60.0, 1500), 1 << 28, {})
        [last] = await self.put(bus, "a", dataOf(1000))
        self.assertEqual(await self.held(bus, "a"), [last])
        await self.advance(61)
        self.assertEqual(await self.held(bus, "a"), [])

    async def test_holdsMore(self) -> None:
        """
        Where more may be held, it is held from now on; what was dropped stays away.
        """
        bus = await self.makeConfigurable(messages=1, seconds=60.0)
        before = await self.put(bus, "a a")
        bus.configure(lambda channel: Retention(3, HOUR, 1 << 20), 1 << 28, {})
        [last] = await self.put(bus, "a")
        await self.advance(30)
        self.assertEqual(await self.held(bus, "a"), [before[1], last])
        [newest] = await self.put(bus, "a")
        await self.advance(600)
        self.assertIn(newest, await self.held(bus, "a"))

    async def test_holdsLessInAll(self) -> None:
        """
        When all channels hold too much, by the new total, the oldest messages are
        dropped.
        """
        bus = await self.makeConfigurable()
        before = await self.put(bus, "a b c " * 10, dataOf(1000))
        bus.configure(lambda channel: Retention(), 20000, {})
        [last] = await self.put(bus, "a", dataOf(1000))
        held = await self.held(bus, "a b c")
        self.assertTrue(5 <= len(held) <= 19, str(len(held)))
        self.assertEqual(held, [*before, last][-len(held) :])
