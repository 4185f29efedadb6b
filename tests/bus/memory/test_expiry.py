"""
Tests for L{comet.bus.memory.bus}: what it drops and forgets with time.
"""

from __future__ import annotations

from comet.bus.memory.bus import CHANNEL_OVERHEAD, MemoryBus
from comet.bus.memory.log import REMEMBERED
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import MESSAGE_OVERHEAD
from comet.model.positions import At, Earliest
from tests.bus.case import DAY, EPOCH_SECONDS, HOUR
from tests.bus.memory.case import MemoryTestCase


class TimeTests(MemoryTestCase):
    """
    What a L{MemoryBus} drops and forgets with time.
    """

    def test_dropsOldMessages(self) -> None:
        """
        A message that is too old is dropped even if nothing is read or
        published.
        """
        bus = self.makeBus(Retention(seconds=60.0))
        self.put(bus, "a b", b"x" * 1000)
        self.clock.advance(30)
        self.put(bus, "a", b"x" * 1000)
        self.clock.pump([0.5] * 62)
        records = 2 * (CHANNEL_OVERHEAD + 1)
        self.assertEqual(bus.size, records + 1000 + MESSAGE_OVERHEAD)
        self.clock.pump([0.5] * 60)
        self.assertEqual(bus.size, records)

    def test_forgetsIdleChannel(self) -> None:
        """
        A channel that is idle for long is forgotten.  The floor of all channels
        without a record, and of patterns, rises to its newest message.  Nothing
        is left on the clock.
        """
        bus = self.makeBus(Retention(seconds=60.0))
        self.put(bus, "a b")
        self.clock.advance(HOUR)
        self.put(bus, "b c")
        self.clock.advance(REMEMBERED - HOUR + 1)
        for name, floor in (("a", 1), ("x", 1), ("x/*", 1), ("b", 3), ("c", 4), ("*", 4)):
            self.assertEqual(dict(self.read(bus, name).gaps), {name: floor})
            self.assertTrue(self.start(bus, name, At(Cursor(bus.end.epoch, 0))).isGap)
            self.assertFalse(self.start(bus, name, Earliest()).isGap)
        self.assertEqual(dict(self.read(bus, "a x").gaps), {"a": 1, "x": 1})
        self.clock.advance(REMEMBERED)
        self.assertEqual(bus.size, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for name in ("a", "b", "x", "**"):
            self.assertEqual(dict(self.read(bus, name).gaps), {name: 4})
            self.assertEqual(dict(self.read(bus, name, 4).gaps), {})

    def test_newChannelBeginsWithFloorOfBus(self) -> None:
        """
        A channel that comes after another was forgotten begins with the floor
        of the bus.
        """
        bus = self.makeBus(Retention(seconds=60.0))
        self.put(bus, "a b")
        self.clock.advance(3 * REMEMBERED)
        self.assertEqual(self.put(bus, "c"), [3])
        self.assertEqual(dict(self.read(bus, "c", 1).gaps), {"c": 2})
        self.assertEqual(dict(self.read(bus, "c", 2).gaps), {})

    def test_keepsChannelDuringRetention(self) -> None:
        """
        A channel is not forgotten while its retention lasts.
        """
        bus = self.makeBus(Retention(seconds=10 * DAY))
        self.put(bus, "a")
        self.clock.advance(9 * DAY)
        self.assertEqual(self.held(bus, "a"), [1])
        self.clock.advance(2 * DAY)
        self.assertEqual((bus.size, self.clock.getDelayedCalls()), (0, []))

    def test_keepsChannelAfterEarlyDrop(self) -> None:
        """
        A channel is not forgotten early because its messages were dropped
        early.
        """
        bus = self.makeBus(Retention(seconds=10 * DAY))
        self.put(bus, "a")
        self.clock.advance(5 * DAY)
        self.put(bus, "a")
        self.successResultOf(bus.forget("a"))
        self.clock.pump([DAY] * 9)
        self.assertEqual(dict(self.read(bus, "a b").gaps), {"a": 2})
        self.clock.pump([DAY] * 2)
        self.assertEqual(dict(self.read(bus, "a b").gaps), {"a": 2, "b": 2})

    def test_dropsInTimeAfterEarlyDrop(self) -> None:
        """
        After messages were dropped early, later ones are still dropped in time.
        """
        bus = self.makeBus(Retention(messages=1, seconds=60.0))
        self.put(bus, "a")
        self.clock.advance(30)
        self.put(bus, "a b")
        self.successResultOf(bus.forget("b"))
        self.clock.advance(59)
        self.assertEqual(self.held(bus, "*"), [2])
        self.clock.advance(2)
        self.assertEqual(bus.size, 2 * (CHANNEL_OVERHEAD + 1))
        self.clock.advance(REMEMBERED - 62)
        self.assertNotEqual(bus.size, 0)
        self.clock.advance(2)
        self.assertEqual((bus.size, self.clock.getDelayedCalls()), (0, []))

    def test_wallClockSetBack(self) -> None:
        """
        When the computer's clock is set back, messages are held for longer, and
        the bus does not wake up in vain.
        """
        time = [EPOCH_SECONDS]
        bus = MemoryBus(
            self.clock, lambda channel: Retention(seconds=60.0), wallClock=lambda: time[0]
        )
        self.put(bus, "a")
        time[0] -= HOUR
        self.put(bus, "a")
        self.clock.pump([1.0] * 100)
        self.assertEqual(self.held(bus, "a"), [1, 2])
        [call] = self.clock.getDelayedCalls()
        self.assertGreater(call.getTime(), self.clock.seconds() + HOUR - 100)
        time[0] += 2 * HOUR
        self.assertEqual(self.held(bus, "a"), [])
