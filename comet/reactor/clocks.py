"""
A clock that goes on when the clock of the system is set.

A reactor of Twisted's tells the time of the system (C{time.time}), and schedules
its delayed calls by it.  When an operator, NTP or a virtual machine sets that
time back by an hour, each delayed call comes an hour late; when it is set
forward, all come at once.

C{twistd comet} owns its process, and makes the reactor itself L{keep steady
time<keepSteadyTime>}.  Within an application comet leaves the reactor as it is,
and puts a L{SteadyClock} before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final
from weakref import WeakValueDictionary

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.python.runtime import seconds as wallSeconds
from zope.interface import implementer

# How often the guard compares the two clocks, in seconds.
LOOK_SECONDS: Final = 1.0

# By how many seconds the clocks have to differ from before for it to be a step:
# more than what NTP gains by slewing between two looks.
STEP_SECONDS: Final = 0.05

# A call that comes this much early is not put off again, in seconds.
_EARLY: Final = 0.001

# So that all parts of an application share one clock, and one guard.
_clocks: WeakValueDictionary[Any, SteadyClock] = WeakValueDictionary()


def steadyClock(clock: IReactorTime) -> IReactorTime:
    """
    Return a clock that goes on when the time of the system is set.

    @param clock: A reactor, or a clock of any kind.

    @return: The same clock, if it does not follow the time of the system:
        a clock of a test, or a reactor that L{keeps steady
        time<keepSteadyTime>}.  Otherwise a L{SteadyClock} over it, the same one
        for each caller.
    """
    if not followsWallTime(clock):
        return clock
    steady: SteadyClock | None = _clocks.get(clock)
    if steady is None:
        steady = _clocks[clock] = SteadyClock(clock)
    return steady


def followsWallTime(clock: object) -> bool:
    """
    Tell whether a clock is a reactor whose time is that of the system.
    """
    isReactor = IReactorFromThreads.providedBy(clock)
    return isReactor and getattr(clock, "seconds", None) is wallSeconds


def keepSteadyTime(reactor: Any) -> None:
    """
    Make a reactor measure time by C{time.monotonic}: for Twisted's own
    timers too.  Only who owns the process may do that.

    A reactor that has scheduled a call already is left as it is, since the time
    of that call is one of the system's.
    """
    if followsWallTime(reactor) and not reactor.getDelayedCalls():
        reactor.seconds = monotonic


@implementer(IReactorTime)
class SteadyClock:
    """
    Schedules calls on a reactor whose clock may be set, and measures their
    delays by C{time.monotonic}.

    A call that comes early, since the reactor's clock was set forward, is put
    off.  When that clock was set back, the reactor sleeps on; so while a call is
    scheduled, a thread, the guard, compares the two clocks every
    L{LOOK_SECONDS}, and has all calls scheduled anew after a step.  A call is
    late by that time at most, once for each step.

    @ivar seconds: Returns the time, in seconds from any moment.
    """

    def __init__(self, reactor: Any, seconds: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self._reactor = reactor
        self._calls: dict[SteadyCall, None] = {}
        self._guard: threading.Event | None = None

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> IDelayedCall:
        """
        See L{IReactorTime.callLater}.
        """
        return SteadyCall(self, self._reactor, delay, lambda: callable(*args, **kw))

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        See L{IReactorTime.getDelayedCalls}.
        """
        return list(self._calls)

    def scheduled(self, call: SteadyCall) -> None:
        """
        Count a call that waits.
        """
        self._calls[call] = None
        if self._guard is None:
            self._guard = ended = threading.Event()
            # A thread does not survive the fork of a daemon, which comes before
            # the reactor runs.
            self._reactor.callWhenRunning(self._watch, ended)

    def settled(self, call: SteadyCall) -> None:
        """
        Count a call no more: it is made, or cancelled.
        """
        del self._calls[call]
        if not self._calls and self._guard is not None:
            self._guard.set()
            self._guard = None

    def _watch(self, ended: threading.Event) -> None:
        if not ended.is_set():
            # A daemon: a process whose reactor is gone can still end.
            threading.Thread(
                target=self._look, args=(ended,), name="comet-clock", daemon=True
            ).start()

    def _look(self, ended: threading.Event) -> None:
        """
        Compare the clocks again and again.  Called in the thread of the guard.
        """
        ahead = self._reactor.seconds() - self.seconds()
        while not ended.wait(LOOK_SECONDS):
            now = self._reactor.seconds() - self.seconds()
            if abs(now - ahead) > STEP_SECONDS:
                ahead = now
                self._reactor.callFromThread(self._stepped)

    def _stepped(self) -> None:
        """
        The clock of the reactor was set: schedule all calls anew.
        """
        for call in list(self._calls):
            call.reschedule()


@implementer(IDelayedCall)
class SteadyCall:
    """
    A call that a L{SteadyClock} has scheduled.
    """

    __slots__ = ("_call", "_clock", "_due", "_inner", "_isCalled", "_reactor")

    def __init__(
        self, clock: SteadyClock, reactor: Any, delay: float, call: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._reactor = reactor
        self._call: Callable[[], object] | None = call
        self._isCalled = False
        self._due = clock.seconds() + delay
        self._inner: IDelayedCall = reactor.callLater(delay, self._come)
        clock.scheduled(self)

    def _come(self) -> None:
        """
        The reactor calls, perhaps early.
        """
        left = self._due - self._clock.seconds()
        if left > _EARLY:
            self._inner = self._reactor.callLater(left, self._come)
            return
        call, self._call = self._call, None
        self._isCalled = True
        self._clock.settled(self)
        assert call is not None
        call()

    def reschedule(self) -> None:
        """
        Schedule the call on the reactor for the time that is left.
        """
        if self._inner.active():
            self._inner.cancel()
        left = max(self._due - self._clock.seconds(), 0.0)
        self._inner = self._reactor.callLater(left, self._come)

    def _check(self) -> None:
        if self._isCalled:
            raise AlreadyCalled
        if self._call is None:
            raise AlreadyCancelled

    def getTime(self) -> float:
        """
        See L{IDelayedCall.getTime}.
        """
        return self._due

    def cancel(self) -> None:
        """
        See L{IDelayedCall.cancel}.
        """
        self._check()
        self._call = None
        self._inner.cancel()
        self._clock.settled(self)

    def delay(self, secondsLater: float) -> None:
        """
        See L{IDelayedCall.delay}.
        """
        self._check()
        self._due += secondsLater
        self.reschedule()

    def reset(self, secondsFromNow: float) -> None:
        """
        See L{IDelayedCall.reset}.
        """
        self._check()
        self._due = self._clock.seconds() + secondsFromNow
        self.reschedule()

    def active(self) -> bool:
        """
        See L{IDelayedCall.active}.
        """
        return self._call is not None
