"""
An SQLite bus without threads: each call is done before it returns, and nothing
happens in between.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from zope.interface import implementer

from comet.bus.idempotency import KeyBudget
from comet.bus.sqlite.bus import SQLiteBus
from comet.bus.sqlite.thread import WorkerThread
from comet.model.log import Retention
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts
from tests.bus.sqlite.case import carefree

T = TypeVar("T")


@implementer(IReactorFromThreads)
class Here:
    """
    A reactor that calls at once.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """
        Call the function at once.
        """
        callable(*args, **kwargs)


class InlineThread(WorkerThread):
    """
    Calls functions at once.
    """

    def start(self) -> None:
        """
        Do nothing.
        """

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Call the function.
        """
        return execute(job, *arguments)

    def stop(self) -> None:
        """
        Do nothing.
        """


class InlineBus(SQLiteBus):
    """
    A bus that answers at once, and never holds messages that are too old.

    @ivar folder: The folder of its file, until the bus is stopped.
    """

    threadType = InlineThread

    def __init__(
        self,
        clock: Clock,
        retention: Callable[[str], Retention],
        totalBytes: int,
        wallClock: Callable[[], float],
        keyBudget: KeyBudget | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="comet-inline-"))
        path = str(self.folder / "comet.db")
        super().__init__(path, clock, Here(), retention, totalBytes, wallClock, carefree, keyBudget)
        self.start()

    def _sweepAll(self) -> None:
        while self._store.sweep(self._wallClock()):
            pass

    def read(self, *arguments: Any) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        self._sweepAll()
        return super().read(*arguments)

    def history(self, *arguments: Any) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        self._sweepAll()
        return super().history(*arguments)

    def resolve(self, names: Any) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        self._sweepAll()
        return super().resolve(names)

    def stop(self) -> Deferred[None]:
        """
        See L{IMessageBus.stop}.
        """
        rmtree(self.folder, ignore_errors=True)
        return super().stop()

    @property
    def size(self) -> int:
        """
        How many bytes the held messages and channels count for.
        """
        [size] = self._store._connection.execute("SELECT size FROM log").fetchone()
        assert isinstance(size, int)
        return size
