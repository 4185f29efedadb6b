"""
A bus in a file whose threads are that of the reactor: what is asked of it is
done before it is answered, and nothing happens in between.
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

from comet.bus.sqlite.bus import SQLiteBus
from comet.bus.sqlite.thread import WorkerThread
from comet.model.log import Retention
from comet.model.positions import ReadResult, ResolvedStarts
from tests.bus.sqlite.case import carefree

T = TypeVar("T")


@implementer(IReactorFromThreads)
class Here:
    """
    A reactor to which every turn is the same.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """
        Call it at once.
        """
        callable(*args, **kwargs)


class InlineThread(WorkerThread):
    """
    Does everything at once.
    """

    def start(self) -> None:
        """
        Nothing is to be started.
        """

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Do it.
        """
        return execute(job, *arguments)

    def stop(self) -> None:
        """
        Nothing is to be stopped.
        """


class InlineBus(SQLiteBus):
    """
    A bus that answers at once, and that never holds what is too old.

    @ivar folder: Where its file is, until the bus is stopped.
    """

    threadType = InlineThread

    def __init__(
        self,
        clock: Clock,
        retention: Callable[[str], Retention],
        totalBytes: int,
        wallClock: Callable[[], float],
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="comet-inline-"))
        path = str(self.folder / "comet.db")
        super().__init__(path, clock, Here(), retention, totalBytes, wallClock, carefree)
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
        How much is held in all, in bytes as they are counted.
        """
        [size] = self._store._connection.execute("SELECT size FROM log").fetchone()
        assert isinstance(size, int)
        return size
