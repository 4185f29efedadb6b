"""
Hands writes to the thread that writes, one after the other.

What is published while a commit is under way is committed together: it waits for the disk
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.bus.sqlite.queue import PublishBurst, WriteQueue, WriteTask
from comet.bus.sqlite.store import Store, Stored
from comet.bus.sqlite.thread import WorkerThread
from comet.bus.sqlite.underway import WorkCount
from comet.interfaces.busabilities import Outcome


class WriteLine:
    """
    Gives the thread the next write as soon as it has done the one before, and tells the
    callers what became of theirs.

    @ivar queue: The writes that the thread was not given yet.
    """

    _log = Logger()

    def __init__(
        self,
        worker: WorkerThread,
        store: Store,
        work: WorkCount,
        tell: Callable[[Stored], Deferred[None]],
        wallClock: Callable[[], float],
    ) -> None:
        """
        @param worker: The thread that writes.

        @param store: Writes the log, in that thread.

        @param work: Counts the line as one piece of work while it is not empty.

        @param tell: Tells the listeners what was stored.  Publishers are answered
            once its result has fired.

        @param wallClock: Returns the time, in seconds since 1970.
        """
        self.queue = WriteQueue()
        self._worker = worker
        self._store = store
        self._work = work
        self._tell = tell
        self._wallClock = wallClock
        self._isWriting = False

    def do(self, write: Callable[[], Any], isBeside: bool = False) -> Deferred[Any]:
        """
        Do a write other than publishing.

        @param isBeside: Whether it need not keep its place among publications.

        @return: Fires with the result of C{write}, or fails with its exception.
        """
        task = WriteTask(write, isBeside)
        self.add(task)
        return task.done

    def add(self, item: PublishBurst | WriteTask) -> None:
        """
        Write something, now or when what is under way is written.
        """
        self.queue.add(item)
        if not self._isWriting:
            self._isWriting = True
            self._work.count += 1
            self._writeNext()

    def _writeNext(self) -> None:
        if not len(self.queue):
            self._isWriting = False
            self._work.end()
            return
        next_ = self.queue.take()
        if isinstance(next_, WriteTask):
            self._worker.do(next_.do).addBoth(self._taskDone, next_)
        else:
            calls = [request for burst in next_ for request in burst.requests]
            written = self._worker.do(self._store.publish, calls, self._wallClock())
            written.addCallbacks(self._stored, _allFail, (next_,), errbackArgs=(next_,))
            written.addErrback(self._failed)

    def _taskDone(self, result: Any, task: WriteTask) -> None:
        task.done.callback(result)
        self._writeNext()

    def _stored(self, stored: Stored, bursts: Sequence[PublishBurst]) -> None:
        # Keep the disk busy while listeners and publishers are told.
        self._writeNext()
        self._tell(stored).addCallback(lambda _: _answer(bursts, stored.outcomes))

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "failed to answer the publishers of {path}", failure, path=self._store.path
        )


def _answer(bursts: Sequence[PublishBurst], outcomes: Sequence[Outcome]) -> None:
    start = 0
    for burst in bursts:
        end = start + len(burst.requests)
        burst.answered.callback(outcomes[start:end])
        start = end


def _allFail(failure: Failure, bursts: Sequence[PublishBurst]) -> Failure:
    for burst in bursts:
        burst.answered.errback(failure)
    return failure
