"""
What waits for the thread that reads: steps of questions about the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.bus.sqlite.thread import WorkerThread

# How many first steps are done before a later one, where both wait.
FIRST_STEPS: Final = 4

# The steps of a question, what fires with the result of the next one, and that
# result or failure once it is known.
_Waiting = tuple[Iterator[Any], "Deferred[Any]"]
_Done = tuple["Deferred[Any]", Any]


def _nothing() -> None:
    """
    Do nothing.
    """


class StepQueue:
    """
    Chooses the next step: the first step of a question about channels comes before the
    steps of others, of which one is done now and then.  So a question with one step, as
    most are, does not wait for those that have very many, however many of these there are.

    A step is chosen in the thread, in the moment in which it begins.  A later step lets the
    thread that writes go first, as both need the interpreter.
    """

    def __init__(
        self,
        worker: WorkerThread,
        step: Callable[[Iterator[Any]], Any],
        letOthers: Callable[[], None] = _nothing,
    ) -> None:
        """
        @param worker: The thread.

        @param step: Does one step; called in the thread.

        @param letOthers: Called in the thread before a later step.
        """
        self._letOthers = letOthers
        self._worker = worker
        self._step = step
        self._first: deque[_Waiting] = deque()
        self._later: deque[_Waiting] = deque()
        # How many first steps were done since the last later one.
        self._count = 0

    def do(self, steps: Iterator[Any], isFirst: bool) -> Deferred[Any]:
        """
        Do a step of a question.  Called from the reactor's thread.

        @param isFirst: Whether it is the first of a question about channels.  That of a
            pattern may look at a thousand rows.

        @return: Fires with its result, or fails with its exception.
        """
        done: Deferred[Any] = Deferred()
        (self._first if isFirst else self._later).append((steps, done))
        # Each call does one step, of this question or another one.
        self._worker.do(self._next).addCallback(_tell)
        return done

    def _next(self) -> _Done:
        if self._first and (self._count < FIRST_STEPS or not self._later):
            self._count += 1
            steps, done = self._first.popleft()
        else:
            self._count = 0
            steps, done = self._later.popleft()
            self._letOthers()
        try:
            return done, self._step(steps)
        except Exception:
            return done, Failure()


def _tell(result: _Done) -> None:
    done, value = result
    # With a failure, a Deferred fails.
    done.callback(value)
