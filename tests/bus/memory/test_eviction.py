"""
Tests for L{comet.bus.memory.bus}: the limit of what it holds in all.
"""

from __future__ import annotations

import tracemalloc
from time import thread_time

from hypothesis import given, settings
from hypothesis import strategies as st

from comet.bus.memory.buslog import CHANNEL_OVERHEAD, SEGMENT_OVERHEAD
from comet.model.log import Retention
from comet.model.messages import MESSAGE_OVERHEAD, Publication
from tests.bus.memory.case import MemoryTestCase

# What a message of one byte counts for, and a channel with a name of one
# letter.
MESSAGE = MESSAGE_OVERHEAD + 1
CHANNEL = CHANNEL_OVERHEAD + 1


class TotalTests(MemoryTestCase):
    """
    The limit of what a memory bus holds in all.
    """

    def test_countsMessagesAndChannels(self) -> None:
        """
        All messages and channels count, with their overhead, until they are
        dropped.
        """
        bus = self.makeBus(Retention(messages=2))
        self.put(bus, "a a a b", b"12345")
        self.assertEqual(bus.size, 2 * CHANNEL + 3 * (MESSAGE_OVERHEAD + 5))
        self.successResultOf(bus.forget("a"))
        self.assertEqual(bus.size, 2 * CHANNEL + MESSAGE_OVERHEAD + 5)

    def test_countsWhatItTakes(self) -> None:
        """
        The bytes that a bus counts are those that it takes, with its indices,
        within a quarter; also after many messages were dropped.
        """
        for channels, rounds, depth, held in (
            *((1, 6000, 1, 10**6), (20, 300, 1, 10**6), (3000, 2, 1, 10**6)),
            *((1500, 3, 8, 10**6), (20, 1500, 1, 300), (1500, 12, 2, 4)),
        ):
            names = ["/".join([f"s{each}"] * depth) for each in range(channels)]
            tracemalloc.start()
            try:
                bus = self.makeBus(Retention(held, bytes=10**9), 10**9)
                for number in range(rounds):
                    for name in names:
                        bus.publish([Publication((name,), b'"%d"' % number)])
                taken, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            shape = (channels, rounds, depth, held, taken, bus.size)
            self.assertTrue(taken / 1.25 < bus.size < taken * 1.25, shape)

    def test_dropsOldestFirst(self) -> None:
        """
        The oldest messages are dropped first, regardless of their channel, and
        no more than necessary.
        """
        total = 3 * CHANNEL + 20 * MESSAGE
        bus = self.makeBus(totalBytes=total)
        positions = self.put(bus, "a b a c c b " * 10)
        self.assertEqual(self.held(bus, "a b c"), positions[-20:])
        self.assertEqual(bus.size, total)
        self.put(bus, "a", b"12")
        self.assertEqual(len(self.held(bus, "a b c")), 19)
        self.assertEqual(dict(self.read(bus, "a b c").gaps), {"a": 39, "b": 42, "c": 41})

    def test_dropsOldestAfterOtherDrops(self) -> None:
        """
        Messages that were dropped for other reasons do not confuse which is the
        oldest.
        """
        bus = self.makeBus(Retention(messages=6, seconds=60.0), 3 * CHANNEL + 9 * MESSAGE)
        self.put(bus, "a b c a")
        self.successResultOf(bus.forget("a"))
        self.clock.advance(61)
        self.assertEqual(self.put(bus, "c c a b a b b b b"), list(range(5, 14)))
        self.assertEqual(self.held(bus, "*"), list(range(5, 14)))
        self.put(bus, "b b b")
        self.assertEqual(self.held(bus, "*"), [5, 6, 7, 9, *range(11, 17)][-9:])

    def test_messageLargerThanTotal(self) -> None:
        """
        When a message is larger than the total, neither it nor any other
        message is held.
        """
        bus = self.makeBus(totalBytes=10 * CHANNEL)
        self.put(bus, "a b")
        self.put(bus, "a", b"x" * 10 * CHANNEL)
        self.assertEqual(self.held(bus, "*"), [])
        self.assertEqual(bus.size, 2 * CHANNEL)
        self.assertEqual(dict(self.read(bus, "a b").gaps), {"a": 3, "b": 2})

    def test_totalOfZero(self) -> None:
        """
        If nothing may be held, everything is a gap.
        """
        bus = self.makeBus(totalBytes=0)
        self.assertEqual(self.put(bus, "a b"), [1, 2])
        self.assertEqual(bus.size, 0)
        self.assertEqual(dict(self.read(bus, "a *").gaps), {"a": 2, "*": 2})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_keepsFloorsBeforeMessages(self) -> None:
        """
        While few channels are without messages, their floors are kept in
        preference to messages.
        """
        bus = self.makeBus(totalBytes=20 * CHANNEL)
        self.put(bus, "a b")
        self.put(bus, " ".join("c" * 100))
        self.assertEqual(dict(self.read(bus, "a b x").gaps), {"a": 1, "b": 2})
        self.assertEqual(len(self.held(bus, "c")), 17 * CHANNEL // MESSAGE)

    def test_boundsFloors(self) -> None:
        """
        Channels without messages take a quarter of the total at most: those
        whose newest message is the oldest are forgotten.
        """
        bus = self.makeBus(totalBytes=20 * CHANNEL)
        for number in range(100):
            self.put(bus, f"idle/{number:02}")
            self.successResultOf(bus.forget(f"idle/{number:02}"))
        self.assertEqual(bus.size, 5 * (CHANNEL + 6 + SEGMENT_OVERHEAD))
        positions = self.put(bus, " ".join("c" * 20))
        self.assertEqual(self.held(bus, "c"), positions)
        gaps = self.read(bus, "idle/99 idle/20 x").gaps
        self.assertEqual(gaps["idle/99"], 100)
        self.assertEqual(gaps["idle/20"], gaps["x"])
        self.assertEqual(gaps["x"], 95)

    def test_heapsAreBounded(self) -> None:
        """
        The heaps of oldest messages and of channels without messages have at
        most twice the entries that are needed, after any changes.
        """
        bus = self.makeBus()
        for _ in range(300):
            self.put(bus, "a b")
            self.successResultOf(bus.forget("a"))
            self.assertLessEqual(len(bus._busLog._others), 2 * 2 + 64)
            self.assertLessEqual(len(bus._busLog._stalest), 2 * 2 + 64)
        self.assertEqual(len(self.held(bus, "b")), 300)

    def test_evictsManyChannelsInLinearTime(self) -> None:
        """
        The time to drop many channels at once grows no faster than their
        number.
        """

        def cost(count: int) -> float:
            bus = self.makeBus(totalBytes=count * 1000)
            self.put(bus, " ".join(f"c/{number}" for number in range(count)))
            for number in range(count):
                self.successResultOf(bus.forget(f"c/{number}"))
            start = thread_time()
            self.put(bus, "c/x", b"x" * count * 1000)
            return thread_time() - start

        few = min(cost(1000) for _ in range(3))
        self.assertLess(min(cost(16000) for _ in range(2)), 60 * few)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.text("abcdefg", min_size=1, max_size=12), st.integers(0, 900)),
        st.tuples(st.just("forget"), st.sampled_from("abcdefg"), st.just(0)),
        st.tuples(st.just("advance"), st.just(""), st.sampled_from([1, 30, 60, 50000])),
        st.tuples(st.just("renew"), st.just(""), st.just(0)),
    ),
    max_size=30,
)


