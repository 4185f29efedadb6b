"""
Tests for L{comet.bus.memory.bus}: the contract, and what only this bus does.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Sequence
from types import FrameType
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from comet.bus.idempotency import KEY_SECONDS, KeyBudget
from comet.bus.memory.bus import MemoryBus
from comet.bus.memory.query import COMPARED, IN_TURN
from comet.bus.starts import MOST_LAST
from comet.errors import Unavailable
from comet.interfaces.busabilities import IInstantBus, Outcome
from comet.interfaces.messagebus import IMessageBus
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message, Publication
from comet.model.patterns import NameSet
from comet.model.positions import At, Earliest, Last, Now, StartPosition, Unreadable
from comet.testing.bursting import BurstContract
from comet.testing.case import EPOCH_SECONDS, HOUR, BusCase, Listener, T
from comet.testing.contract import BusContract
from comet.testing.joining import PresenceContract
from comet.testing.keeping import StateContract
from comet.testing.measuring import MeasuredContract
from comet.testing.retaining import ConfigurableContract
from tests.bus.memberbounds import MemberBoundsContract
from tests.bus.memory.case import MemoryTestCase


class MemoryCase(BusCase):
    """
    A L{MemoryBus} for tests of contracts.
    """

    busType = MemoryBus

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    async def makeBus(
        self,
        messages: int = 1000,
        seconds: float = HOUR,
        bytes: int = 1048576,
        totalBytes: int = 268435456,
        keyBudget: KeyBudget | None = None,
    ) -> IMessageBus:
        """
        Make a bus with the clock of the test.
        """
        retention = Retention(messages, seconds, bytes)
        bus = MemoryBus(
            self.clock,
            lambda channel: retention,
            totalBytes,
            lambda: EPOCH_SECONDS + self.clock.seconds(),
            keyBudget,
        )
        await bus.start()
        self.addCleanup(self.stop, bus)
        return bus

    async def stop(self, bus: MemoryBus) -> None:
        """
        Assert that a stopped bus leaves nothing on the clock.
        """
        await bus.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def advance(self, seconds: float) -> None:
        """
        Advance the clock.
        """
        self.clock.advance(seconds)

    async def answer(self, asked: Deferred[T]) -> T:
        """
        Let the bus have its turns.
        """
        while not asked.called:
            self.clock.advance(0)
        return await asked

    async def renew(self, bus: IMessageBus) -> None:
        """
        Renew the bus.
        """
        assert isinstance(bus, MemoryBus)
        bus.renew()

    async def settle(self, bus: IMessageBus) -> None:
        """
        Do nothing: listeners have heard when a publisher is answered.
        """


class MemoryBusTests(
    MemoryCase,
    BusContract,
    BurstContract,
    ConfigurableContract,
    MeasuredContract,
    MemberBoundsContract,
    PresenceContract,
    StateContract,
    TestCase,
):
    """
    L{MemoryBus} keeps all promises of a bus.
    """


class StoreNowTests(MemoryCase, BurstContract, TestCase):
    """
    L{MemoryBus.storeNow} keeps the promises of C{publishBurst}.
    """

    async def burst(self, bus: Any, *requests: Sequence[Publication]) -> Sequence[Outcome]:
        """
        Store some requests within one call.
        """
        outcomes: Sequence[Outcome] = bus.storeNow(requests)
        self.assertEqual(len(outcomes), len(requests))
        return outcomes

    async def test_providesIInstantBus(self) -> None:
        """
        The bus provides L{IInstantBus}.
        """
        verifyObject(IInstantBus, await self.makeBus())

    async def test_leavesItToPublishBurst(self) -> None:
        """
        A listener that publishes while it hears something is told to wait; nothing is
        stored for it.
        """
        bus: Any = await self.makeBus()
        told: list[object] = []

        class Publisher(Listener):
            def messagesStored(self, messages: Sequence[Message]) -> None:
                super().messagesStored(messages)
                told.append(bus.storeNow([[Publication(("b",), b"2")]]))

        await bus.listen(Publisher(), ["a"])
        await self.burst(bus, [Publication(("a",), b"1")])
        self.assertEqual((told, bus.end.position), ([None], 1))

    async def test_refusesOnceStopped(self) -> None:
        """
        A bus that has stopped stores nothing.
        """
        bus: Any = await self.makeBus()
        await bus.stop()
        self.assertRaises(Unavailable, bus.storeNow, [[Publication(("a",), b"1")]])
        self.assertEqual(bus.end.position, 0)

    async def test_forgetsOldKeys(self) -> None:
        """
        Keys that are too old are forgotten while nothing with a key is published.
        """
        bus: Any = await self.makeBus()
        bus.storeNow([[Publication(("a",), b"1", key="k")]])
        self.assertEqual(len(bus._keys), 1)
        self.clock.advance(KEY_SECONDS)
        bus.storeNow([[Publication(("a",), b"1")]])
        self.assertEqual(len(bus._keys), 0)


class OwnTests(MemoryTestCase):
    """
    What L{MemoryBus} does beside the contract.
    """

    def test_positionsHaveNoHoles(self) -> None:
        """
        Positions have no holes.
        """
        bus = self.makeBus()
        batch = [Publication(("a", "b"), b"1"), Publication(("c",), b"2")]
        first, second = self.successResultOf(bus.publish(batch))
        self.assertEqual(first.positions, {"a": 1, "b": 2})
        self.assertEqual(second.positions, {"c": 3})
        self.assertEqual(self.put(bus, "a"), [4])

    def test_eachBusIsAnEpoch(self) -> None:
        """
        Each bus has an epoch of its own.
        """
        self.assertNotEqual(self.makeBus().end.epoch, self.makeBus().end.epoch)

    def test_defaultsToComputersTimeAndRetention(self) -> None:
        """
        By default a bus uses the time of this computer, and the default
        L{Retention} for each channel.
        """
        bus = MemoryBus(self.clock)
        self.put(bus, " ".join(["a"] * 1001))
        self.assertEqual(len(self.held(bus, "a")), 1000)
        self.clock.advance(1800)
        self.assertEqual(len(self.held(bus, "a")), 1000)

    def test_retentionByChannel(self) -> None:
        """
        The retention of a channel depends on its name.
        """
        bus = MemoryBus(
            self.clock,
            lambda channel: Retention(2 if channel == "a" else 3, 10.0 if channel == "b" else 20.0),
            wallClock=self.clock.seconds,
        )
        positions = self.put(bus, "a b c " * 4)
        self.assertEqual(self.held(bus, "a"), positions[6::3])
        self.assertEqual(self.held(bus, "b"), positions[4::3])
        self.clock.advance(10)
        self.assertEqual((len(self.held(bus, "*")), self.held(bus, "b")), (5, []))

    def test_renewForgetsEverything(self) -> None:
        """
        A renewed bus is like a new one, and leaves nothing on the clock.  Its
        listeners stay.
        """
        bus = self.makeBus(Retention(1))
        listener = Listener()
        bus.listen(listener, ["a"])
        self.put(bus, "a a b")
        epoch = bus.end.epoch
        bus.renew()
        self.assertEqual((bus.size, bus.end.position), (0, 0))
        self.assertNotEqual(bus.end.epoch, epoch)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(listener.interruptions, [3])
        self.assertEqual(self.put(bus, "b a"), [1, 2])
        self.assertEqual(dict(self.read(bus, "a b").gaps), {})
        self.assertEqual(listener.of("a"), [1, 2, 2])

    def test_answersAfterListenersHeard(self) -> None:
        """
        A publisher is answered after all listeners have heard.
        """
        bus = self.makeBus()
        listener = Listener()
        bus.listen(listener, ["a"])
        answered = bus.publish([Publication(("a",), b"1")])
        answered.addCallback(lambda _: self.assertEqual(listener.heard, [1]))
        self.successResultOf(answered)

    def test_stopEndsListenersAndTimers(self) -> None:
        """
        A stopped bus tells no listener anything, and leaves nothing on the
        clock.
        """
        bus = self.makeBus()
        listener = Listener()
        bus.listen(listener, ["a"])
        self.put(bus, "a b")
        self.successResultOf(bus.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        bus.renew()
        self.assertEqual(listener.interruptions, [])


class Matched:
    """
    While it is entered, notes which channels are compared with patterns.

    @ivar channels: The channels, once for each comparison.
    """

    def __init__(self) -> None:
        self.channels: list[str] = []

    def __enter__(self) -> Matched:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *ignored: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code is NameSet.matching.__code__:
            self.channels.append(frame.f_locals["channel"])


class WorkTests(MemoryTestCase):
    """
    How much work L{MemoryBus} does.
    """

    def test_readComparesChannelsWithNewMessagesOnce(self) -> None:
        """
        To read patterns, the bus compares only channels with messages after the
        cursor, each once.
        """
        bus = self.makeBus()
        self.put(bus, " ".join(f"c/{number}" for number in range(1000)))
        self.put(bus, " ".join(f"c/{number}" for number in range(0, 30, 10)))
        for names, after, news, looks in (
            ("c/*", 1000, [1001, 1002, 1003], ["c/0", "c/10", "c/20"]),
            ("c/* *", 1002, [1003], ["c/20"]),
            ("c/*", 1003, [], []),
        ):
            with Matched() as matched:
                self.assertEqual(self.held(bus, names, after), news)
            self.assertEqual(sorted(matched.channels), looks)

    def test_readComparesChannelsThatBeginAsPattern(self) -> None:
        """
        To read patterns, the bus compares only channels that begin as one of
        them does, or have a segment that one of them spells after a star, whatever
        else is held.
        """
        bus = self.makeBus()
        self.put(bus, " ".join(f"{c}/{number}" for number in range(300) for c in "abcdef"))
        own = self.put(bus, "b/x/y b/x/z b/y b/x0/y")
        for names, count, looks in (
            ("b/x/*", 2, ["b/x/y", "b/x/z"]),
            ("*/x/*", 2, ["b/x/y", "b/x/z"]),
            ("*/*/z b/x/z", 1, ["b/x/z"]),
            ("*/y", 1, ["b/y"]),
            ("*/x/w", 0, []),
            ("b/x/** b/x/*", 2, ["b/x/y", "b/x/z"]),
            ("b/y/** b/y", 1, ["b/y"]),
            ("g/**", 0, []),
        ):
            with Matched() as matched:
                self.assertEqual(len(self.held(bus, names)), count)
                self.start(bus, names.split()[0], Earliest())
                self.start(bus, names.split()[0], Last(1))
            self.assertEqual(sorted(set(matched.channels)), looks)
        self.assertEqual(len(own), 4)

    def catchUp(self, bus: MemoryBus, names: str, limit: int) -> tuple[list[int], int]:
        """
        Read all pages from the beginning.

        @return: How many messages each page had, and how many channels were compared.
        """
        counts, compared, after, more = [], 0, Cursor(bus.end.epoch, 0), True
        while more:
            with Matched() as matched:
                page = self.successResultOf(bus.read(names.split(), after, limit, 10**9, None))
            counts.append(len(page.messages))
            compared += len(matched.channels)
            after, more = page.reached, page.more
        return counts, compared

    def test_pagesCostWhatTheyReturn(self) -> None:
        """
        To read a wide pattern from the beginning compares as many channels as
        it returns messages, and one for each page, however many channels there
        are.
        """
        bus = self.makeBus()
        for start in range(0, 6000, 1000):
            self.put(bus, " ".join(f"c/{n}" for n in range(start, start + 1000)))
        self.put(bus, "c/0 " * 1500)
        for names in ("**", "c/*", "c/* c/0 **"):
            counts, compared = self.catchUp(bus, names, 100)
            self.assertEqual((sum(counts), max(counts)), (6999, 100))
            self.assertLessEqual(compared, 7000 + 4 * len(counts), names)

    def test_resolvesWidePatternAtOnce(self) -> None:
        """
        To resolve a wide pattern compares one channel, however many there are:
        for C{earliest}, for a cursor with a gap, and for a lost one.  The last
        few messages compare as many channels as are told.
        """
        bus = self.makeBus(Retention(1))
        self.put(bus, " ".join(f"c/{number}" for number in range(3000)))
        self.put(bus, " ".join(f"c/{number}" for number in range(3000)))
        for startPosition, position, isGap in (
            (Earliest(), 3000, False),
            (At(bus.end._replace(position=17)), 17, True),
            (Unreadable(), 3000, True),
        ):
            with Matched() as matched:
                start = self.start(bus, "**", startPosition)
            self.assertEqual((start.position, start.floor, start.isGap), (position, 3000, isGap))
            self.assertLessEqual(len(matched.channels), 2)
        with Matched() as matched:
            self.start(bus, "**", Last(5))
        self.assertLessEqual(len(matched.channels), MOST_LAST + 3)

    def test_comparesManyChannelsInTurns(self) -> None:
        """
        What has to compare very many channels compares a few in each turn of
        the reactor.  The answer is of the moment at which it is given: what is
        published, dropped and forgotten meanwhile is in it.
        """
        bus = self.makeBus()
        last = 5 * COMPARED
        for start in range(0, last, 1000):
            self.put(bus, " ".join(f"{number}/a" for number in range(start, start + 1000)))
        [lost, _] = self.put(bus, "b/x/x c/x/x")
        steps: list[int] = []
        asked = bus.resolve(
            {
                "*/*/*": Earliest(),
                "*/*/*/*": Last(1),
                "*/*/*/*/*": At(bus.end._replace(position=0)),
            }
        )
        self.assertNoResult(asked)
        while not asked.called:
            # Advancing the clock would take all turns.
            turn = self.clock.calls[0]
            goOn = turn.func
            turn.cancel()
            with Matched() as matched:
                goOn()
            steps.append(len(matched.channels))
            if len(steps) == 2:
                self.successResultOf(bus.forget("b/x/x"))
                [new] = self.put(bus, "0/y/y/y")
        self.assertGreater(len(steps), 4)
        self.assertLessEqual(max(steps), IN_TURN + 2)
        resolved = self.successResultOf(asked)
        self.assertEqual(resolved.end, bus.end)
        self.assertEqual(resolved.starts["*/*/*"].position, lost)
        self.assertEqual(resolved.starts["*/*/*"].floor, lost)
        self.assertEqual(resolved.starts["*/*/*/*"].position, new - 1)
        self.assertEqual(resolved.starts["*/*/*/*/*"].floor, 0)

    def test_waitingQueriesTakeNoMemory(self) -> None:
        """
        A query that waits for its turns keeps nothing of what it has compared:
        very many may wait behind one another.
        """
        bus = self.makeBus()
        for start in range(0, 2 * COMPARED, 1000):
            self.put(bus, " ".join(f"{number}/a" for number in range(start, start + 1000)))

        asked = [bus.resolve({"*/*/*": Earliest()}) for _ in range(10)]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        asked += [bus.resolve({"*/*/*": Earliest()}) for _ in range(10)]
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        self.assertLess(taken, 10 * 16384)
        self.clock.pump([0] * 1000)
        for each in asked:
            self.assertEqual(self.successResultOf(each).starts["*/*/*"].position, bus.end.position)

    def test_resolveComparesEachChannelOnce(self) -> None:
        """
        Regardless of the number of names, each channel is compared once.  Names
        that want the same number of messages share one table of positions,
        which has for each name what the name alone would have.
        """
        bus = self.makeBus()
        self.put(bus, "a/x b/x a/y b/x a/x")
        startPositions: dict[str, StartPosition] = {
            "a/*": Last(1),
            "b/*": Last(1),
            "*/x": Last(2),
            "**": Last(1),
            "a/x": Last(2),
            "*/y": Earliest(),
            "a/**": At(bus.end._replace(position=3)),
            "b/**": At(bus.end._replace(position=1)),
            "*/*": Unreadable(),
            "c/*": Now(),
            "c/**": Last(1),
        }
        with Matched() as matched:
            starts = self.successResultOf(bus.resolve(startPositions)).starts
        self.assertEqual(sorted(matched.channels), ["a/x", "a/y", "b/x"])
        self.assertEqual(list(starts), list(startPositions))
        for names in (("a/*", "b/*", "**", "c/**"), ("*/x", "a/x")):
            tables = {id(starts[name].skipUpTo) for name in names}
            self.assertEqual(len(tables), 1)
        self.assertIsNot(starts["a/*"].skipUpTo, starts["*/x"].skipUpTo)
        self.assertEqual(starts["a/*"].skipUpTo, {"a/x": 4, "a/y": 2, "b/x": 3})
        self.assertEqual(starts["*/x"].skipUpTo, {"a/x": 0, "b/x": 1})
        for name, startPosition in startPositions.items():
            alone, start = self.start(bus, name, startPosition), starts[name]
            self.assertEqual(evolve(start, skipUpTo={}), evolve(alone, skipUpTo={}))
            for channel, position in alone.skipUpTo.items():
                self.assertEqual(start.skipUpTo[channel], position)
