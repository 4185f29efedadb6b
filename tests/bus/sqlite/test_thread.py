"""
Tests of L{comet.bus.sqlite.thread}: when the reactor waits for the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.bus.sqlite.thread import DELIVERING, LOOK_EVERY, WorkerThread
from comet.errors import Unavailable

# For how many seconds a test waits for what has to happen.
LONG = 60.0


@implementer(IReactorFromThreads)
class Turns:
    """
    A reactor that makes a turn when it is told to.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[..., Any], tuple[object, ...]]] = []

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """
        Call the function in the next turn.
        """
        self.asked.append((callable, args))

    def turn(self) -> None:
        """
        Call what was asked for until now.
        """
        asked, self.asked = self.asked, []
        for call, arguments in asked:
            call(*arguments)


class WorkerThreadTests(SynchronousTestCase):
    """
    A thread and a reactor that share the interpreter.
    """

    def setUp(self) -> None:
        """
        Start the thread.
        """
        self.reactor = Turns()
        self.clock = Clock()
        self.thread = WorkerThread(self.reactor, "thread", self.clock)
        self.thread.given = LONG
        self.thread.start()
        self.addCleanup(self.thread.stop)

    def event(self) -> threading.Event:
        """
        Make an event that is set at the end of the test.
        """
        event = threading.Event()
        self.addCleanup(event.set)
        return event

    def test_isDoneInNextTurn(self) -> None:
        """
        What the thread can do in the time that it is given has its result in the next turn,
        also if it needs the interpreter again and again.
        """
        done = [self.thread.do(pow, 2, number) for number in range(3)]
        failing = self.thread.do(self.failing)
        self.assertNoResult(done[0])
        for answer, result in zip(done, (1, 2, 4), strict=True):
            self.reactor.turn()
            self.assertEqual(self.successResultOf(answer), result)
        self.reactor.turn()
        self.failureResultOf(failing, Unavailable)

    def failing(self) -> None:
        """
        Fail.
        """
        raise Unavailable("no")

    def test_waitsForAMoment(self) -> None:
        """
        The reactor goes on when the time is over, and waits once in each turn, however much
        there is to do.
        """
        self.thread.given = 0.001
        event = self.event()
        done = [self.thread.do(event.wait, LONG) for _ in range(20)]
        for _ in range(3):
            self.reactor.turn()
            self.assertEqual(len(self.reactor.asked), 1)
            self.assertNoResult(done[0])
        event.set()
        self.thread.given = LONG
        while self.reactor.asked:
            self.reactor.turn()
        self.assertTrue(all(self.successResultOf(each) for each in done))

    def test_doesNotWaitForTheDisk(self) -> None:
        """
        The reactor does not wait while the thread rests.
        """
        event = self.event()

        def resting() -> bool:
            self.thread.rest()
            return event.wait(LONG)

        done = self.thread.do(resting)
        self.reactor.turn()
        self.assertNoResult(done)
        self.assertEqual(self.reactor.asked, [])
        event.set()
        # It waits for what comes next, and so for this.
        self.thread.do(int)
        while self.reactor.asked:
            self.reactor.turn()
        self.assertTrue(self.successResultOf(done))

    def test_looksWhetherTheDiskIsDone(self) -> None:
        """
        While the thread rests the reactor looks again and again, however much else it has
        to do.  Once the thread has woken, the reactor waits until it is done.
        """
        disk, working, end = self.event(), self.event(), self.event()

        def do() -> str:
            self.thread.rest()
            disk.wait(LONG)
            self.thread.wake()
            working.set()
            end.wait(LONG)
            return "done"

        done = self.thread.do(do)
        self.reactor.turn()
        for _ in range(3):
            self.clock.advance(LOOK_EVERY)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            self.assertNoResult(done)
        disk.set()
        working.wait(LONG)
        self.thread.given = 0.001
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(len(self.reactor.asked), 1)
        self.assertNoResult(done)
        self.thread.given = LONG
        end.set()
        self.reactor.turn()
        self.assertEqual(self.successResultOf(done), "done")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_looksNoMoreAfterTheResult(self) -> None:
        """
        A result that arrives by itself ends the looks.
        """
        disk = self.event()

        def do() -> None:
            self.thread.rest()
            disk.wait(LONG)
            self.thread.wake()

        done = self.thread.do(do)
        self.reactor.turn()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        disk.set()
        self.thread.awaitRest()
        while not self.reactor.asked:
            self.event().wait(0.001)
        self.reactor.turn()
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_deliversForAMoment(self) -> None:
        """
        Results are delivered for a moment in each turn, in order, also while the thread has
        more and more of them.
        """
        told: list[int] = []

        def tell(result: int) -> None:
            told.append(result)
            self.clock.advance(DELIVERING / 2)
            if result < 20:
                self.thread.do(int, result + 10).addCallback(tell)

        for number in range(5):
            self.thread.do(int, number).addCallback(tell)
        while len(self.thread._results) < 5:
            self.event().wait(0.001)
        self.thread._arrive()
        self.assertEqual(told, [0, 1])
        turns = 1
        while self.reactor.asked or self.thread._jobs:
            self.reactor.turn()
            turns += 1
        self.assertEqual(told, [*range(5), *range(10, 15), *range(20, 25)])
        self.assertGreaterEqual(turns, 4)

    def test_awaitRest(self) -> None:
        """
        Another thread waits until this one rests, or is done; or for a moment.
        """
        event, resting = self.event(), self.event()

        def do() -> None:
            event.wait(LONG)
            self.thread.rest()
            resting.wait(LONG)

        self.thread.awaitRest()
        self.thread.do(do)
        self.thread.given = 0.001
        self.thread.awaitRest()
        self.thread.given = LONG
        event.set()
        self.thread.awaitRest()
        self.assertTrue(all(each.isOpen for each in self.thread._jobs))