class AnyOrderTests(MemoryTestCase):
    """
    The limit of what a memory bus holds in all, after any history.
    """

    @settings(deadline=None, max_examples=200)
    @given(steps, st.integers(0, 12 * CHANNEL), st.integers(1, 5))
    def test_sizeIsWithinTotal(
        self, steps: list[tuple[str, str, int]], total: int, messages: int
    ) -> None:
        """
        The size is never above the limit.  It is the size of the messages that
        are held and of some of the known channels.
        """
        bus = self.makeBus(Retention(messages, 60.0, 2000), total)
        for kind, names, number in steps:
            if kind == "put":
                self.put(bus, " ".join(names), b"x" * number)
            elif kind == "forget":
                self.successResultOf(bus.forget(names))
            elif kind == "advance":
                self.clock.advance(number)
            else:
                bus.renew()
            self.assertLessEqual(bus.size, total)
            self.assertEqual(bus._busLog.emptySize, bus._busLog.empty * CHANNEL)
            held = self.read(bus, "*").messages
            channels, rest = divmod(bus.size - sum(each.size for each in held), CHANNEL)
            self.assertEqual(rest, 0)
            self.assertLessEqual(len({each.channel for each in held}), channels)
            self.assertLessEqual(channels, 7)
        self.clock.advance(60.5)
        self.assertLessEqual(bus.size, total // 4 // CHANNEL_OVERHEAD * CHANNEL)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True),
                st.integers(0, 500),
            ),
            max_size=40,
        )
    )
    def test_holdsNewestMessages(self, published: list[tuple[list[str], int]]) -> None:
        """
        The messages that are held are the newest of all, as many as there is
        room for.
        """
        total = 20 * CHANNEL
        bus = self.makeBus(totalBytes=total)
        sizes: list[int] = []
        seen: set[str] = set()
        first = 0
        for channels, number in published:
            self.successResultOf(bus.publish([Publication(tuple(channels), b"x" * number)]))
            sizes += [number + MESSAGE_OVERHEAD] * len(channels)
            seen.update(channels)
            while len(seen) * CHANNEL + sum(sizes[first:]) > total:
                first += 1
            self.assertEqual(self.held(bus, "*"), list(range(first + 1, len(sizes) + 1)))
            self.assertEqual(bus.size, len(seen) * CHANNEL + sum(sizes[first:]))
