"""
Tests of L{comet.bus.sqlite.steps}: which step of which question is next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.sqlite.steps import FIRST_STEPS, StepQueue
from comet.bus.sqlite.thread import WorkerThread

T = TypeVar("T")


class WaitingThread(WorkerThread):
    """
    Calls functions when it is told to.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[..., Any], Deferred[Any]]] = []

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Keep the function.
        """
        done: Deferred[T] = Deferred()
        self.waiting.append((job, done))
        return done

    def go(self, count: int) -> None:
        """
        Call some of the functions.
        """
        for _ in range(count):
            job, done = self.waiting.pop(0)
            execute(job).chainDeferred(done)


class StepQueueTests(SynchronousTestCase):
    """
    Questions with many steps, and those with one.
    """

    def setUp(self) -> None:
        """
        Make a queue.
        """
        self.thread = WaitingThread()
        self.begun: list[str] = []
        self.steps = StepQueue(self.thread, next)

    def question(self, name: str) -> Iterator[str]:
        """
        Return a question whose steps are noted.
        """
        while True:
            self.begun.append(name)
            yield name

    def ask(self, name: str, isFirst: bool) -> Deferred[Any]:
        """
        Ask for a step.
        """
        return self.steps.do(self.question(name), isFirst)

    def test_firstStepComesFirst(self) -> None:
        """
        However many questions go on, the first step of another is next.
        """
        going = [self.ask("long", False) for _ in range(100)]
        answer = self.ask("short", True)
        self.thread.go(1)
        self.assertEqual(self.successResultOf(answer), "short")
        self.thread.go(1)
        self.assertEqual(self.successResultOf(going[0]), "long")
        self.assertNoResult(going[1])

    def test_laterStepsGoOn(self) -> None:
        """
        However many questions begin, one that has begun goes on.
        """
        for _ in range(100):
            self.ask("short", True)
        self.ask("long", False)
        self.thread.go(FIRST_STEPS + 1)
        self.assertEqual(self.begun, ["short"] * FIRST_STEPS + ["long"])
        self.thread.go(100 - FIRST_STEPS)
        self.assertEqual(len(self.begun), 101)

    def test_failure(self) -> None:
        """
        A step that raises fails its own question.
        """
        bad = self.steps.do((1 // number for number in (0,)), True)
        good = self.ask("good", True)
        self.thread.go(2)
        self.failureResultOf(bad, ZeroDivisionError)
        self.assertEqual(self.successResultOf(good), "good")

    def test_laterStepLetsOthersGo(self) -> None:
        """
        Before a later step the thread that writes may need the interpreter.
        """
        self.steps = StepQueue(self.thread, next, lambda: self.begun.append("others"))
        for name, isFirst in (("long", False), ("short", True), ("long", False)):
            self.ask(name, isFirst)
        self.thread.go(3)
        self.assertEqual(self.begun, ["short", "others", "long", "others", "long"])
