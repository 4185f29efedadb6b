"""
The bus of one process.  Its log is in memory, and is lost with the process.
"""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from comet.bus.historypage import LOST, PageBefore, isPast
from comet.bus.idempotency import KeyBudget, KeyMemory
from comet.bus.listeners import Listeners
from comet.bus.memory.channelindex import ChannelIndex, segmentsIndexed
from comet.bus.memory.log import Record
from comet.bus.memory.positionlog import PositionLog
from comet.bus.memory.query import PatientQueries, Query
from comet.bus.outcomes import onlyOutcome
from comet.bus.starts import resolve, resolveAtEnd
from comet.clocks import steadyClock
from comet.errors import Unavailable
from comet.interfaces import IBurstBus, IBusListener, Outcome
from comet.model.cursors import Cursor, newEpoch
from comet.model.log import FLOORS_PART, Retention
from comet.model.messages import Message, Publication, Published
from comet.model.positions import HistoryPage, Now, ReadResult, ResolvedStarts, StartPosition
from comet.timers import TimerWheel

# What a channel costs in memory beside its messages, as measured on CPython
# 3.11: the log, its list, its name and its place in the table.
CHANNEL_OVERHEAD: Final = 512

# What each segment of its name but the first costs in the index.
SEGMENT_OVERHEAD: Final = 150


