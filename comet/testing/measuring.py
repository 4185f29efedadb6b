"""
The contract of buses that tell how much they hold.
"""

from __future__ import annotations

from typing import Any

from comet.interfaces.busabilities import IMeasuredBus
from comet.testing.case import BusCase


class MeasuredContract(BusCase):
    """
    L{comet.interfaces.busabilities.IMeasuredBus}.
    """

    async def test_measures(self) -> None:
        """
        What is held is told: the channels with messages, the bytes, and the messages
        unless they are too many to count.
        """
        bus: Any = await self.makeBus()
        self.assertTrue(IMeasuredBus.providedBy(bus))
        empty = await self.answer(bus.measure())
        self.assertEqual((empty.channels, empty.messages or 0), (0, 0))
        await self.put(bus, "a a b")
        held = await self.answer(bus.measure())
        self.assertEqual(held.channels, 2)
        self.assertIn(held.messages, (3, None))
        self.assertGreaterEqual(held.bytes, empty.bytes + 3 * len(b'"x"'))
        await self.answer(bus.forget("a"))
        less = await self.answer(bus.measure())
        self.assertEqual(less.channels, 1)
        self.assertIn(less.messages, (1, None))
        self.assertLess(less.bytes, held.bytes)
