"""
An SQLite bus whose threads take a step when a test says so.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.bus.sqlite.bus import SQLiteBus
from comet.bus.sqlite.reader import LogReader
from comet.bus.sqlite.store import Stored
from comet.bus.sqlite.thread import WorkerThread
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.positions import ResolvedStarts, StartPosition
from tests.bus.sqlite.case import carefree

T = TypeVar("T")


@implementer(IReactorFromThreads)
class Turns:
    """
    A reactor whose turns are those of a clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """
        Call the function in the next turn.
        """
        self._clock.callLater(0, callable, *args, **kwargs)


class SteppingThread(WorkerThread):
    """
    A thread that calls one function, or delivers one result, when it is told
    to.

    @ivar did: Called with the arguments and the result of each function, before
        the result is delivered.
    """

    did: Callable[[tuple[Any, ...], object], None]

    def __init__(self, reactor: IReactorFromThreads, name: str, clock: IReactorTime) -> None:
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = deque()
        self._jobs = deque()
        self._done: deque[tuple[Any, Deferred[Any]]] = deque()

    def start(self) -> None:
        """
        Do nothing.
        """

    def stop(self) -> None:
        """
        Do nothing.
        """

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Keep the function until L{step}.
        """
        done: Deferred[T] = Deferred()
        self._waiting.append((job, arguments, done))
        return done

    def step(self) -> bool:
        """
        Call the next function.

        @return: Whether there was one.
        """
        if not self._waiting:
            return False
        job, arguments, done = self._waiting.popleft()
        try:
            result: Any = job(*arguments)
        except Exception:
            result = Failure()
        self.did(arguments, result)
        self._done.append((result, done))
        return True

    def arrive(self) -> bool:
        """
        Deliver the next result, after its function was called if need be.

        @return: Whether there was one.
        """
        if not self._done and not self.step():
            return False
        result, done = self._done.popleft()
        done.callback(result)
        return True


class SteppingBus(SQLiteBus):
    """
    A bus that goes on step by step.  It shows its tests what is in the file
    before the bus knows of it.

    @ivar stored: All channels ever published to, by position, by epoch, in the
        order of epochs.

    @ivar onResolved: Called with every answer to L{resolve}.
    """

    threadType = SteppingThread

    def __init__(
        self, clock: Clock, retention: Callable[[str], Retention], totalBytes: int
    ) -> None:
        self.stored: dict[str, dict[int, str]] = {}
        self.onResolved: Callable[[Mapping[str, StartPosition], ResolvedStarts], None] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="comet-stepping-"))
        path = str(self.folder / "comet.db")
        wall = clock.seconds
        super().__init__(path, clock, Turns(clock), retention, totalBytes, wall, carefree)
        self.truth = LogReader(path, retention, carefree)
        assert isinstance(self._writer, SteppingThread)
        assert isinstance(self._reader, SteppingThread)
        self.lanes = (self._writer, self._reader)
        for lane in self.lanes:
            lane.did = self._did

    def remove(self) -> None:
        """
        Remove the file.
        """
        self.truth.close()
        self._store.close()
        self._logReader.close()
        rmtree(self.folder)

    def _did(self, arguments: tuple[Any, ...], result: object) -> None:
        if type(result) is tuple:
            # A step, with the Deferred of its question.
            result = result[1]
        if isinstance(result, ResolvedStarts) and self.onResolved is not None:
            self.onResolved({}, result)
        if isinstance(result, Stored):
            for message in result.messages:
                self.stored[message.epoch][message.position] = message.channel
        self.stored.setdefault(self._store.end.epoch, {})

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        resolved = super().resolve(names)
        if (
            resolved.called
            and isinstance(resolved.result, ResolvedStarts)
            and self.onResolved is not None
        ):
            self.onResolved(names, resolved.result)
        return resolved

    # -- Steps

    def do(self, index: int) -> None:
        """
        Let one of the threads call a function.
        """
        self.lanes[index % 2].step()

    def answer(self, index: int) -> None:
        """
        Let one of the threads deliver a result.
        """
        self.lanes[index % 2].arrive()

    def hear(self) -> None:
        """
        Deliver the next result of the thread that writes.
        """
        self.lanes[0].arrive()

    def catchUp(self) -> bool:
        """
        Deliver all results that are there by now.

        @return: Whether there were any.
        """
        some = False
        for lane in self.lanes:
            while lane.arrive():
                some = True
        return some

    # -- What is in the file

    def lost(self) -> frozenset[int]:
        """
        Return the positions of messages of this epoch that are no longer held.
        """
        start = Cursor(self._store.end.epoch, 0)
        now = self._wallClock()
        held = self.truth.read(["**"], start, 1 << 30, 1 << 50, None, now).messages
        return frozenset(self.stored[start.epoch].keys() - {each.position for each in held})

    def floor(self, name: str) -> int:
        """
        Return the floor of a channel or pattern.
        """
        start = Cursor(self._store.end.epoch, 0)
        return self.truth.read([name], start, 1, 1, 0, self._wallClock()).gaps.get(name, 0)
