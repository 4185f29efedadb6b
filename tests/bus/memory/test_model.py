"""
Tests for L{comet.bus.memory.bus}: any history, compared with a simple model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.idempotency import KeyBudget
from comet.bus.memory.bus import MemoryBus
from comet.bus.memory.buslog import SEGMENT_OVERHEAD
from comet.bus.memory.channelindex import ChannelIndex
from comet.bus.memory.positionlog import PositionLog
from comet.bus.memory.query import Query
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.model.patterns import matches
from comet.model.positions import (
    At,
    Earliest,
    Last,
    Now,
    ReadResult,
    ResolvedStart,
    ResolvedStarts,
    StartPosition,
    Unreadable,
)
from comet.testing.case import DAY, OTHER_EPOCH, Listener, dataOf, positionsOf
from tests.bus.keymodel import KeyMachine
from tests.bus.model import BusModel

CHANNELS = ("a", "b", "c/a", "c/b", "c/a/d", "$s", "c/$s")
NAMES = (*CHANNELS, "x", "*", "**", "c/*", "c/**", "*/a", "*/$s", "$s/*")
FOREVER = 1e9

T = TypeVar("T")

channels = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True)
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)
# A cursor: its distance from the end, in the present epoch or another.
stands = st.tuples(st.booleans() | st.just(True), st.integers(-3, 40))


def same(name: str, start: ResolvedStart) -> ResolvedStart:
    """
    Return the resolved start of a name without what makes no difference.
    """
    floor = start.floor if start.floor > start.position else 0
    skipUpTo = {channel: p for channel, p in start.skipUpTo.items() if matches(name, channel)}
    return evolve(start, floor=floor, skipUpTo=skipUpTo)


class MemoryModel(BusModel):
    """
    Counts channels as the memory bus does.
    """

    segmentOverhead = SEGMENT_OVERHEAD


class BusMachine(RuleBasedStateMachine):
    """
    Does the same with a bus and with its model, and compares them.

    @cvar Model: The class of the model.
    """

    Model: type[BusModel] = MemoryModel

    @initialize(
        retentions=st.lists(
            st.builds(
                Retention,
                st.integers(0, 6),
                st.sampled_from([0.5, 60.0, 3600.0, 3 * DAY]),
                st.integers(0, 60),
            ),
            min_size=1,
            max_size=3,
        ),
        total=st.none() | st.integers(0, 24),
    )
    def begin(self, retentions: list[Retention], total: int | None) -> None:
        """
        Make a bus with these retentions.  Either they drop messages with time,
        or the total is limited.
        """
        totalBytes = 10**9
        if total is not None:
            channel = self.Model.channelOverhead + self.Model.streamOverhead + 3
            totalBytes = total * channel // 2
            retentions = [evolve(retention, seconds=FOREVER) for retention in retentions]

        def retention(channel: str) -> Retention:
            return retentions[CHANNELS.index(channel) % len(retentions)]

        self.isTimeless = total is not None
        self.clock = Clock()
        self.bus = self.makeBus(retention, totalBytes)
        self.model = self.Model(retention, totalBytes)
        self.model.renew(self.bus.end.epoch)
        self.listener = Listener()
        self.bus.listen(self.listener, ["**"])
        # By channel: where it was begun to scroll back, the cursor of the oldest
        # message that was read, and all positions that were.
        self.scrolled: dict[str, tuple[Cursor, Cursor, list[int]]] = {}

    def makeBus(self, retention: Callable[[str], Retention], totalBytes: int) -> Any:
        """
        Make a bus that answers at once.
        """
        return MemoryBus(self.clock, retention, totalBytes, self.clock.seconds)

    @rule(
        batch=st.lists(st.tuples(channels, st.integers(1, 20)), min_size=1, max_size=4),
        times=st.integers(1, 3),
    )
    def publish(self, batch: list[tuple[list[str], int]], times: int) -> None:
        """
        Publish a batch several times.
        """
        for _ in range(times):
            asked = [Publication(tuple(names), dataOf(size)) for names, size in batch]
            result(self.bus.publish(asked))
            for publication in asked:
                self.model.publish(publication.channels, publication.payload, self.clock.seconds())
            self.model.evict()

    @rule(channel=st.sampled_from(CHANNELS))
    def forget(self, channel: str) -> None:
        """
        Drop the messages of a channel.
        """
        result(self.bus.forget(channel))
        self.model.forget(channel)

    @rule(halves=st.sampled_from([0, 1, 60, 100, 3600, 7200, 86400, 172800, 400000]))
    def advance(self, halves: int) -> None:
        """
        Advance the clock, in half seconds: so the timers of the bus are on
        time.
        """
        if not self.isTimeless:
            self.clock.advance(halves / 2)
            self.model.expire(self.clock.seconds())

    @rule(isSure=st.integers(0, 9))
    def renew(self, isSure: int) -> None:
        """
        Begin a new epoch, in some of the calls.
        """
        if not isSure:
            self.bus.renew()
            self.model.renew(self.bus.end.epoch)
            self.listener = Listener()
            self.bus.listen(self.listener, ["**"])

    @rule(
        names=names,
        stand=stands,
        limit=st.integers(1, 12),
        maxBytes=st.integers(1, 100),
        upTo=st.none() | st.integers(0, 30),
    )
    def read(
        self,
        names: Sequence[str],
        stand: tuple[bool, int],
        limit: int,
        maxBytes: int,
        upTo: int | None,
    ) -> None:
        """
        Read from both.
        """
        after = self.cursor(stand)
        found = result(self.bus.read(names, after, limit, maxBytes, upTo))
        expected = self.model.read(names, after, limit, maxBytes, upTo)
        assert positionsOf(found.messages) == positionsOf(expected.messages)
        assert evolve(found, messages=()) == evolve(expected, messages=())

    @rule(
        channel=st.sampled_from((*CHANNELS, "x")),
        stand=st.none() | stands,
        limit=st.integers(1, 12),
        maxBytes=st.integers(1, 100),
    )
    def history(
        self, channel: str, stand: tuple[bool, int] | None, limit: int, maxBytes: int
    ) -> None:
        """
        Read what was before a cursor from both.
        """
        before = None if stand is None else self.cursor(stand)
        found = result(self.bus.history(channel, before, limit, maxBytes))
        expected = self.model.history(channel, before, limit, maxBytes)
        assert positionsOf(found.messages) == positionsOf(expected.messages)
        assert evolve(found, messages=()) == evolve(expected, messages=())

    @rule(channel=st.sampled_from(CHANNELS), limit=st.integers(1, 5), back=st.integers(0, 3))
    def scrollBack(self, channel: str, limit: int, back: int) -> None:
        """
        Read one page before the last one of a channel, while other rules publish
        and drop; or, after its last one, begin again.
        """
        page, asked = self.scrolled.get(channel), Cursor(self.bus.end.epoch, 0)
        if page is None or page[0].epoch != asked.epoch:
            # From some cursor that is not always a message of the channel.
            start = self.cursor((True, back))
            page = self.scrolled[channel] = (start, start, [])
        start, before, seen = page
        found = result(self.bus.history(channel, before, limit, 10**6))
        positions = positionsOf(found.messages)
        assert positions == sorted(positions)
        assert not positions or positions[-1] < before.position
        seen[:0] = positions
        if found.more:
            self.scrolled[channel] = (start, found.messages[0].cursor, seen)
            return
        del self.scrolled[channel]
        everything = [m.position for m in self.model.all if m.channel == channel]
        older = [position for position in everything if position < start.position]
        held = [m.position for m in self.model.held(channel) if m.position < start.position]
        # All that is held still, and perhaps more that was when it was read.
        assert seen[len(seen) - len(held) :] == held, (seen, held)
        assert set(seen) <= set(older) and len(set(seen)) == len(seen)
        if set(older) - set(seen):
            assert found.isGap

    @rule(names=names, stand=stands, count=st.integers(1, 5))
    def resolve(self, names: Sequence[str], stand: tuple[bool, int], count: int) -> None:
        """
        Resolve all kinds of start positions with both.
        """
        startPositions: list[StartPosition] = [Now(), Earliest(), Last(count), Unreadable()]
        for startPosition in (*startPositions, At(self.cursor(stand))):
            resolved = self.resolved(dict.fromkeys(names, startPosition))
            assert resolved.end == self.model.end
            for name in names:
                expected = self.model.resolve(name, startPosition)
                found = resolved.starts[name]
                assert same(name, found) == same(name, expected), (name, startPosition)

    def resolved(self, startPositions: dict[str, StartPosition]) -> ResolvedStarts:
        """
        Resolve start positions with the bus.
        """
        found: ResolvedStarts = result(self.bus.resolve(startPositions))
        return found

    def cursor(self, stand: tuple[bool, int]) -> Cursor:
        """
        Make a cursor before the end, or beyond it.
        """
        isKnown, back = stand
        position = max(self.bus.end.position - back, 0)
        return Cursor(self.bus.end.epoch if isKnown else OTHER_EPOCH, position)

    @invariant()
    def agree(self) -> None:
        """
        Assert that both have the same end and messages.
        """
        self.read(["**", "$s", "*/$s"], (False, 0), 1000, 10**6, None)
        assert self.bus.end == self.model.end
        assert self.listener.heard == list(range(1, self.bus.end.position + 1))
        for name in NAMES:
            self.read([name], (True, self.bus.end.position), 1000, 10**6, None)
        assert self.bus.size == self.model.size

    def teardown(self) -> None:
        """
        Assert that nothing is left on the clock.
        """
        if hasattr(self, "bus"):
            result(self.bus.stop())
            assert not self.clock.getDelayedCalls()


class SlicedMachine(BusMachine):
    """
    Compares a bus that answers each question in many small slices.
    """

    def answer(self, asked: Deferred[T]) -> T:
        """
        Let the bus take as many turns as it needs.
        """
        for _ in range(100):
            if asked.called:
                break
            self.clock.advance(0)
        return result(asked)

    def pages(self, names: Sequence[str], after: Cursor, upTo: int | None) -> ReadResult:
        """
        Read all pages, and put them together.
        """
        whole: ReadResult | None = None
        while whole is None or whole.more:
            start = after if whole is None else whole.reached
            page = self.answer(self.bus.read(names, start, 5, 10**6, upTo))
            if whole is not None:
                assert page.reached > whole.reached
                page = evolve(
                    page,
                    after=whole.after,
                    messages=[*whole.messages, *page.messages],
                    gaps=whole.gaps,
                )
            whole = page
        return whole

    @rule(names=names, stand=stands, upTo=st.none() | st.integers(0, 30))
    def readPages(self, names: Sequence[str], stand: tuple[bool, int], upTo: int | None) -> None:
        """
        Read from both, to the end.
        """
        after = self.cursor(stand)
        found = self.pages(names, after, upTo)
        expected = self.model.read(names, after, 1000, 10**6, upTo)
        assert positionsOf(found.messages) == positionsOf(expected.messages)
        assert evolve(found, messages=()) == evolve(expected, messages=())

    @rule()
    def read(self) -> None:
        """
        Do nothing: pages differ from those of the model.
        """

    def resolved(self, startPositions: dict[str, StartPosition]) -> ResolvedStarts:
        """
        Resolve start positions.
        """
        found: ResolvedStarts = self.answer(self.bus.resolve(startPositions))
        return found

    @invariant()
    def agree(self) -> None:
        """
        Assert that both have the same end and messages.
        """
        self.readPages(["**", "$s", "*/$s"], (False, 0), None)
        assert self.bus.end == self.model.end


class KeyMemoryMachine(KeyMachine):
    """
    Compares the keys of a memory bus.
    """

    def makeBus(self, budget: KeyBudget) -> MemoryBus:
        """
        See L{KeyMachine.makeBus}.
        """
        return MemoryBus(self.clock, wallClock=self.clock.seconds, keyBudget=budget)


def result(fired: Deferred[T]) -> T:
    """
    Return the result of a Deferred that has fired.
    """
    results: list[T] = []
    fired.addCallback(results.append)
    [only] = results
    return only


class ModelTests(SynchronousTestCase):
    """
    L{MemoryBus}, after any history.
    """

    def test_agreesWithModel(self) -> None:
        """
        After any history the bus answers all questions as its model does.
        """
        run_state_machine_as_test(
            BusMachine,
            settings=settings(deadline=None, max_examples=150, stateful_step_count=30),
        )

    def test_slicesAgreeWithModel(self) -> None:
        """
        The answers are the same if the bus works in the smallest slices, and
        its indices in the smallest blocks.
        """
        self.patch(Query, "compared", 1)
        self.patch(Query, "examined", 2)
        self.patch(ChannelIndex, "most", 2)
        self.patch(PositionLog, "most", 3)
        run_state_machine_as_test(
            SlicedMachine,
            settings=settings(deadline=None, max_examples=150, stateful_step_count=30),
        )

    def test_keysAgreeWithModel(self) -> None:
        """
        After any history, idempotency keys are known and forgotten as in the
        model.
        """
        run_state_machine_as_test(
            KeyMemoryMachine,
            settings=settings(deadline=None, max_examples=100, stateful_step_count=30),
        )
