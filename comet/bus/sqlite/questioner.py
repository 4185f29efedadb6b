"""
Asks the thread that reads, and logs when it cannot read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.bus.sqlite.errors import explain, notRead
from comet.bus.sqlite.steps import StepQueue
from comet.bus.sqlite.underway import WorkCount
from comet.model.channels import isPattern

T = TypeVar("T")


class Questioner:
    """
    Asks the database.  Between two steps of a question, the reactor and other readers
    have their turn.
    """

    _log = Logger()

    def __init__(self, steps: StepQueue, work: WorkCount, path: Callable[[], str]) -> None:
        """
        @param steps: Does the steps.

        @param work: Counts each question as a piece of work.

        @param path: Returns the path of the file, for the log.
        """
        self._steps = steps
        self._work = work
        self._path = path
        self._isReadable = True

    def ask(self, steps: Iterator[T | None], names: Iterable[str] = ()) -> Deferred[T]:
        """
        Ask a question about some names.

        @param steps: Yields L{None} after each step but the last one, and then the
            answer.
        """
        return self.answering(Deferred.fromCoroutine(self._inSteps(steps, names)))

    def answering(self, answer: Deferred[T]) -> Deferred[T]:
        """
        Count a question, however it is answered.  An error of the database becomes
        one for the client.
        """
        self._work.count += 1
        return answer.addCallbacks(self._isRead, self._isNotRead)

    async def _inSteps(self, steps: Iterator[T | None], names: Iterable[str]) -> T:
        isWide = any(map(isPattern, names))
        answer: T | None = await self._steps.do(steps, isFirst=not isWide)
        while answer is None:
            answer = await self._steps.do(steps, isFirst=False)
        return answer

    def _isRead(self, result: T) -> T:
        self._isReadable = True
        self._work.end()
        return result

    def _isNotRead(self, failure: Failure) -> Failure:
        self._work.end()
        error = failure.value
        if not isinstance(error, sqlite3.Error):
            return failure
        if self._isReadable:
            self._isReadable = False
            meaning, advice = explain(error)
            self._log.error(
                "messages cannot be read from {path}: {meaning}; {advice}",
                path=self._path(),
                meaning=meaning,
                advice=advice,
            )
        return Failure(notRead(error))
