"""
Tests of L{comet.reactor.clocks}.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

import comet
from comet.reactor.clocks import SteadyClock, followsWallTime, keepSteadyTime, steadyClock

HOUR = 3600.0


def guards() -> list[threading.Thread]:
    """
    Return the threads of guards.
    """
    return [each for each in threading.enumerate() if each.name == "comet-clock"]


class Reactor(Clock):
    """
    A reactor whose clock a test sets, and that does not run: no guard begins.
    """

    def callWhenRunning(self, call: Callable[..., object], *args: object) -> None:
        """
        Never call it.
        """


class SteadyClockTests(SynchronousTestCase):
    """
    L{SteadyClock} over a reactor whose clock is set.
    """

    def setUp(self) -> None:
        """
        Make a clock and a call of it.
        """
        self.wall = Reactor()
        self.wall.rightNow = 1e9
        self.true = Clock()
        self.clock = SteadyClock(self.wall, self.true.seconds)
        self.calls: list[tuple[object, ...]] = []
        self.call = self.clock.callLater(
            10, lambda *args, **kw: self.calls.append((*args, kw)), 1, two=2
        )

    def spend(self, seconds: float) -> None:
        """
        Let some time pass, on both clocks.
        """
        self.true.advance(seconds)
        self.wall.advance(seconds)

    def assertMadeOnce(self) -> None:
        """
        Assert that the call was made once, and that nothing is left.
        """
        self.assertEqual(self.calls, [(1, {"two": 2})])
        self.assertFalse(self.call.active())
        self.assertEqual(self.wall.getDelayedCalls(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_interfaces(self) -> None:
        """
        The clock and its calls provide what those of a reactor provide.
        """
        verifyObject(IReactorTime, self.clock)
        verifyObject(IDelayedCall, self.call)
        self.assertEqual(self.clock.getDelayedCalls(), [self.call])
        self.assertEqual((self.call.getTime(), self.clock.seconds()), (10.0, 0.0))

    def test_callsInTime(self) -> None:
        """
        While the clocks agree, a call is made when its time has come.
        """
        self.spend(9.9)
        self.assertEqual(self.calls, [])
        self.spend(0.1)
        self.assertMadeOnce()

    def test_setForward(self) -> None:
        """
        A call is not made before its time when the reactor's clock is set
        forward.
        """
        self.wall.advance(2 * HOUR)
        self.spend(9.9)
        self.assertEqual(self.calls, [])
        self.spend(0.1)
        self.assertMadeOnce()

    def test_setBack(self) -> None:
        """
        A call is made in its time when the reactor's clock is set back, and the
        guard has noticed.
        """
        self.spend(4)
        self.wall.rightNow -= HOUR
        self.clock._stepped()
        self.spend(5.9)
        self.assertEqual(self.calls, [])
        self.spend(0.1)
        self.assertMadeOnce()

    def test_setBackOverdue(self) -> None:
        """
        A call whose time has come before the guard noticed is made then.
        """
        self.wall.rightNow -= HOUR
        self.spend(11)
        self.assertEqual(self.calls, [])
        self.clock._stepped()
        self.spend(0)
        self.assertMadeOnce()

    def test_cancel(self) -> None:
        """
        A cancelled call is not made, and cannot be changed any more.
        """
        self.call.cancel()
        self.assertFalse(self.call.active())
        self.assertEqual(self.wall.getDelayedCalls(), [])
        self.assertRaises(AlreadyCancelled, self.call.cancel)
        self.assertRaises(AlreadyCancelled, self.call.reset, 1)
        self.assertRaises(AlreadyCancelled, self.call.delay, 1)
        self.clock._stepped()
        self.spend(20)
        self.assertEqual(self.calls, [])

    def test_calledCannotBeChanged(self) -> None:
        """
        A call that was made cannot be cancelled or put off.
        """
        self.spend(10)
        self.assertRaises(AlreadyCalled, self.call.cancel)
        self.assertRaises(AlreadyCalled, self.call.reset, 1)

    def test_resetAndDelay(self) -> None:
        """
        A call may be set to another time, and be put off.
        """
        self.spend(5)
        self.call.reset(2)
        self.assertEqual(self.call.getTime(), 7.0)
        self.call.delay(3)
        self.assertEqual(self.call.getTime(), 10.0)
        self.spend(4.9)
        self.assertEqual(self.calls, [])
        self.spend(0.1)
        self.assertMadeOnce()


class ChoiceTests(SynchronousTestCase):
    """
    L{steadyClock}, L{followsWallTime} and L{keepSteadyTime}.
    """

    def reactor(self) -> Any:
        """
        Make a reactor that does not run.
        """
        reactor = SelectReactor()
        self.addCleanup(reactor.disconnectAll)
        return reactor

    def test_keepsClocksOfTests(self) -> None:
        """
        A clock that a test advances is taken as it is.
        """
        for clock in (Clock(), MemoryReactorClock()):
            self.assertIs(steadyClock(clock), clock)

    def test_sharesOneClock(self) -> None:
        """
        All who ask for the clock of one reactor get the same one, and it is its
        own clock.
        """
        one, other = self.reactor(), self.reactor()
        clock = steadyClock(one)
        self.assertIsInstance(clock, SteadyClock)
        self.assertIs(steadyClock(one), clock)
        self.assertIs(steadyClock(clock), clock)
        self.assertIsNot(steadyClock(other), clock)
        self.assertTrue(followsWallTime(one))

    def test_reactorKeepsSteadyTime(self) -> None:
        """
        A reactor that was made to keep steady time needs no clock before it.
        """
        reactor = self.reactor()
        keepSteadyTime(reactor)
        self.assertIs(reactor.seconds, time.monotonic)
        self.assertFalse(followsWallTime(reactor))
        self.assertIs(steadyClock(reactor), reactor)
        call = reactor.callLater(5, lambda: None)
        self.assertLess(abs(call.getTime() - time.monotonic()), 60)

    def test_leavesReactorWithCalls(self) -> None:
        """
        A reactor that has scheduled a call already is left as it is.
        """
        reactor = self.reactor()
        call = reactor.callLater(5, lambda: None)
        keepSteadyTime(reactor)
        self.assertTrue(followsWallTime(reactor))
        call.cancel()

    def test_leavesOthers(self) -> None:
        """
        What is no reactor is left as it is.
        """
        clock = Clock()
        keepSteadyTime(clock)
        self.assertEqual(clock.seconds(), 0.0)


class GuardTests(TestCase):
    """
    The guard of a L{SteadyClock} over the reactor that runs.
    """

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """
        Make a clock over the reactor, with a clock that this test sets.

        @return: Fires when the reactor runs.
        """
        from twisted.internet import reactor

        self.ahead = 0.0
        assert isinstance(reactor, ReactorBase)
        self.assertTrue(IReactorFromThreads.providedBy(reactor))
        self.patch(reactor, "seconds", lambda: time.time() + self.ahead)
        self.clock = SteadyClock(reactor)
        running: Deferred[None] = Deferred()
        reactor.callWhenRunning(running.callback, None)
        return running

    async def until(self, isSo: Callable[[], object]) -> None:
        """
        Wait until a condition is true.
        """
        for _ in range(2000):
            if isSo():
                return
            turned: Deferred[None] = Deferred()
            threading.Timer(
                0.01, self.clock._reactor.callFromThread, (turned.callback, None)
            ).start()
            await turned
        self.fail("the condition has not come true")

    async def test_noticesStep(self) -> None:
        """
        When the clock of the reactor is set back by an hour, a call is made
        nevertheless, and then the guard has ended.
        """
        made: list[float] = []
        before = time.monotonic()
        self.clock.callLater(0.5, lambda: made.append(time.monotonic() - before))
        self.assertEqual(len(guards()), 1)
        self.ahead = -HOUR
        await self.until(lambda: made)
        self.assertGreater(made[0], 0.49)
        await self.until(lambda: not guards())
        self.ahead = 0.0

    async def test_endsWithLastCall(self) -> None:
        """
        There is a guard exactly while calls wait.
        """
        calls = [self.clock.callLater(60, lambda: None) for _ in range(3)]
        self.assertEqual(len(guards()), 1)
        calls.pop().cancel()
        self.assertEqual(len(guards()), 1)
        for call in calls:
            call.cancel()
        await self.until(lambda: not guards())
        call = self.clock.callLater(60, lambda: None)
        self.assertEqual(len(guards()), 1)
        call.cancel()
        await self.until(lambda: not guards())


class SourceTests(SynchronousTestCase):
    """
    The modules of comet.
    """

    # What is a time of the day: of messages, of responses, of reports that people
    # see, and of credentials, which others have dated.
    DATED = frozenset(
        {
            "bus/memory/bus",
            "bus/sqlite/bus",
            "client/clientcore",
            "client/credential",
            "command/tokencommands",
            "http/http1",
            "hub/readership",
            "logging/accesslog",
            "server/backend",
            "server/demo/visits",
            "server/verifier",
        }
    )

    def modules(self) -> Iterator[tuple[str, str]]:
        """
        Yield the name of each module, and its source.
        """
        root = Path(comet.__file__).parent
        for path in root.rglob("*.py"):
            name = str(path.relative_to(root).with_suffix(""))
            if name != "reactor/clocks":
                yield name, path.read_text()

    def test_noTimerOfReactor(self) -> None:
        """
        No module asks a reactor for the time, or schedules a call on it: all
        have a steady clock.
        """
        timer = re.compile(r"reactor\.(seconds|callLater)|(addTimeout|deferLater)\([^)]*reactor")
        found = [name for name, source in self.modules() if timer.search(source)]
        self.assertEqual(found, [])

    def test_timeOfDay(self) -> None:
        """
        Only modules that date something ask for the time of the day.
        """
        found = {name for name, source in self.modules() if re.search(r"\btime\.time\b", source)}
        self.assertEqual(found, self.DATED)
