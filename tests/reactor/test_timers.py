"""
Tests of L{comet.reactor.timers}.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import deque
from collections.abc import Callable
from time import thread_time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.timers import NOT_SET, SHARE, TimerWheel
from tests.fanout.doubles import TurnClock

# A time in 2026, in seconds: so large that a tenth of a second is not exact.
TODAY = 1767225600.123


class Item:
    """
    An item that notes when it is called.
    """

    def __init__(self, clock: Clock, then: Callable[[], object] = lambda: None) -> None:
        self.timerSlot = NOT_SET
        self.times: list[float] = []
        self.then = then
        self._clock = clock

    def timedOut(self) -> None:
        """
        Note the time.
        """
        self.times.append(self._clock.seconds())
        self.then()


class WheelTests(SynchronousTestCase):
    """
    L{TimerWheel} with a resolution of half a second.
    """

    def setUp(self) -> None:
        """
        Make a wheel.
        """
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock, 0.5)

    def item(self, then: Callable[[], object] = lambda: None) -> Item:
        """
        Make an item that calls a function when it is called.
        """
        return Item(self.clock, then)

    def assertIdle(self) -> None:
        """
        Assert that no item waits, and that the clock has no delayed call.
        """
        self.assertEqual(len(self.wheel), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_callsOnceInTime(self) -> None:
        """
        An item is called once, not early, and late by at most the resolution.
        """
        item = self.item()
        self.wheel.set(item, 1.7)
        self.assertEqual(len(self.wheel), 1)
        self.clock.pump([0.1] * 16)
        self.assertEqual(item.times, [])
        self.clock.pump([0.1] * 30)
        self.assertEqual(len(item.times), 1)
        self.assertTrue(1.7 <= item.times[0] <= 2.2 + 1e-6, item.times)
        self.assertEqual(item.timerSlot, NOT_SET)
        self.assertIdle()

    def test_oneDelayedCallForAll(self) -> None:
        """
        The clock has one delayed call for any number of items.
        """
        for tenth in range(100):
            self.wheel.set(self.item(), tenth / 10)
        self.assertEqual(len(self.wheel), 100)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(10)
        self.assertIdle()

    def test_doesNotCallCleared(self) -> None:
        """
        A cleared item is not called, and the others are.
        """
        first, second = self.item(), self.item()
        self.wheel.set(first, 1)
        self.wheel.set(second, 1)
        self.wheel.clear(first)
        self.assertEqual((len(self.wheel), first.timerSlot), (1, NOT_SET))
        self.clock.advance(1)
        self.assertEqual((first.times, second.times), ([], [1.0]))
        self.assertIdle()

    def test_clearingLastCancelsCall(self) -> None:
        """
        When the last item is cleared, the delayed call is cancelled.  The next
        item that is set has one again.
        """
        item = self.item()
        self.wheel.set(item, 1)
        self.wheel.clear(item)
        self.assertIdle()
        self.wheel.set(item, 2)
        self.clock.advance(2)
        self.assertEqual(item.times, [2.0])
        self.assertIdle()

    def test_clearUnset(self) -> None:
        """
        Clearing an item that does not wait does nothing.
        """
        item, other = self.item(), self.item()
        self.wheel.set(other, 1)
        self.wheel.clear(item)
        self.assertEqual(len(self.wheel), 1)

    def test_setReplacesTime(self) -> None:
        """
        An item that is set again waits for the new time only, later or
        earlier.
        """
        later, earlier = self.item(), self.item()
        self.wheel.set(later, 1)
        self.wheel.set(later, 3)
        self.wheel.set(earlier, 3)
        self.wheel.set(earlier, 1)
        self.assertEqual(len(self.wheel), 2)
        self.clock.pump([0.5] * 8)
        self.assertEqual((later.times, earlier.times), ([3.0], [1.0]))
        self.assertIdle()

    def test_setByKeepsEarlierTime(self) -> None:
        """
        C{setBy} sets an item that is not set or set to a later time, and
        leaves one that is set to an earlier time.
        """
        unset, early, late = self.item(), self.item(), self.item()
        self.wheel.set(early, 1)
        self.wheel.set(late, 3)
        self.clock.advance(0.5)
        for item in (unset, early, late):
            self.wheel.setBy(item, 2.0)
        self.assertEqual(len(self.wheel), 3)
        self.clock.pump([0.5] * 8)
        self.assertEqual((unset.times, early.times, late.times), ([2.0], [1.0], [2.0]))
        self.assertIdle()

    def test_setByPastCallsAtOnce(self) -> None:
        """
        C{setBy} with a time in the past has the item called at once.
        """
        item = self.item()
        self.clock.advance(5)
        self.wheel.setBy(item, 1.0)
        self.clock.advance(0)
        self.assertEqual(item.times, [5.0])

    def test_negativeDelayCallsAtOnce(self) -> None:
        """
        An item with a negative delay is called in the next turn of the
        reactor, not within C{set}.
        """
        item = self.item()
        self.wheel.set(item, -100)
        self.assertEqual(item.times, [])
        self.clock.advance(0)
        self.assertEqual(item.times, [0.0])

    def test_setsItselfWithinCall(self) -> None:
        """
        An item that sets itself to now, from within its call, is called again
        after the resolution, not for ever in the same turn.
        """
        item = self.item(lambda: self.wheel.set(item, 0))
        self.wheel.set(item, 1)
        self.clock.pump([0.5] * 4)
        self.assertEqual(item.times, [1.0, 1.5, 2.0])
        self.assertEqual(len(self.wheel), 1)

    def test_setsItselfWhenClockJumped(self) -> None:
        """
        When the clock has jumped over several slots, an item that sets itself
        again does not keep the items that are due from being called.
        """
        times = []

        def again() -> None:
            times.append(self.clock.seconds())
            if len(times) == 1:
                self.wheel.set(first, 1)

        first = self.item(again)
        others = [self.item() for _ in range(4)]
        self.wheel.set(first, 1)
        for delay, other in zip((1.5, 2, 2.5, 4), others, strict=True):
            self.wheel.set(other, delay)
        self.clock.advance(3)
        self.assertEqual([other.times for other in others], [[3.0], [3.0], [3.0], []])
        self.wheel.clear(others[3])
        self.clock.advance(1)
        self.assertEqual(times, [3.0, 4.0])
        self.assertIdle()

    def test_setsOtherWithinCall(self) -> None:
        """
        An item may set another one from within its call, also to a time that
        is past.
        """
        other = self.item()
        item = self.item(lambda: self.wheel.set(other, -5))
        self.wheel.set(item, 1)
        self.wheel.set(other, 30)
        self.clock.advance(1)
        self.clock.advance(0.5)
        self.assertEqual(other.times, [1.5])
        self.assertIdle()

    def test_clearsOthersWithinCall(self) -> None:
        """
        An item may clear others from within its call, which are not called
        then: one in the same slot, one in another slot that is due, and one in
        a slot to come.
        """
        items: list[Item] = []

        def clear() -> None:
            for each in items:
                self.wheel.clear(each)

        items = [self.item(clear) for _ in range(4)]
        for delay, item in zip((1, 1, 2, 9), items, strict=True):
            self.wheel.set(item, delay)
        self.clock.advance(2)
        self.assertEqual([len(item.times) for item in items[2:]], [0, 0])
        self.assertEqual(len(items[0].times) + len(items[1].times), 1)
        self.assertIdle()

    def test_clearsAndSetsWithinCall(self) -> None:
        """
        An item that is the last to wait, and is cleared and set again from
        within a call, waits.
        """
        last = self.item()

        def then() -> None:
            self.wheel.clear(last)
            self.wheel.set(last, 1)

        item = self.item(then)
        self.wheel.set(item, 1)
        self.wheel.set(last, 1.5)
        self.clock.pump([1, 0.5, 0.5])
        self.assertEqual(last.times, [2.0])
        self.assertIdle()

    def test_logsFailureAndGoesOn(self) -> None:
        """
        An exception of one item is logged, and the other items are called.
        """

        def fail() -> None:
            raise ZeroDivisionError

        items = [self.item(), self.item(fail), self.item(), self.item(fail), self.item()]
        for item in items:
            self.wheel.set(item, 1)
        self.wheel.set(items[4], 1.5)
        self.clock.advance(2)
        self.assertEqual([len(item.times) for item in items], [1] * 5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertIdle()

    def test_keepsDueWhenInterrupted(self) -> None:
        """
        When a call raises C{KeyboardInterrupt}, the other items that are due
        are called in the next turn.
        """

        def end() -> None:
            raise KeyboardInterrupt

        items = [self.item(end), self.item()]
        self.wheel.set(items[0], 1)
        self.wheel.set(items[1], 1.5)
        self.assertRaises(KeyboardInterrupt, self.clock.advance, 2)
        self.clock.advance(0)
        self.assertEqual(items[1].times, [2.0])
        self.assertIdle()

    def test_survivesClockSetBack(self) -> None:
        """
        When the clock is set back, an item that is set afterwards is called
        by the new time.
        """
        item = self.item()
        self.wheel.set(item, 3600)
        self.clock.advance(3600)
        self.clock.rightNow = 10.0
        self.wheel.set(item, 1)
        self.clock.advance(1)
        self.assertEqual(item.times, [3600.0, 11.0])

    def test_costIsLinear(self) -> None:
        """
        The cost of calling all items of one slot is proportional to their
        number.
        """

        def cost(count: int) -> float:
            for _ in range(count):
                self.wheel.set(self.item(), 1)
            start = thread_time()
            self.clock.advance(1)
            return thread_time() - start

        cost(1000)
        self.assertLess(min(cost(32000) for _ in range(3)), 60 * min(cost(2000) for _ in range(5)))

    def test_manyInParts(self) -> None:
        """
        Of very many items that are due in one moment each turn calls as many as there is
        time for, and others have their turn in between; items may be set and cleared
        meanwhile.
        """
        clock = TurnClock()
        wheel = TimerWheel(clock, 0.5)

        def spend() -> None:
            clock.rightNow += SHARE / 3.5

        items = [Item(clock, spend) for _ in range(20)]
        for each in items:
            wheel.set(each, 1.0)
        clock.rightNow = 1.5
        called = []
        while clock.getDelayedCalls() and clock.getDelayedCalls()[0].getTime() <= clock.rightNow:
            clock.turn()
            called.append(sum(len(each.times) for each in items))
            if len(called) == 1:
                cleared, moved = [each for each in items if not each.times][:2]
                wheel.clear(cleared)
                wheel.set(moved, 5.0)
        self.assertEqual(called, [4, 8, 12, 16, 18])
        self.assertEqual((cleared.times, moved.times, len(wheel)), ([], [], 1))
        clock.rightNow = 7.0
        clock.turn()
        self.assertEqual((len(moved.times), len(wheel)), (1, 0))


class MemoryTests(SynchronousTestCase):
    """
    The memory of a L{TimerWheel} for items that were cleared.
    """

    COUNT = 100_000

    def setUp(self) -> None:
        """
        Make a wheel.
        """
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock, 0.5)

    def spent(self, churn: Callable[[], None]) -> int:
        """
        Return how many bytes more are taken after a function was called.
        """
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            churn()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return after - before

    def churn(self, delay: Callable[[int], float], waiting: int) -> Callable[[], None]:
        """
        Make a function that sets many items, each of which is cleared when some
        others were set after it.
        """

        def churn() -> None:
            items: deque[Item] = deque()
            for number in range(self.COUNT):
                item = Item(self.clock)
                self.wheel.set(item, delay(number))
                items.append(item)
                if len(items) > waiting:
                    self.wheel.clear(items.popleft())
            for item in items:
                self.wheel.clear(item)

        return churn

    def test_oneSlot(self) -> None:
        """
        Items that are cleared long before their common time leave nothing.
        """
        keeper = Item(self.clock)
        self.wheel.set(keeper, 300)
        self.assertLess(self.spent(self.churn(lambda number: 300, 99)), 200_000)
        self.wheel.clear(keeper)

    def test_manySlots(self) -> None:
        """
        Items whose times are all different leave nothing.
        """
        keeper = Item(self.clock)
        self.wheel.set(keeper, 1e6)
        self.assertLess(self.spent(self.churn(lambda number: number, 99)), 200_000)
        self.wheel.clear(keeper)

    def test_itemsThatAreSetAgain(self) -> None:
        """
        Items that are set to a later time again and again leave nothing.
        """
        items = [Item(self.clock) for _ in range(10)]

        def churn() -> None:
            for number in range(self.COUNT):
                self.wheel.set(items[number % 10], 300 + number)

        self.assertLess(self.spent(churn), 200_000)

    def test_keepsTimesWhenRebuilt(self) -> None:
        """
        Items that wait while many others are cleared are called in time.
        """
        items = [Item(self.clock) for _ in range(20)]
        for number, item in enumerate(items):
            self.wheel.set(item, 1 + number)
        self.churn(lambda number: 5 + number % 7, 0)()
        self.clock.pump([0.5] * 50)
        self.assertEqual([each.times for each in items], [[1.0 + n] for n in range(20)])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RoundingTests(SynchronousTestCase):
    """
    L{TimerWheel} with times that are not exact in binary.
    """

    def test_callsInTimeToday(self) -> None:
        """
        With the clock of today an item is called in time, by one delayed call
        that is not set again and again.
        """
        clock = Clock()
        clock.rightNow = TODAY
        wheel = TimerWheel(clock)
        for hundredth in range(1, 300):
            item = Item(clock)
            asked = clock.seconds() + hundredth / 100
            wheel.set(item, hundredth / 100)
            [call] = clock.getDelayedCalls()
            clock.advance(call.getTime() - clock.seconds())
            clock.advance(1e-6)
            self.assertEqual(len(item.times), 1, f"{hundredth} hundredths")
            self.assertTrue(-1e-6 <= item.times[0] - asked <= 0.1 + 1e-6, item.times[0] - asked)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_callsAtRoundedTime(self) -> None:
        """
        The item is called when the clock shows exactly the rounded time of the
        delayed call.
        """
        clock = Clock()
        for start in (0.228, 0.886361705805554, 33.72834390560039, TODAY):
            for hundredth in range(1, 1000):
                wheel = TimerWheel(clock)
                clock.rightNow = start
                item = Item(clock)
                wheel.set(item, hundredth / 100)
                [call] = clock.getDelayedCalls()
                assert isinstance(call, DelayedCall)
                # Clock.advance would loop for ever if this failed.
                turn = call.func
                clock.rightNow = call.getTime()
                call.cancel()
                turn()
                self.assertEqual(len(item.times), 1, f"{hundredth} hundredths after {start}")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 4), st.integers(-2, 40)),
        st.tuples(st.just("clear"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("advance"), st.just(0), st.integers(0, 25)),
    ),
    max_size=40,
)


class ModelTests(SynchronousTestCase):
    """
    L{TimerWheel} compared with a table of when each item is due.
    """

    @settings(deadline=None, max_examples=300)
    @given(steps, st.lists(st.none() | st.integers(0, 20), min_size=5, max_size=5))
    def test_behavesAsTable(
        self, steps: list[tuple[str, int, int]], again: list[int | None]
    ) -> None:
        """
        After any series of C{set}, C{clear} and time, with items that set
        themselves again: no item is called early, every item that is due since
        the resolution was called, and the clock has a delayed call exactly
        while an item waits.

        All times are in eighths of a second; the resolution is four of them.
        """
        clock = Clock()
        wheel = TimerWheel(clock, 0.5)
        due: dict[int, float] = {}
        items = [self.item(clock, wheel, due, index, again[index]) for index in range(5)]
        for kind, index, eighths in steps:
            if kind == "set":
                wheel.set(items[index], eighths / 8)
                due[index] = clock.seconds() + max(eighths, 0) / 8
            elif kind == "clear":
                wheel.clear(items[index])
                due.pop(index, None)
            else:
                clock.advance(eighths / 8)
                now = clock.seconds()
                late = [index for index, time in due.items() if time + 0.5 < now]
                self.assertEqual(late, [])
            self.assertEqual(len(wheel), len(due))
            self.assertEqual(len(clock.getDelayedCalls()), 1 if due else 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def item(
        self, clock: Clock, wheel: TimerWheel, due: dict[int, float], index: int, again: int | None
    ) -> Item:
        """
        Make an item that fails if it is called before it is due, and sets
        itself again.
        """

        def then() -> None:
            self.assertGreaterEqual(clock.seconds(), due.pop(index))
            if again is not None:
                wheel.set(item, again / 8)
                due[index] = clock.seconds() + again / 8

        item = Item(clock, then)
        return item
