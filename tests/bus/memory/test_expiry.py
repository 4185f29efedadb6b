"""
Tests for L{comet.bus.memory.bus}: what it drops and forgets with time.
"""

from __future__ import annotations

from comet.bus.memory import bus as memory
from comet.bus.memory.bus import MemoryBus
from comet.bus.memory.buslog import CHANNEL_OVERHEAD, SEGMENT_OVERHEAD
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import MESSAGE_OVERHEAD
from comet.model.positions import At, Earliest
from comet.testing.case import DAY, EPOCH_SECONDS, HOUR
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

    def test_fitsWithoutFurtherMessages(self) -> None:
        """
        When the bounds change, what is held follows them at once, some in each turn,
        whatever is published meanwhile; and the wheel follows the new time.
        """
        self.patch(memory, "FITTED", 10)
        bus = self.makeBus(Retention(seconds=HOUR))
        kept = self.put(bus, " ".join(f"c{number}" for number in range(30)) + " a" * 20)
        self.assertEqual(self.clock.getDelayedCalls(), self.clock.getDelayedCalls()[:1])

        def retention(channel: str) -> Retention:
            return Retention(2 if channel == "a" else 1000, 60.0, 1 << 20)

        bus.configure(lambda channel: Retention(), 1 << 20)
        bus.configure(retention, 1 << 20)
        [last] = self.put(bus, "b")
        self.assertEqual(len(self.held(bus, "a")), 20)
        self.clock.pump([0] * 10)
        self.assertEqual(self.held(bus, "a b"), [*kept[-2:], last])
        self.assertEqual(dict(self.read(bus, "a").gaps), {"a": kept[-3]})
        self.clock.pump([0.5] * 122)
        self.assertEqual((self.held(bus, "*"), self.clock.getDelayedCalls()), ([], []))

    def test_fitsTotalInSteps(self) -> None:
        """
        A smaller total is reached in steps, and floors that are too many for it are
        forgotten; a bus that is stopped meanwhile leaves nothing on the clock.
        """
        self.patch(memory, "FITTED", 10)
        bus = self.makeBus()
        kept = self.put(bus, " ".join(f"c{number}" for number in range(20)), b"1" * 1000)
        bus.configure(lambda channel: Retention(), 1 << 14)
        self.put(bus, "d")
        self.assertEqual(len(self.held(bus, "**")), 21)
        self.clock.pump([0] * 9)
        self.assertTrue(bus.size <= 1 << 14)
        self.assertEqual(self.held(bus, "c19"), kept[-1:])
        bus.configure(lambda channel: Retention(0, 1.0, 0), 1 << 14)
        self.successResultOf(bus.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        bus.configure(lambda channel: Retention(), 1 << 28)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_keepsFloors(self) -> None:
        """
        The floor of a channel without messages is kept for any time.  Nothing
        is left on the clock for it.
        """
        bus = self.makeBus(Retention(seconds=60.0))
        self.put(bus, "a b x/y")
        self.clock.advance(HOUR)
        self.put(bus, "b c")
        self.clock.advance(HOUR)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(1000 * DAY)
        self.assertEqual(bus.size, 4 * CHANNEL_OVERHEAD + 6 + SEGMENT_OVERHEAD)
        for name, floor in (("a", 1), ("x/*", 3), ("b", 4), ("c", 5), ("*", 5)):
            self.assertEqual(dict(self.read(bus, name).gaps), {name: floor})
            self.assertEqual(dict(self.read(bus, name, floor).gaps), {})
            self.assertTrue(self.start(bus, name, At(Cursor(bus.end.epoch, 0))).isGap)
            self.assertFalse(self.start(bus, name, At(Cursor(bus.end.epoch, floor))).isGap)
            self.assertFalse(self.start(bus, name, Earliest()).isGap)
        self.assertEqual(dict(self.read(bus, "x").gaps), {})

    def test_forgetsStalestFloors(self) -> None:
        """
        When the channels without messages are too many, those are forgotten
        whose newest message is the oldest, in whatever order they lost their
        messages.  The floor of all channels without a record, and of patterns,
        rises to these messages.
        """
        bus = self.makeBus(Retention(seconds=60.0), 4 * 3 * CHANNEL_OVERHEAD)
        self.put(bus, "a b c d")
        self.successResultOf(bus.forget("d"))
        self.successResultOf(bus.forget("b"))
        self.put(bus, "e")
        self.clock.advance(61)
        self.assertEqual(bus.size, 3 * (CHANNEL_OVERHEAD + 1))
        for name, floor in (("a", 2), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("x", 2), ("x/*", 2)):
            self.assertEqual(dict(self.read(bus, name).gaps), {name: floor})
            self.assertEqual(dict(self.read(bus, name, floor).gaps), {})

    def test_newChannelBeginsWithFloorOfBus(self) -> None:
        """
        A channel that comes after another was forgotten begins with the floor
        of the bus.
        """
        bus = self.makeBus(Retention(seconds=60.0), 4 * CHANNEL_OVERHEAD)
        self.put(bus, "a b e")
        self.clock.advance(61)
        self.assertEqual(self.put(bus, "c"), [4])
        self.assertEqual(dict(self.read(bus, "c", 1).gaps), {"c": 2})
        self.assertEqual(dict(self.read(bus, "c", 2).gaps), {})

    def test_channelWithMessagesIsKept(self) -> None:
        """
        A channel that gets a message again is not forgotten in place of one
        that is empty.
        """
        bus = self.makeBus(Retention(seconds=60.0), 4 * 2 * CHANNEL_OVERHEAD)
        self.put(bus, "a b")
        self.clock.advance(61)
        self.put(bus, "a c d")
        self.successResultOf(bus.forget("c"))
        self.assertEqual(dict(self.read(bus, "a b c x").gaps), {"a": 1, "b": 2, "c": 4})
        self.successResultOf(bus.forget("d"))
        self.assertEqual(
            dict(self.read(bus, "a b c d x").gaps), {"a": 1, "b": 2, "c": 4, "d": 5, "x": 2}
        )
        self.assertEqual(self.held(bus, "a"), [3])

    def test_readingForgetsNothing(self) -> None:
        """
        Messages that turn out to be too old while they are read leave their
        channels known until the reading is over.
        """
        time = [EPOCH_SECONDS]
        bus = MemoryBus(
            self.clock,
            lambda channel: Retention(seconds=60.0),
            7 * CHANNEL_OVERHEAD,
            wallClock=lambda: time[0],
        )
        self.put(bus, "a b c d")
        time[0] += 61
        expected = {"*": 4, "a": 1, "b": 2, "c": 3, "d": 4}
        self.assertEqual(dict(self.read(bus, "* a b c d").gaps), expected)
        self.clock.advance(61)
        self.assertEqual(bus.size, CHANNEL_OVERHEAD + 1)

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
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
