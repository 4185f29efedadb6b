"""
A thread that runs one call after the other, and hands the results to the
reactor.

The thread and the reactor share one interpreter.  The module C{sqlite3} gives it up two or three
times for each statement, and has to wait for it each time while the reactor is busy: thirty
times for a publication.  Where the reactor gives it up for each call of the system, and takes it
again at once, the thread may not get it for tenths of a second.  So in each turn the reactor
waits for the thread for a moment, in which the thread does what else would take it many turns.
While the thread waits for the disk (L{WorkerThread.rest}) that moment is shorter: just long
enough for it to wake.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

# For how many seconds of each turn the reactor waits for the thread: as long as a step of what
# it reads takes.
GIVEN: Final = 0.002

# For how many seconds at a time its results are delivered: to answer a client with a large
# page takes longer than to read the next one.
DELIVERING: Final = 0.002

# While the thread waits for the disk: how often the reactor looks whether it needs the
# interpreter again, and for how long, in seconds.  A system needs some 50 microseconds to wake
# a thread.
LOOK_EVERY: Final = 0.001
LOOK: Final = 0.0001

T = TypeVar("T")


@implementer(IReactorFromThreads)
class RunningReactor:
    """
    Stands for the reactor that will run, for a caller that must not import it
    yet.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """
        See L{IReactorFromThreads.callFromThread}.
        """
        from twisted.internet import reactor

        assert IReactorFromThreads.providedBy(reactor)
        reactor.callFromThread(callable, *args, **kwargs)


class _Thread(threading.Thread):
    """
    A daemon thread: a process that forgets to stop it can still end.  What it
    has not committed then is not stored, and no publisher was told that it is.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, daemon=True)


class _Pool(ThreadPool):
    threadFactory = _Thread


class _Job:
    """
    What the thread has to do.

    @ivar gate: Locked as long as the thread needs the interpreter for it.

    @ivar isOpen: Whether the gate is open.

    @ivar waking: Locked while the thread waits for the disk.
    """

    __slots__ = ("arguments", "done", "gate", "isOpen", "job", "waking")

    def __init__(self, job: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.job = job
        self.arguments = arguments
        self.done: Deferred[Any] = Deferred()
        self.waking = threading.Lock()
        self.close()

    def close(self) -> None:
        """
        Close the gate, or begin with it closed.
        """
        # Another lock: who has waited for the last one may not have released it yet.
        self.gate = threading.Lock()
        self.gate.acquire()
        self.isOpen = False

    def open(self) -> None:
        """
        Open the gate, if it is not open.
        """
        if not self.isOpen:
            self.isOpen = True
            self.gate.release()

    def awaitWaking(self) -> None:
        """
        Wait until the thread does not wait for the disk any more, but for a moment only.
        """
        if self.waking.acquire(timeout=LOOK):
            self.waking.release()


class WorkerThread:
    """
    One thread.  Every method is called from the reactor's thread, except for L{rest} and
    L{awaitRest}.

    @cvar given: For how many seconds of a turn the reactor waits for the thread.
    """

    given = GIVEN

    # What the thread does at this moment.
    _job: _Job | None = None

    def __init__(self, reactor: IReactorFromThreads, name: str, clock: IReactorTime) -> None:
        """
        @param reactor: The reactor in whose thread results arrive.

        @param name: The name of the thread.

        @param clock: Schedules looks at a thread that waits for the disk.
        """
        self._reactor = reactor
        self._clock = clock
        self._look: IDelayedCall | None = None
        self._pool = _Pool(1, 1, name)
        # What the thread has not done, in the order in which it does it, and the results
        # that have not arrived.
        self._jobs: deque[_Job] = deque()
        self._results: deque[tuple[_Job, Any]] = deque()
        self._isGivingWay = False
        self._isArriving = False

    def start(self) -> None:
        """
        Start the thread.  Called once.
        """
        self._pool.start()

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Call a function in the thread, after everything that was given to it
        before.

        @return: Fires with the result of the function, or fails with its
            exception.
        """
        given = _Job(job, arguments)
        self._jobs.append(given)
        self._pool.callInThread(self._run, given)
        self._giveWaySoon()
        return given.done

    def _run(self, given: _Job) -> None:
        """
        Do a job, in the thread.
        """
        self._job = given
        try:
            result = given.job(*given.arguments)
        except BaseException:
            result = Failure()
        self._results.append((given, result))
        given.open()
        self._arriveSoon()

    def rest(self) -> None:
        """
        Note that what the thread does next needs no interpreter, as it waits for the disk.
        Called in the thread, by what it does.
        """
        if self._job is not None:
            self._job.waking.acquire()
            self._job.open()

    def wake(self) -> None:
        """
        Note that the thread needs the interpreter again.  Called in the thread, after
        L{rest}.
        """
        if self._job is not None:
            self._job.close()
            self._job.waking.release()

    def awaitRest(self) -> None:
        """
        Wait until the thread rests, or is done with what it does, but for a moment only.
        Called in any other thread.
        """
        waiting = next((each for each in tuple(self._jobs) if not each.isOpen), None)
        if waiting is None:
            return
        gate = waiting.gate
        if gate.acquire(timeout=self.given):
            gate.release()

    def _arriveSoon(self) -> None:
        """
        Have results delivered.  Called in any thread.
        """
        if not self._isArriving:
            self._isArriving = True
            self._reactor.callFromThread(self._arrive)

    def _arrive(self) -> None:
        """
        Deliver the results that are there, and in another turn those for which there is no
        time in this one.
        """
        # First: a result that comes from now on has itself delivered.
        self._isArriving = False
        seconds = self._clock.seconds
        over = seconds() + DELIVERING
        while self._results:
            given, result = self._results.popleft()
            self._jobs.popleft()
            # With a failure, a Deferred fails.
            given.done.callback(result)
            if seconds() >= over and self._results:
                self._arriveSoon()
                break
        if self._look is not None and not self._jobs:
            self._look.cancel()
            self._look = None

    def _giveWaySoon(self) -> None:
        if not self._isGivingWay:
            self._isGivingWay = True
            # In another turn: there may be more to do for the thread in this one.
            self._reactor.callFromThread(self._giveWay)

    def _giveWay(self) -> None:
        """
        Wait until the thread needs the interpreter no more for what it does, but for a
        moment only; and deliver its results.
        """
        self._isGivingWay = False
        if self._jobs and self._jobs[0].isOpen:
            self._jobs[0].awaitWaking()
        self.awaitRest()
        self._arrive()
        if any(not each.isOpen for each in tuple(self._jobs)):
            self._giveWaySoon()
        elif self._jobs and self._look is None:
            self._look = self._clock.callLater(LOOK_EVERY, self._lookAgain)

    def _lookAgain(self) -> None:
        self._look = None
        self._giveWay()

    def stop(self) -> None:
        """
        End the thread, which must have nothing left to do.
        """
        self._pool.stop()
