"""
The bus of one process.  Its log is in memory, and is lost with the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from comet.bus.gracetimer import GraceTimer
from comet.bus.historypage import LOST, PageBefore, isPast
from comet.bus.idempotency import KeyBudget, KeyMemory
from comet.bus.listeners import Listeners
from comet.bus.membertable import MemberTable
from comet.bus.memory.buslog import BusLog
from comet.bus.memory.patientqueries import PatientQueries
from comet.bus.memory.query import Query
from comet.bus.memory.statetables import StateTables
from comet.bus.starts import resolve, resolveAtEnd
from comet.errors import TooMany, Unavailable
from comet.interfaces.busabilities import IConfigurableBus, IInstantBus, IMeasuredBus, Outcome
from comet.interfaces.memberbus import IPresence
from comet.interfaces.messagebus import IBusListener
from comet.interfaces.statebus import IStateBus
from comet.model.cursors import Cursor
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Message, Publication, Published
from comet.model.positions import HistoryPage, Now, ReadResult, ResolvedStarts, StartPosition
from comet.model.presence import MOST_TOGETHER, Holding, MemberBounds, MemberPage, presenceChannel
from comet.model.state import StateEntry, StatePage
from comet.reactor.clocks import steadyClock

# How many steps are taken in one turn after the bounds have changed: some
# milliseconds.
FITTED: Final = 2000

T = TypeVar("T")


@implementer(IInstantBus, IConfigurableBus, IMeasuredBus, IPresence, IStateBus)
class MemoryBus:
    """
    Keeps its log in memory.

    A new bus begins a new epoch.  Its positions have no holes.

    @cvar memberBounds: How many members there may be.
    """

    isAvailable = True
    memberBounds = MemberBounds()

    def __init__(
        self,
        clock: IReactorTime,
        retention: Callable[[str], Retention] = lambda channel: Retention(),
        totalBytes: int = 268435456,
        wallClock: Callable[[], float] = time.time,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        """
        @param clock: Schedules the expiry of messages.

        @param retention: Returns how much to hold of a channel, given its name.

        @param totalBytes: How many bytes to hold in all, the overhead of
            messages and channels included.  Above that, the oldest messages are
            dropped first.

        @param wallClock: Returns the time, in seconds since 1970.

        @param keyBudget: How many bytes idempotency keys may count for, beside
            C{totalBytes}.
        """
        clock = steadyClock(clock)
        self._wallClock = wallClock
        self._busLog = BusLog(clock, retention, totalBytes, wallClock)
        # That of the log, kept here, too: it is asked for with each request.
        self.end = self._busLog.end
        self._listeners = Listeners()
        self._keys = KeyMemory(clock.seconds, budget=keyBudget)
        self._state = StateTables(wallClock)
        self._isStopped = False
        self._queries = PatientQueries(clock)
        self._clock = clock
        self._fitting: IDelayedCall | None = None
        self._members = MemberTable(self.memberBounds)
        self._graceTimer = GraceTimer(clock, clock.seconds, self._leave)
        self._forgotten: Callable[[], None] = _nothing

    @property
    def size(self) -> int:
        """
        How many bytes the held messages and channels count for.
        """
        return self._busLog.size

    def start(self) -> Deferred[None]:
        """
        See L{IMessageBus.start}.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        See L{IMessageBus.stop}.
        """
        self._isStopped = True
        self._stopFitting()
        self._graceTimer.stop()
        self._busLog.clearTimers()
        self._queries.stop()
        self._listeners.clear()
        return succeed(None)

    def renew(self) -> None:
        """
        Drop all messages and keys, and begin a new epoch.
        """
        self._keys.clear()
        self._graceTimer.stop()
        self._members = MemberTable(self.memberBounds)
        self._busLog.renew()
        self.end = self._busLog.end
        self._listeners.interrupted()
        self._forgotten()

    def measure(self) -> Deferred[Held]:
        """
        See L{IMeasuredBus.measure}.
        """
        return succeed(self._busLog.measure())

    # -- Writing

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{IMessageBus.publish}.
        """
        if self._isStopped:
            return fail(Unavailable("the bus has stopped"))
        stored: list[Message] = []
        try:
            answers = self._keys.storeBatch(publications, partial(self._store, stored))
        except Exception:
            failed: Deferred[Sequence[Published]] = fail()
            # Those before it are stored, if the store itself is what failed.
            self._heard(stored, None)
            return failed
        return self._heard(stored, answers)

    def publishBurst(
        self, requests: Sequence[Sequence[Publication]]
    ) -> Deferred[Sequence[Outcome]]:
        """
        See L{IBurstBus.publishBurst<comet.interfaces.busabilities.IBurstBus.publishBurst>}.
        """
        if self._isStopped:
            return fail(Unavailable("the bus has stopped"))
        stored: list[Message] = []
        return self._heard(stored, self._storeEach(stored, requests))

    def storeNow(self, requests: Sequence[Sequence[Publication]]) -> Sequence[Outcome] | None:
        """
        See L{IInstantBus.storeNow<comet.interfaces.busabilities.IInstantBus.storeNow>}.
        """
        if self._isStopped:
            raise Unavailable("the bus has stopped")
        if self._listeners.isTelling:
            return None
        stored: list[Message] = []
        outcomes = self._storeEach(stored, requests)
        self._tell(stored)
        return outcomes

    def _storeEach(
        self, stored: list[Message], requests: Sequence[Sequence[Publication]]
    ) -> list[Outcome]:
        """
        Store each request, after those before it.

        @param stored: Where the messages are added.
        """
        outcomes: list[Outcome] = []
        for publications in requests:
            try:
                if len(publications) == 1 and publications[0].key is None:
                    # Nearly all requests are like this one, and have no key to look up.
                    outcomes.append([self._store(stored, publications[0])])
                else:
                    store = partial(self._store, stored)
                    outcomes.append(self._keys.storeBatch(publications, store))
            except Exception as error:
                outcomes.append(error)
        if self._keys.known:
            self._keys.forgetOld()
        return outcomes

    def _heard(self, stored: Sequence[Message], answer: T) -> Deferred[T]:
        """
        Tell the listeners of messages, and answer then.
        """
        heard = self._tell(stored)
        return succeed(answer) if heard is None else heard.addCallback(lambda _: answer)

    def _tell(self, stored: Sequence[Message]) -> Deferred[None] | None:
        """
        Drop what is too much, and tell the listeners of messages.

        @return: L{None} if they have heard; else, as a listener publishes from within a
            call of its own, fires when they have.
        """
        log = self._busLog
        isOver = log.size > log.totalBytes or log.empty > log.mostEmpty
        if isOver or log.emptySize > log.mostEmptySize:
            log.shrink()
        return self._listeners.tell(stored) if stored else None

    def _store(self, stored: list[Message], publication: Publication) -> Published:
        now = self._wallClock()
        positions = {}
        for channel in publication.channels:
            message = self._busLog.append(
                channel,
                publication.payload,
                publication.event,
                publication.encoding,
                now,
                publication.exclude,
            )
            self.end = self._busLog.end
            stored.append(message)
            positions[message.channel] = message.position
        return Published(self.end.epoch, positions)

    def configure(
        self,
        retention: Callable[[str], Retention],
        totalBytes: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """
        See L{IConfigurableBus.configure}.
        """
        self._stopFitting()
        if not self._isStopped:
            self._fitSome(self._busLog.fit(retention, totalBytes))

    def _stopFitting(self) -> None:
        if self._fitting is not None:
            self._fitting.cancel()
            self._fitting = None

    def _fitSome(self, steps: Iterator[None]) -> None:
        """
        Take some steps in this turn, and leave the others to further turns.
        """
        self._fitting = None
        if sum(1 for _ in islice(steps, FITTED)) == FITTED:
            self._fitting = self._clock.callLater(0, self._fitSome, steps)

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget}.
        """
        self._busLog.forget(channel)
        return succeed(None)

    # -- Reading

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        here = resolveAtEnd(names, self.end)
        if here is not None:
            return succeed(here)
        sought = [name for name, start in names.items() if not isinstance(start, Now)]
        query = Query(self._busLog.asOf(self._wallClock()), sought)
        return self._queries.ask(query, partial(resolve, names, query))

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        query = Query(self._busLog.asOf(self._wallClock()), names)
        return self._queries.ask(query, partial(query.read, after, limit, maxBytes, upTo))

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        if not isPast(before, self.end):
            return succeed(LOST)
        page = PageBefore(limit, maxBytes)
        record = self._busLog.records.get(channel)
        if record is None:
            return succeed(page.ended(self._busLog.floor, before))
        self._busLog.expire(record, self._wallClock())
        position = None if before is None else before.position
        page.fill(reversed(record.before(position, limit + 1)))
        return succeed(page.ended(record.floor, before))

    # -- Members

    def attachPresence(self, forgotten: Callable[[], None]) -> None:
        """
        See L{IPresence.attachPresence<comet.interfaces.memberbus.IPresence.attachPresence>}.
        """
        self._forgotten = forgotten

    def setPresence(self, holdings: Sequence[Holding]) -> Deferred[Sequence[Holding]]:
        """
        See L{IPresence.setPresence<comet.interfaces.memberbus.IPresence.setPresence>}.
        """
        if self._isStopped:
            return fail(Unavailable("the bus has stopped"))
        time, now = self._wallClock(), self._clock.seconds()
        refused = [each for each in holdings if not self._members.set(each, time, now)]
        return self._tellMembers().addCallback(lambda _: refused)

    def membersOf(self, channel: str, after: str | None, limit: int) -> Deferred[MemberPage]:
        """
        See L{IPresence.membersOf<comet.interfaces.memberbus.IPresence.membersOf>}.
        """
        record = self._busLog.records.get(presenceChannel(channel))
        changed = 0 if record is None else record.end
        return execute(self._members.page, channel, after, limit, self.end, changed)

    def _tellMembers(self) -> Deferred[None]:
        """
        Store what there is to tell of changes, and let members leave in time.
        """
        now = self._wallClock()
        told = []
        for change in self._members.takeChanges():
            channel = change.record.channel
            name = presenceChannel(channel.name)
            message = self._busLog.append(name, change.payload, change.event, None, now)
            self.end = self._busLog.end
            channel.changed = message.position
            told.append(message)
        self._busLog.shrink()
        self._graceTimer.nextAt(self._members.nextDue)
        return self._listeners.messagesStored(told) if told else succeed(None)

    def _leave(self) -> None:
        self._members.expire(MOST_TOGETHER, self._clock.seconds())
        self._tellMembers()

    # -- State

    def putState(
        self, change: Publication, key: str, seconds: float | None, most: int
    ) -> Deferred[StateEntry]:
        """
        See L{IStateBus.putState<comet.interfaces.statebus.IStateBus.putState>}.
        """
        if self._isStopped:
            return fail(Unavailable("the bus has stopped"))
        [channel] = change.channels
        try:
            self._state.admit(channel, key, most)
        except TooMany as error:
            return fail(error)
        stored: list[Message] = []
        self._store(stored, change)
        entry = StateEntry(key, change.payload, stored[0].time, seconds)
        self._state.put(channel, entry)
        return self._heard(stored, entry)

    def dropState(self, change: Publication, key: str) -> Deferred[bool]:
        """
        See L{IStateBus.dropState<comet.interfaces.statebus.IStateBus.dropState>}.
        """
        if self._isStopped:
            return fail(Unavailable("the bus has stopped"))
        stored: list[Message] = []
        [channel] = change.channels
        wasThere = self._state.drop(channel, key)
        if wasThere:
            self._store(stored, change)
        return self._heard(stored, wasThere)

    def readState(self, channel: str, after: str, limit: int) -> Deferred[StatePage]:
        """
        See L{IStateBus.readState<comet.interfaces.statebus.IStateBus.readState>}.
        """
        entries, rest = self._state.page(channel, after, limit)
        return succeed(StatePage(entries, self.end, rest))

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


def _nothing() -> None:
    pass
