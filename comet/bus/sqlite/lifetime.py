"""
The life of the database of a bus: it is opened and closed in its threads.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.bus.sqlite.reader import LogReader
from comet.bus.sqlite.store import Store
from comet.bus.sqlite.thread import WorkerThread
from comet.bus.sqlite.underway import WorkCount


class Lifetime:
    """
    Starts the two threads and opens the database; closes it, and ends the threads, once
    no work is under way.

    @ivar work: Counts the work.

    @ivar isRunning: Whether the threads run.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFromThreads,
        store: Store,
        writer: WorkerThread,
        logReader: LogReader,
        reader: WorkerThread,
        idle: Callable[[], None],
    ) -> None:
        """
        @param reactor: The reactor in whose thread results arrive.

        @param store: What the first thread writes.

        @param logReader: What the second thread reads.

        @param idle: Called once no work is under way, before the database is closed.
        """
        self.work = WorkCount(self._stopIfIdle)
        self.isRunning = False
        self._reactor = reactor
        self._store = store
        self._writer = writer
        self._logReader = logReader
        self._reader = reader
        self._stopped: Deferred[None] | None = None
        self._idle = idle

    @property
    def isStopping(self) -> bool:
        """
        Whether the end waits for work that is under way.
        """
        return self._stopped is not None

    def start(self, opened: Callable[[str], None]) -> Deferred[None]:
        """
        Open the database once the reactor runs.

        @param opened: Called when it is open, with the reason if a new epoch begins, or an
            empty text.

        @return: Fires after that, or fails if the database cannot be opened.
        """
        started: Deferred[None] = Deferred()
        self.work.count += 1
        # When the reactor runs, the process has dropped its privileges: the
        # file must be made by the user that will write it.
        self._reactor.callFromThread(self._start, opened, started)
        return started

    def _start(self, opened: Callable[[str], None], started: Deferred[None]) -> None:
        if self.isStopping:
            self.work.end()
            return
        self.isRunning = True
        self._writer.start()
        self._reader.start()
        done = self._writer.do(self._store.open).addCallback(opened)
        done.addBoth(started.callback)
        done.addBoth(lambda _: self.work.end())

    def stop(self) -> Deferred[None]:
        """
        Close the database once no work is under way.
        """
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._stopIfIdle()
        return stopped

    def _stopIfIdle(self) -> None:
        if self._stopped is None or self.work.count:
            return
        stopped, self._stopped = self._stopped, None
        self._idle()
        if not self.isRunning:
            stopped.callback(None)
            return
        closed = self._reader.do(self._logReader.close)
        closed.addCallback(lambda _: self._writer.do(self._store.close))
        closed.addErrback(self._notClosed)
        closed.addCallback(lambda _: self._end())
        closed.chainDeferred(stopped)

    def _notClosed(self, failure: Failure) -> None:
        self._log.failure("failed to close the database {path}", failure, path=self._store.path)

    def _end(self) -> None:
        self.isRunning = False
        self._reader.stop()
        self._writer.stop()
