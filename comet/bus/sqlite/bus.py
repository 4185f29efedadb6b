"""
The bus of one machine.  Its log is in a file, and survives a restart.

One thread writes and another reads, so the reactor waits for neither.  A burst, and
what is published while a commit is under way, is committed together: it waits for the
disk once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.bus.idempotency import KeyBudget
from comet.bus.listeners import Listeners
from comet.bus.outcomes import onlyOutcome
from comet.bus.sqlite.busmembers import BusMembers
from comet.bus.sqlite.errors import explain, isFault
from comet.bus.sqlite.lifetime import Lifetime
from comet.bus.sqlite.lockfile import Connect
from comet.bus.sqlite.memberstore import MemberStore
from comet.bus.sqlite.questioner import Questioner
from comet.bus.sqlite.queue import PublishBurst
from comet.bus.sqlite.reader import LogReader
from comet.bus.sqlite.steps import StepQueue
from comet.bus.sqlite.store import Altered, Store, Stored
from comet.bus.sqlite.sweeper import Sweeper
from comet.bus.sqlite.thread import RunningReactor, WorkerThread
from comet.bus.sqlite.transaction import Transaction
from comet.bus.sqlite.writing import WriteLine
from comet.bus.starts import resolveAtEnd
from comet.errors import Unavailable
from comet.interfaces.busabilities import IBurstBus, IConfigurableBus, IMeasuredBus, Outcome
from comet.interfaces.memberbus import IPresence
from comet.interfaces.messagebus import IBusListener
from comet.interfaces.statebus import IStateBus
from comet.model.cursors import Cursor
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Publication, Published
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition
from comet.model.presence import Holding, MemberBounds, MemberPage
from comet.model.state import StateEntry, StatePage
from comet.reactor.clocks import steadyClock

T = TypeVar("T")


@implementer(IBurstBus, IConfigurableBus, IMeasuredBus, IPresence, IStateBus)
class SQLiteBus:
    """
    Keeps its log in one file.

    Its epoch goes on after a restart, and its positions have no holes, as long
    as the file is not removed or replaced.

    @cvar memberBounds: How many members there may be.

    @cvar threadType: The class of the two threads.
    """

    memberBounds = MemberBounds()
    threadType: type[WorkerThread] = WorkerThread

    _log = Logger()

    def __init__(
        self,
        path: str,
        clock: IReactorTime,
        reactor: IReactorFromThreads | None = None,
        retention: Callable[[str], Retention] = lambda channel: Retention(),
        totalBytes: int = 268435456,
        wallClock: Callable[[], float] = time.time,
        connect: Connect = sqlite3.connect,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        """
        @param path: The path of the file.  The file is made if it does not
            exist; its folder must exist.

        @param clock: Schedules the dropping of old messages.

        @param reactor: The reactor in whose thread results arrive, or L{None}
            for the reactor that runs once the bus is started.

        @param retention: Returns how much to hold of a channel, given its name.
            Called from any thread.

        @param totalBytes: How many bytes to hold in all.  Above that, the
            oldest messages are dropped first.

        @param wallClock: Returns the time, in seconds since 1970.

        @param connect: Opens a database, as C{sqlite3.connect} does.

        @param keyBudget: How many bytes idempotency keys may count for.
        """
        self.isAvailable = False
        self.end = Cursor("", 0)
        self._clock = steadyClock(clock)
        reactor = RunningReactor() if reactor is None else reactor
        self._wallClock = wallClock
        self._listeners = Listeners()
        # An idempotency key is known for its time also when the clock of the
        # system is set meanwhile.  On the disk its time is one since 1970, as
        # the next process has to understand it.
        self._began = wallClock() - self._clock.seconds()
        self._store = Store(path, retention, totalBytes, connect, self._steadyTime, keyBudget)
        self._writer = self.threadType(reactor, "comet-sqlite-writer", self._clock)
        self._store.resting = self._writer.rest
        self._store.waking = self._writer.wake
        self._logReader = LogReader(path, retention, connect)
        self._reader = self.threadType(reactor, "comet-sqlite-reader", self._clock)
        self._life = Lifetime(
            reactor,
            self._store,
            self._writer,
            self._logReader,
            self._reader,
            self._listeners.clear,
        )
        self._steps = StepQueue(self._reader, self._logReader.step, self._writer.awaitRest)
        work = self._life.work
        self._line = WriteLine(self._writer, self._store, work, self._tell, wallClock)
        self._questioner = Questioner(self._steps, work, lambda: self._store.path)
        self._pastEpochs: set[str] = set()
        # Reading and writing are refused unless the file is open.
        self._isOpen = False
        self._sweeper = Sweeper(self._clock, self._sweep, self._notSwept)
        self._members = MemberStore(self._store, self.memberBounds)
        self._busMembers = BusMembers(
            self._members,
            self._line,
            self._tell,
            self._notAltered,
            self._clock,
            self._steadyTime,
            wallClock,
            lambda: self._store.path,
        )

    def _steadyTime(self) -> float:
        """
        The time in seconds since 1970, as if the clock of the system had not been set
        since the bus was made.
        """
        return self._began + self._clock.seconds()

    # -- Starting and stopping

    def start(self) -> Deferred[None]:
        """
        See L{IMessageBus.start}.
        """
        return self._life.start(self._opened)

    def _opened(self, renewed: str) -> None:
        self.end = self._store.end
        if renewed:
            level = LogLevel.info if self._store.isFirst else LogLevel.warn
            self._log.emit(
                level,
                "a new epoch begins in {path}: {reason}",
                path=self._store.path,
                reason=renewed,
            )
        if not self._life.isStopping:
            self._isOpen = self.isAvailable = True
            self._sweeper.start()
            self._busMembers.start()

    def stop(self) -> Deferred[None]:
        """
        See L{IMessageBus.stop}.  Work that is under way is finished first.
        """
        self._isOpen = self.isAvailable = False
        self._sweeper.stop()
        self._busMembers.stop()
        return self._life.stop()

    def renew(self) -> Deferred[None]:
        """
        Drop all messages and keys, and begin a new epoch.
        """

        def renewed(end: Cursor) -> None:
            self._note(end)
            self._listeners.interrupted()
            self._busMembers.forgotten()

        return self._line.do(partial(self._store.renew, self._wallClock())).addCallback(renewed)

    # -- Writing

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{IMessageBus.publish}.
        """
        if not publications:
            return succeed([]) if self._isOpen else fail(_notOpen())
        return self.publishBurst([publications]).addCallback(onlyOutcome)

    def publishBurst(
        self, requests: Sequence[Sequence[Publication]]
    ) -> Deferred[Sequence[Outcome]]:
        """
        See L{IBurstBus.publishBurst<comet.interfaces.busabilities.IBurstBus.publishBurst>}.
        """
        if not self._isOpen:
            return fail(_notOpen())
        if self._line.queue.isFull:
            return fail(Unavailable("nothing was stored: too many messages wait for the disk"))
        burst = PublishBurst(requests)
        self._line.add(burst)
        return burst.answered

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget}.  The messages are dropped in several
        transactions, so a reader may see some of them gone before the others.
        """
        if not self._isOpen:
            return fail(_notOpen())
        return self._forget(channel, None)

    def _forget(self, channel: str, upTo: int | None) -> Deferred[None]:
        def forgotten(rest: int | None) -> Deferred[None] | None:
            return None if rest is None else self._forget(channel, rest)

        job = partial(self._store.forget, channel, upTo, self._wallClock())
        return self._line.do(job).addCallback(forgotten)

    def _tell(self, stored: Stored) -> Deferred[None]:
        """
        Tell the listeners what was stored.
        """
        if stored.fault is not None:
            self._isFaulty(stored.fault)
        elif stored.messages:
            self._isFaultless()
        self._note(stored.end)
        if stored.isInterrupted:
            self._listeners.interrupted()
        if stored.messages:
            return self._listeners.messagesStored(stored.messages)
        return succeed(None)

    def _isFaultless(self) -> None:
        if not self.isAvailable and self._isOpen:
            self.isAvailable = True
            self._log.info("messages can be stored again in {path}", path=self._store.path)

    def _isFaulty(self, fault: BaseException) -> None:
        if self.isAvailable:
            self.isAvailable = False
            meaning, advice = explain(fault)
            self._log.error(
                "messages cannot be stored in {path}: {meaning}; {advice}",
                path=self._store.path,
                meaning=meaning,
                advice=advice,
            )

    # -- Expiry

    def configure(
        self,
        retention: Callable[[str], Retention],
        totalBytes: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """
        See L{IConfigurableBus.configure}.
        """
        self._logReader.retention = retention
        configure = partial(self._store.configure, retention, totalBytes)
        if self._life.isRunning:
            # A sweep may be under way in the other thread.
            self._writer.do(configure)
        else:
            configure()

    def _sweep(self) -> Deferred[bool]:
        sweep = partial(self._store.sweep, self._wallClock())
        return self._line.do(sweep if self.isAvailable else self._store.probe).addCallback(
            self._swept
        )

    def _swept(self, more: bool) -> bool:
        self._isFaultless()
        return more

    def _notSwept(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, Unavailable):
            self._isFaulty(error.__cause__ or error)
        else:
            self._log.failure(
                "failed to drop old messages of {path}", failure, path=self._store.path
            )

    # -- Reading

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        here = resolveAtEnd(names, self.end) if self._isOpen else None
        if here is not None:
            # This needs no disk.
            return succeed(here)
        resolved = self._read(self._logReader.resolving(dict(names), self._wallClock()), names)
        return resolved.addCallback(self._resolved)

    def _resolved(self, resolved: ResolvedStarts) -> ResolvedStarts:
        self._note(resolved.end)
        return resolved

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        if self._isOpen and after == self.end:
            return succeed(ReadResult(after, (), after))
        asked = (tuple(names), after, limit, maxBytes, upTo, self._wallClock())
        return self._read(self._logReader.reading(*asked), names).addCallback(self._wasRead)

    def _wasRead(self, result: ReadResult) -> ReadResult:
        self._note(result.reached)
        return result

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        asked = (channel, before, limit, maxBytes, self._wallClock())
        return self._read(self._logReader.recalling(*asked))

    def _read(self, steps: Iterator[T | None], names: Iterable[str] = ()) -> Deferred[T]:
        """
        Answer a question about some names.
        """
        if not self._isOpen:
            return fail(_notOpen())
        return self._questioner.ask(steps, names)

    def _note(self, cursor: Cursor) -> None:
        """
        Note a cursor of the log: keep the newest, in the newest epoch.
        """
        if cursor.epoch == self.end.epoch:
            self.end = max(cursor, self.end)
        elif cursor.epoch not in self._pastEpochs:
            self._pastEpochs.add(self.end.epoch)
            self.end = cursor

    # -- Members

    def attachPresence(self, forgotten: Callable[[], None]) -> None:
        """
        See L{IPresence.attachPresence<comet.interfaces.memberbus.IPresence.attachPresence>}.
        """
        self._busMembers.forgotten = forgotten

    def setPresence(self, holdings: Sequence[Holding]) -> Deferred[Sequence[Holding]]:
        """
        See L{IPresence.setPresence<comet.interfaces.memberbus.IPresence.setPresence>}.  Only a
        change that is told waits for the disk.
        """
        if not self._isOpen:
            return fail(_notOpen())
        return self._busMembers.set(holdings)

    def membersOf(self, channel: str, after: str | None, limit: int) -> Deferred[MemberPage]:
        """
        See L{IPresence.membersOf<comet.interfaces.memberbus.IPresence.membersOf>}.  The thread that
        writes tells it: no change is under way then.
        """
        if not self._isOpen:
            return fail(_notOpen())
        page = self._writer.do(self._members.page, channel, after, limit, self._wallClock())
        return self._questioner.answering(page)

    # -- State

    def putState(
        self, change: Publication, key: str, seconds: float | None, most: int
    ) -> Deferred[StateEntry]:
        """
        See L{IStateBus.putState<comet.interfaces.statebus.IStateBus.putState>}.
        """
        return self._alter(lambda each: each.putState(change, key, seconds, most))

    def dropState(self, change: Publication, key: str) -> Deferred[bool]:
        """
        See L{IStateBus.dropState<comet.interfaces.statebus.IStateBus.dropState>}.
        """
        return self._alter(lambda each: each.dropState(change, key))

    def _alter(self, alter: Callable[[Transaction], T]) -> Deferred[T]:
        """
        Change something beside the log, in one transaction.
        """
        if not self._isOpen:
            return fail(_notOpen())
        altered = self._line.do(partial(self._store.alter, alter, self._wallClock()))
        return altered.addCallbacks(self._altered, self._notAltered)

    def _altered(self, altered: Altered[T]) -> Deferred[T]:
        stored = altered.stored
        return self._tell(stored).addCallback(lambda _: altered.result)

    def _notAltered(self, failure: Failure) -> Failure:
        cause = None if failure.value is None else failure.value.__cause__
        if cause is not None and isFault(cause):
            self._isFaulty(cause)
        return failure

    def readState(self, channel: str, after: str, limit: int) -> Deferred[StatePage]:
        """
        See L{IStateBus.readState<comet.interfaces.statebus.IStateBus.readState>}.
        """
        read = self._read(self._logReader.keeping(channel, after, limit, self._wallClock()))
        return read.addCallback(self._pageRead)

    def _pageRead(self, page: StatePage) -> StatePage:
        self._note(page.cursor)
        return page

    def measure(self) -> Deferred[Held]:
        """
        See L{IMeasuredBus.measure}.
        """
        return self._read(self._logReader.measuring())

    # -- Listening

    def listen(self, listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        See L{IMessageBus.listen}.
        """
        self._listeners.add(listener, names)
        return succeed(None)

    def unlisten(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        See L{IMessageBus.unlisten}.
        """
        self._listeners.remove(listener, names)


def _notOpen() -> Unavailable:
    return Unavailable("the bus is not open: it has not started yet, or has stopped")