@implementer(IBurstBus)
class MemoryBus:
    """
    Keeps its log in memory.

    A new bus begins a new epoch.  Its positions have no holes.
    """

    isAvailable = True

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
        self._retention = retention
        self._totalBytes = totalBytes
        self._mostEmpty = totalBytes // (FLOORS_PART * CHANNEL_OVERHEAD)
        self._listeners = Listeners()
        self._wheel = TimerWheel(clock, 0.5)
        self._keys = KeyMemory(clock.seconds, budget=keyBudget)
        self._isStopped = False
        self._queries = PatientQueries(clock)
        self._reset()

    def _reset(self) -> None:
        # In the order of their newest messages, oldest first.  A plain
        # dictionary would be slow to find its first item, once many before it
        # are gone.
        self._records: OrderedDict[str, Record] = OrderedDict()
        # A heap with the oldest position of each record with messages.  An
        # entry may be out of date, and too old: it is corrected when it comes
        # up.
        self._oldest: list[tuple[int, str]] = []
        # A heap with the newest position of each record without messages.  An
        # entry may be out of date: such a record has messages, or another
        # newest position.
        self._stalest: list[tuple[int, str]] = []
        self._empty = 0
        self._size = 0
        self._floor = 0
        self._channels = ChannelIndex()
        self._positions = PositionLog()
        self.end = Cursor(newEpoch(), 0)

    @property
    def size(self) -> int:
        """
        How many bytes the held messages and channels count for.
        """
        return self._size

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
        for record in self._records.values():
            self._wheel.clear(record)
        self._queries.stop()
        self._listeners.clear()
        return succeed(None)

    def renew(self) -> None:
        """
        Drop all messages and keys, and begin a new epoch.
        """
        for record in self._records.values():
            self._wheel.clear(record)
        self._keys.clear()
        self._reset()
        self._listeners.interrupted()

    # -- Writing

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{IMessageBus.publish}.
        """
        return self.publishBurst([publications]).addCallback(onlyOutcome)

    def publishBurst(
        self, requests: Sequence[Sequence[Publication]]
    ) -> Deferred[Sequence[Outcome]]:
        """
        See L{IBurstBus.publishBurst<comet.interfaces.IBurstBus.publishBurst>}.
        """
        if self._isStopped:
            return fail(Unavailable("the bus has stopped"))
        stored: list[Message] = []
        store = partial(self._store, stored)
        outcomes: list[Outcome] = []
        for publications in requests:
            try:
                outcomes.append(self._keys.storeBatch(publications, store))
            except Exception as error:
                outcomes.append(error)
        if self._size > self._totalBytes:
            self._evict()
        if self._empty > self._mostEmpty:
            self._forgetStalest()
        if stored:
            heard = self._listeners.messagesStored(stored)
            if not heard.called:
                # A listener publishes from within a call of its own.
                return heard.addCallback(lambda _: outcomes)
        return succeed(outcomes)

    def _store(self, stored: list[Message], publication: Publication) -> Published:
        now = self._wallClock()
        epoch = self.end.epoch
        positions = {}
        for channel in publication.channels:
            record = self._touch(channel)
            position = self.end.position + 1
            message = Message(
                record.channel,
                epoch,
                position,
                now,
                publication.payload,
                publication.event,
                publication.encoding,
            )
            self._append(record, message)
            self.end = Cursor(epoch, position)
            stored.append(message)
            positions[record.channel] = position
        return Published(epoch, positions)

    def _touch(self, channel: str) -> Record:
        """
        Return the record of a channel that is about to get the newest message.
        """
        record = self._records.get(channel)
        if record is None:
            record = Record(self._recordTimedOut, channel, self._retention(channel), self._floor)
            self._records[channel] = record
            self._channels.add(record)
            self._size += _recordSize(channel)
            self._empty += 1
        else:
            self._records.move_to_end(channel)
        return record

    def _append(self, record: Record, message: Message) -> None:
        before = record.size
        wasEmpty = not len(record)
        record.append(message)
        self._positions.append(message.position, record)
        record.block.floor = max(record.block.floor, record.floor)
        self._size += record.size - before
        if wasEmpty:
            self._empty -= 1
            self._pushOldest(record)
            self._setTimer(record)
        if record.floor == message.position:
            self._emptied(record)

    def _pushOldest(self, record: Record) -> None:
        oldest = record.oldest
        if oldest is None:
            return
        heapq.heappush(self._oldest, (oldest.position, record.channel))
        if len(self._oldest) > 2 * len(self._records) + 64:
            # More than half of the entries are out of date.
            held = [(record, record.oldest) for record in self._records.values()]
            self._oldest = [(first.position, r.channel) for r, first in held if first is not None]
            heapq.heapify(self._oldest)

    def _evict(self) -> None:
        """
        Drop the oldest messages of all channels until the total is within its
        limit.
        """
        while self._size > self._totalBytes and self._oldest:
            position, channel = heapq.heappop(self._oldest)
            record = self._records.get(channel)
            oldest = None if record is None else record.oldest
            if record is None or oldest is None:
                # The record was forgotten, or its messages dropped.
                continue
            if oldest.position == position:
                self._size -= oldest.size
                record.dropOldest()
                record.block.floor = max(record.block.floor, record.floor)
                if record.floor == record.end:
                    self._emptied(record)
            self._pushOldest(record)

    def _emptied(self, record: Record) -> None:
        """
        Note that a record has lost its last message.  It is only known for its
        floor from now on, and may be forgotten by L{_forgetStalest}.
        """
        self._empty += 1
        heapq.heappush(self._stalest, (record.end, record.channel))
        if len(self._stalest) > 2 * len(self._records) + 64:
            # More than half of the entries are out of date.
            self._stalest = [(r.end, r.channel) for r in self._records.values() if not len(r)]
            heapq.heapify(self._stalest)

    def _forgetStalest(self) -> None:
        """
        Forget records without messages until they are few enough, beginning
        with the oldest newest message.
        """
        while self._empty > self._mostEmpty and self._stalest:
            end, channel = heapq.heappop(self._stalest)
            record = self._records.get(channel)
            if record is not None and not len(record) and record.end == end:
                self._forgetRecord(record)

    def _forgetRecord(self, record: Record) -> None:
        """
        Forget a channel without messages, with its floor.  The floor of all
        channels without a record rises to its newest message.
        """
        self._wheel.clear(record)
        self._empty -= 1
        self._floor = max(self._floor, record.end)
        self._size -= _recordSize(record.channel)
        del self._records[record.channel]
        self._channels.remove(record)

    def _setTimer(self, record: Record) -> None:
        # If a message is dropped early, the timer only comes too early.
        oldest = record.oldest
        if oldest is not None:
            due = oldest.time + record.retention.seconds
            self._wheel.set(record, due - self._wallClock())

    def _recordTimedOut(self, record: Record) -> None:
        self._expire(record, self._wallClock())
        self._setTimer(record)
        self._forgetStalest()

    def _expire(self, record: Record, now: float) -> None:
        """
        Drop the messages of a channel that are too old.  This forgets no
        record: a caller may have several in its hands.
        """
        before = record.size
        record.expire(now)
        record.block.floor = max(record.block.floor, record.floor)
        self._size += record.size - before
        if before and not record.size:
            self._emptied(record)

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget}.
        """
        record = self._records.get(channel)
        if record is not None and len(record):
            self._size -= record.size
            record.clear()
            record.block.floor = max(record.block.floor, record.floor)
            self._emptied(record)
            self._forgetStalest()
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
        query = Query(_Log(self), sought)
        return self._queries.ask(query, partial(resolve, names, query))

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        query = Query(_Log(self), names)
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
        record = self._records.get(channel)
        if record is None:
            return succeed(page.ended(self._floor, before))
        self._expire(record, self._wallClock())
        position = None if before is None else before.position
        page.fill(reversed(record.before(position, limit + 1)))
        return succeed(page.ended(record.floor, before))

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


def _recordSize(channel: str) -> int:
    """
    How many bytes a channel counts for, without messages.
    """
    return CHANNEL_OVERHEAD + SEGMENT_OVERHEAD * segmentsIndexed(channel) + len(channel.encode())


class _Log:
    """
    What queries know of a bus: see L{comet.bus.memory.query.Log}.
    """

    __slots__ = ("_bus", "_now")

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._now = bus._wallClock()

    @property
    def end(self) -> Cursor:
        return self._bus.end

    @property
    def floor(self) -> int:
        return self._bus._floor

    @property
    def records(self) -> OrderedDict[str, Record]:
        return self._bus._records

    @property
    def channels(self) -> ChannelIndex:
        return self._bus._channels

    @property
    def positions(self) -> PositionLog:
        return self._bus._positions

    def expire(self, record: Record) -> None:
        self._bus._expire(record, self._now)

    def isExpired(self, record: Record, message: Message) -> bool:
        return message.time + record.retention.seconds <= self._now
