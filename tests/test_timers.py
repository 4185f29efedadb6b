"""
Tests for L{comet.timers}.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.timers import NOT_SET, TimerWheel

# 2026, as a reactor tells it: so large that a tenth of a second is not exact.
TODAY = 1767225600.123


class Thing:
    """
    Something that waits, and notes when its time had come.
    """

    def __init__(self, clock: Clock, then: Callable[[], object] = lambda: None) -> None:
        self.moment = NOT_SET
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
    L{TimerWheel}, by examples: its resolution is half a second.
    """

    def setUp(self) -> None:
        """
        Make a wheel.
        """
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock, 0.5)

    def thing(self, then: Callable[[], object] = lambda: None) -> Thing:
        """
        Something that does this when its time has come.
        """
        return Thing(self.clock, then)

    def assertIdle(self) -> None:
        """
        Assert that nothing waits, and that nothing is left on the clock.
        """
        self.assertEqual(len(self.wheel), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timedOut(self) -> None:
        """
        A thing is called once, not early, and late by at most the resolution.
        """
        thing = self.thing()
        self.wheel.set(thing, 1.7)
        self.assertEqual(len(self.wheel), 1)
        self.clock.pump([0.1] * 16)
        self.assertEqual(thing.times, [])
        self.clock.pump([0.1] * 30)
        self.assertEqual(len(thing.times), 1)
        self.assertTrue(1.7 <= thing.times[0] <= 2.2 + 1e-6, thing.times)
        self.assertEqual(thing.moment, NOT_SET)
        self.assertIdle()

    def test_oneTimer(self) -> None:
        """
        However many wait, the clock has one timer.
        """
        for tenth in range(100):
            self.wheel.set(self.thing(), tenth / 10)
        self.assertEqual(len(self.wheel), 100)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(10)
        self.assertIdle()

    def test_clear(self) -> None:
        """
        What is cleared is not called; the others are.
        """
        first, second = self.thing(), self.thing()
        self.wheel.set(first, 1)
        self.wheel.set(second, 1)
        self.wheel.clear(first)
        self.assertEqual((len(self.wheel), first.moment), (1, NOT_SET))
        self.clock.advance(1)
        self.assertEqual((first.times, second.times), ([], [1.0]))
        self.assertIdle()

    def test_clearLast(self) -> None:
        """
        With the last that waits, the timer goes; and comes again.
        """
        thing = self.thing()
        self.wheel.set(thing, 1)
        self.wheel.clear(thing)
        self.assertIdle()
        self.wheel.set(thing, 2)
        self.clock.advance(2)
        self.assertEqual(thing.times, [2.0])
        self.assertIdle()

    def test_clearTwice(self) -> None:
        """
        To clear what does not wait does nothing.
        """
        thing, other = self.thing(), self.thing()
        self.wheel.set(other, 1)
        self.wheel.clear(thing)
        self.assertEqual(len(self.wheel), 1)

    def test_setAgain(self) -> None:
        """
        What is set again waits for the new moment only, be it later or
        earlier.
        """
        later, earlier = self.thing(), self.thing()
        self.wheel.set(later, 1)
        self.wheel.set(later, 3)
        self.wheel.set(earlier, 3)
        self.wheel.set(earlier, 1)
        self.assertEqual(len(self.wheel), 2)
        self.clock.pump([0.5] * 8)
        self.assertEqual((later.times, earlier.times), ([3.0], [1.0]))
        self.assertIdle()

    def test_setBy(self) -> None:
        """
        What is to come until a time comes then, if it does not come earlier in
        any case; what would come later does not.
        """
        unset, early, late = self.thing(), self.thing(), self.thing()
        self.wheel.set(early, 1)
        self.wheel.set(late, 3)
        self.clock.advance(0.5)
        for thing in (unset, early, late):
            self.wheel.setBy(thing, 2.0)
        self.assertEqual(len(self.wheel), 3)
        self.clock.pump([0.5] * 8)
        self.assertEqual((unset.times, early.times, late.times), ([2.0], [1.0], [2.0]))
        self.assertIdle()

    def test_setByPast(self) -> None:
        """
        If that time is over, it comes at once.
        """
        thing = self.thing()
        self.clock.advance(5)
        self.wheel.setBy(thing, 1.0)
        self.clock.advance(0)
        self.assertEqual(thing.times, [5.0])

    def test_pastDelay(self) -> None:
        """
        What should have been long ago comes at once, not before it was asked
        for.
        """
        thing = self.thing()
        self.wheel.set(thing, -100)
        self.assertEqual(thing.times, [])
        self.clock.advance(0)
        self.assertEqual(thing.times, [0.0])

    def test_setWithin(self) -> None:
        """
        A thing may be set again from within its call, for now too: then it
        comes after the resolution, not in a circle.
        """
        thing = self.thing(lambda: self.wheel.set(thing, 0))
        self.wheel.set(thing, 1)
        self.clock.pump([0.5] * 4)
        self.assertEqual(thing.times, [1.0, 1.5, 2.0])
        self.assertEqual(len(self.wheel), 1)

    def test_setWithinWhenLate(self) -> None:
        """
        When the clock has jumped over several moments, what is set from within
        a call harms none of those that are due.
        """
        times = []

        def again() -> None:
            times.append(self.clock.seconds())
            if len(times) == 1:
                self.wheel.set(first, 1)

        first = self.thing(again)
        others = [self.thing() for _ in range(4)]
        self.wheel.set(first, 1)
        for delay, other in zip((1.5, 2, 2.5, 4), others, strict=True):
            self.wheel.set(other, delay)
        self.clock.advance(3)
        self.assertEqual([other.times for other in others], [[3.0], [3.0], [3.0], []])
        self.wheel.clear(others[3])
        self.clock.advance(1)
        self.assertEqual(times, [3.0, 4.0])
        self.assertIdle()

    def test_setOtherWithin(self) -> None:
        """
        A thing may set another from within its call, to a moment that is past
        too.
        """
        other = self.thing()
        thing = self.thing(lambda: self.wheel.set(other, -5))
        self.wheel.set(thing, 1)
        self.wheel.set(other, 30)
        self.clock.advance(1)
        self.clock.advance(0.5)
        self.assertEqual(other.times, [1.5])
        self.assertIdle()

    def test_clearWithin(self) -> None:
        """
        A thing may clear others from within its call: one that is due at the
        same moment, one at another that has passed, and one to come.  Those
        are not called.
        """
        things: list[Thing] = []

        def clear() -> None:
            for each in things:
                self.wheel.clear(each)

        things = [self.thing(clear) for _ in range(4)]
        for delay, thing in zip((1, 1, 2, 9), things, strict=True):
            self.wheel.set(thing, delay)
        self.clock.advance(2)
        self.assertEqual([len(thing.times) for thing in things[2:]], [0, 0])
        self.assertEqual(len(things[0].times) + len(things[1].times), 1)
        self.assertIdle()

    def test_clearAndSetWithin(self) -> None:
        """
        When the last that waits is cleared from within a call, what is set
        after it in the same call waits.
        """
        last = self.thing()

        def then() -> None:
            self.wheel.clear(last)
            self.wheel.set(last, 1)

        thing = self.thing(then)
        self.wheel.set(thing, 1)
        self.wheel.set(last, 1.5)
        self.clock.pump([1, 0.5, 0.5])
        self.assertEqual(last.times, [2.0])
        self.assertIdle()

    def test_failure(self) -> None:
        """
        One that raises is logged, and does not keep the others from being
        called.
        """

        def fail() -> None:
            raise ZeroDivisionError

        things = [self.thing(), self.thing(fail), self.thing(), self.thing(fail), self.thing()]
        for thing in things:
            self.wheel.set(thing, 1)
        self.wheel.set(things[4], 1.5)
        self.clock.advance(2)
        self.assertEqual([len(thing.times) for thing in things], [1] * 5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertIdle()

    def test_interrupted(self) -> None:
        """
        When the process is told to end from within a call, those that were due
        are not lost: they come in the next turn.
        """

        def end() -> None:
            raise KeyboardInterrupt

        things = [self.thing(end), self.thing()]
        self.wheel.set(things[0], 1)
        self.wheel.set(things[1], 1.5)
        self.assertRaises(KeyboardInterrupt, self.clock.advance, 2)
        self.clock.advance(0)
        self.assertEqual(things[1].times, [2.0])
        self.assertIdle()

    def test_clockSetBack(self) -> None:
        """
        When the clock is set back, what is set afterwards does not wait for
        the time that was.
        """
        thing = self.thing()
        self.wheel.set(thing, 3600)
        self.clock.advance(3600)
        self.clock.rightNow = 10.0
        self.wheel.set(thing, 1)
        self.clock.advance(1)
        self.assertEqual(thing.times, [3600.0, 11.0])

    def test_manyAtOnce(self) -> None:
        """
        What it costs to call everything of one moment grows no faster than
        how many they are.
        """

        def cost(count: int) -> float:
            for _ in range(count):
                self.wheel.set(self.thing(), 1)
            start = perf_counter()
            self.clock.advance(1)
            return perf_counter() - start

        cost(1000)
        self.assertLess(min(cost(32000) for _ in range(3)), 60 * min(cost(2000) for _ in range(5)))


class RoundingTests(SynchronousTestCase):
    """
    L{TimerWheel} with the clock of today, and moments that are not exact in binary.
    """

    def test_today(self) -> None:
        """
        However the quotients are rounded, a thing is called in time, and the
        timer does not go in a circle.
        """
        clock = Clock()
        clock.rightNow = TODAY
        wheel = TimerWheel(clock)
        for hundredth in range(1, 300):
            thing = Thing(clock)
            asked = clock.seconds() + hundredth / 100
            wheel.set(thing, hundredth / 100)
            [call] = clock.getDelayedCalls()
            clock.advance(call.getTime() - clock.seconds())
            clock.advance(1e-6)
            self.assertEqual(len(thing.times), 1, f"{hundredth} hundredths")
            self.assertTrue(-1e-6 <= thing.times[0] - asked <= 0.1 + 1e-6, thing.times[0] - asked)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_exactly(self) -> None:
        """
        At the very moment of the timer, as it is rounded, the thing is called.
        """
        clock = Clock()
        for start in (0.228, 0.886361705805554, 33.72834390560039, TODAY):
            for hundredth in range(1, 1000):
                wheel = TimerWheel(clock)
                clock.rightNow = start
                thing = Thing(clock)
                wheel.set(thing, hundredth / 100)
                [call] = clock.getDelayedCalls()
                assert isinstance(call, DelayedCall)
                # Advancing would go in a circle, where this fails.
                turn = call.func
                clock.rightNow = call.getTime()
                call.cancel()
                turn()
                self.assertEqual(len(thing.times), 1, f"{hundredth} hundredths after {start}")


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
    L{TimerWheel} against a table of when each thing is due.
    """

    @settings(deadline=None, max_examples=300)
    @given(steps, st.lists(st.none() | st.integers(0, 20), min_size=5, max_size=5))
    def test_model(self, steps: list[tuple[str, int, int]], again: list[int | None]) -> None:
        """
        Whatever is set and cleared, and whatever sets itself again, nothing is
        called early, everything that is late by the resolution was called, and
        there is a timer exactly while something waits.

        All times are in eighths of a second; the resolution is four of them.
        """
        clock = Clock()
        wheel = TimerWheel(clock, 0.5)
        due: dict[int, float] = {}
        things = [self.thing(clock, wheel, due, index, again[index]) for index in range(5)]
        for kind, index, eighths in steps:
            if kind == "set":
                wheel.set(things[index], eighths / 8)
                due[index] = clock.seconds() + max(eighths, 0) / 8
            elif kind == "clear":
                wheel.clear(things[index])
                due.pop(index, None)
            else:
                clock.advance(eighths / 8)
                now = clock.seconds()
                late = [index for index, time in due.items() if time + 0.5 < now]
                self.assertEqual(late, [])
            self.assertEqual(len(wheel), len(due))
            self.assertEqual(len(clock.getDelayedCalls()), 1 if due else 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def thing(
        self, clock: Clock, wheel: TimerWheel, due: dict[int, float], index: int, again: int | None
    ) -> Thing:
        """
        A thing that must not be called before it is due, and sets itself again.
        """

        def then() -> None:
            self.assertGreaterEqual(clock.seconds(), due.pop(index))
            if again is not None:
                wheel.set(thing, again / 8)
                due[index] = clock.seconds() + again / 8

        thing = Thing(clock, then)
        return thing
