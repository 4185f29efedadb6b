"""
The log of the memory bus: the messages of all channels, and what of them is
dropped.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from twisted.internet.interfaces import IReactorTime

from comet.bus.memory.account import Account
from comet.bus.memory.channelindex import ChannelIndex, segmentsIndexed
from comet.bus.memory.log import Record
from comet.bus.memory.positionlog import PositionLog
from comet.bus.memory.query import Log
from comet.model.cursors import Cursor, cursorOf, newEpoch
from comet.model.held import MOST_COUNTED, Held
from comet.model.log import FLOORS_PART, NAMED_FLOORS_PART, RESERVED_PART, Retention
from comet.model.messages import ExcludingMessage, Message
from comet.reactor.timers import TimerWheel

# What a channel costs in memory beside its messages, as measured on CPython
# 3.11: the log, its list, its name and its place in the table.
CHANNEL_OVERHEAD: Final = 512

# What each segment of its name but the first costs in the index.
SEGMENT_OVERHEAD: Final = 150


class BusLog:
    """
    All channels of the bus, within bounds.

    @ivar end: The cursor of the newest message.

    @ivar floor: The floor of all channels without a record.

    @ivar size: How many bytes the held messages and channels count for.

    @ivar totalBytes: How many they may count for.

    @ivar empty: How many channels have no messages.

    @ivar mostEmpty: How many of these may be remembered.

    @ivar emptySize: How many bytes they count for.

    @ivar mostEmptySize: How many bytes they may count for.

    @ivar records: All records by channel, in the order of their newest messages.

    @ivar channels: All records, in the order of names.

    @ivar positions: All messages, in the order of positions.
    """

    def __init__(
        self,
        clock: IReactorTime,
        retention: Callable[[str], Retention],
        totalBytes: int,
        wallClock: Callable[[], float],
    ) -> None:
        """
        @param clock: Schedules the expiry of messages.

        @param retention: Returns how much to hold of a channel, given its name.

        @param totalBytes: How many bytes to hold in all.

        @param wallClock: Returns the time, in seconds since 1970.
        """
        self._wallClock = wallClock
        self._retention = retention
        self._wheel = TimerWheel(clock, 0.5)
        self._setBounds(totalBytes)
        self._reset()

    def _setBounds(self, totalBytes: int) -> None:
        self.totalBytes = totalBytes
        self._mostReserved = totalBytes // RESERVED_PART
        self.mostEmpty = totalBytes // (FLOORS_PART * CHANNEL_OVERHEAD)
        self.mostEmptySize = totalBytes // NAMED_FLOORS_PART

    def _reset(self) -> None:
        # A plain dictionary would be slow to find its first item, once many before
        # it are gone.
        self.records: OrderedDict[str, Record] = OrderedDict()
        # The server's own channels, and those that clients may publish to.
        self._reserved, self._others = Account(self.records), Account(self.records)
        # A heap with the newest position of each record without messages.  An
        # entry may be out of date: such a record has messages, or another
        # newest position.
        self._stalest: list[tuple[int, str]] = []
        self.empty = self.emptySize = 0
        self.size = 0
        self.floor = 0
        self.channels = ChannelIndex()
        self.positions = PositionLog()
        self.end = Cursor(newEpoch(), 0)

    def renew(self) -> None:
        """
        Drop all messages, and begin a new epoch.
        """
        self.clearTimers()
        self._reset()

    def measure(self) -> Held:
        """
        Tell how much is held.
        """
        records = self.records
        isQuick = len(records) <= MOST_COUNTED
        messages = sum(map(len, records.values())) if isQuick else None
        return Held(self._reserved.channels + self._others.channels, messages, self.size)

    def clearTimers(self) -> None:
        """
        Let no message expire any more.
        """
        for record in self.records.values():
            self._wheel.clear(record)

    # -- Storing

    def append(
        self,
        channel: str,
        payload: bytes,
        event: str | None,
        encoding: str | None,
        now: float,
        exclude: str | None = None,
    ) -> Message:
        """
        Store a message of a channel, which is the newest of the log.  The caller tells
        the listeners, and calls L{shrink} once the log holds too much.
        """
        record = self.records.get(channel)
        if record is None:
            record = self._addRecord(channel)
        else:
            self.records.move_to_end(channel)
        epoch, last = self.end
        position = last + 1
        name = record.channel
        if exclude is None:
            message = Message(name, epoch, position, now, payload, event, encoding)
        else:
            message = ExcludingMessage(
                name, epoch, position, now, payload, event, encoding, exclude
            )
        before = record.size
        wasEmpty = record.append(message)
        self.positions.append(position, record)
        floor, block = record.floor, record.block
        if floor > block.floor:
            block.floor = floor
        account = self._reserved if record.isReserved else self._others
        grown = record.size - before
        self.size += grown
        account.size += grown
        if wasEmpty and floor != position:
            self.empty -= 1
            self.emptySize -= record.ownSize
            account.filled(record)
            self._setTimer(record)
        elif floor == position:
            # The retention holds no message as large as this one.
            if wasEmpty:
                self._noteStale(record)
            else:
                self._emptied(record)
        self.end = cursorOf((epoch, position))
        return message

    def _addRecord(self, channel: str) -> Record:
        """
        Make the record of a channel that is about to get its first message.
        """
        record = Record(self._recordTimedOut, channel, self._retention(channel), self.floor)
        record.ownSize = recordSize(channel)
        self.records[channel] = record
        self.channels.add(record)
        self.size += record.ownSize
        self.empty += 1
        self.emptySize += record.ownSize
        return record

    def _accountOf(self, record: Record) -> Account:
        return self._reserved if record.isReserved else self._others

    # -- Dropping

    def shrink(self) -> None:
        """
        Drop what is too much in all.
        """
        if self.size > self.totalBytes:
            self._evict(self.totalBytes)
        self._forgetStalest()

    def _evict(self, totalBytes: int) -> None:
        """
        Drop messages until the total is within its limit: the oldest of the
        server's own channels while these take more than their part, then the
        oldest of all others.  What channels without messages take goes last.
        """
        reserved, others = self._reserved, self._others
        while self.size > totalBytes and reserved.size > self._mostReserved:
            if not self._dropOldestOf(reserved):
                break
        while self.size > totalBytes and self._dropOldestOf(others):
            pass
        while self.size > totalBytes and self._forgetOne():
            pass

    def _dropOldestOf(self, account: Account) -> bool:
        """
        Drop the oldest message of an account.

        @return: Whether there was one.
        """
        record = account.withOldest()
        if record is None:
            return False
        self._dropOldest(record)
        return True

    def _dropOldest(self, record: Record) -> None:
        before = record.size
        record.dropOldest()
        self._hasDropped(record, before)

    def _hasDropped(self, record: Record, before: int) -> None:
        """
        Note that a record has lost messages.

        @param before: How many bytes its messages counted for, which is not 0.
        """
        if record.floor > record.block.floor:
            record.block.floor = record.floor
        dropped = before - record.size
        self.size -= dropped
        self._accountOf(record).size -= dropped
        if not len(record):
            self._emptied(record)

    def _emptied(self, record: Record) -> None:
        """
        Note that a record has lost its last message.  It is only known for its
        floor from now on, and may be forgotten by L{_forgetStalest}.
        """
        self.empty += 1
        self.emptySize += record.ownSize
        self._accountOf(record).emptied(record)
        self._noteStale(record)

    def _noteStale(self, record: Record) -> None:
        """
        Note the newest position of a record without messages.
        """
        heapq.heappush(self._stalest, (record.end, record.channel))
        if len(self._stalest) > 2 * len(self.records) + 64:
            # More than half of the entries are out of date.
            self._stalest = [(r.end, r.channel) for r in self.records.values() if not len(r)]
            heapq.heapify(self._stalest)

    def fit(self, retention: Callable[[str], Retention], totalBytes: int) -> Iterator[None]:
        """
        Bring what is held within other bounds, in short steps.

        @param retention: Returns how much to hold of a channel, given its name.

        @param totalBytes: How many bytes to hold in all.
        """
        self._retention = retention
        for channel in list(self.records):
            record = self.records.get(channel)
            if record is None:
                continue
            record.retention = retention(channel)
            while record.isBeyond(self._wallClock()):
                self._dropOldest(record)
                yield
            self._setTimer(record)
            yield
        # What is published meanwhile must not have to drop all of it at once.
        self._mostReserved = totalBytes // RESERVED_PART
        while self.size > totalBytes and (len(self._reserved) or len(self._others)):
            self.totalBytes = max(totalBytes, self.size - 1)
            self._evict(self.totalBytes)
            yield
        self._setBounds(totalBytes)
        self._forgetStalest()

    def _forgetStalest(self) -> None:
        """
        Forget records without messages until they are few enough, beginning
        with the oldest newest message.
        """
        while self.empty > self.mostEmpty or self.emptySize > self.mostEmptySize:
            if not self._forgetOne():
                break

    def _forgetOne(self) -> bool:
        """
        Forget the record without messages whose newest message is the oldest.

        @return: Whether there was one.
        """
        while self._stalest:
            end, channel = heapq.heappop(self._stalest)
            record = self.records.get(channel)
            if record is not None and not len(record) and record.end == end:
                self._forgetRecord(record)
                return True
        return False

    def _forgetRecord(self, record: Record) -> None:
        """
        Forget a channel without messages, with its floor.  The floor of all
        channels without a record rises to its newest message.
        """
        self._wheel.clear(record)
        self.empty -= 1
        self.emptySize -= record.ownSize
        self.floor = max(self.floor, record.end)
        self.size -= record.ownSize
        del self.records[record.channel]
        self.channels.remove(record)

    def forget(self, channel: str) -> None:
        """
        Drop all messages of a channel.
        """
        record = self.records.get(channel)
        if record is not None and len(record):
            before = record.size
            record.clear()
            self._hasDropped(record, before)
            self._forgetStalest()

    # -- Reading

    def asOf(self, now: float) -> Log:
        """
        Return the log for a query, without the messages that are too old.

        @param now: The time, in seconds since 1970.
        """
        return _View(self, now)

    # -- Expiry

    def _setTimer(self, record: Record) -> None:
        # If a message is dropped early, the timer only comes too early.
        oldest = record.oldest
        if oldest is not None:
            due = oldest.time + record.retention.seconds
            self._wheel.set(record, due - self._wallClock())

    def _recordTimedOut(self, record: Record) -> None:
        self.expire(record, self._wallClock())
        self._setTimer(record)
        self._forgetStalest()

    def expire(self, record: Record, now: float) -> None:
        """
        Drop the messages of a channel that are too old.  This forgets no
        record: a caller may have several in its hands.

        @param now: The time, in seconds since 1970.
        """
        before = record.size
        if before:
            record.expire(now)
            self._hasDropped(record, before)


class _View:
    """
    What queries know of the log at one time: see L{comet.bus.memory.query.Log}.
    """

    __slots__ = ("_log", "_now")

    def __init__(self, log: BusLog, now: float) -> None:
        self._log = log
        self._now = now

    @property
    def end(self) -> Cursor:
        return self._log.end

    @property
    def floor(self) -> int:
        return self._log.floor

    @property
    def records(self) -> OrderedDict[str, Record]:
        return self._log.records

    @property
    def channels(self) -> ChannelIndex:
        return self._log.channels

    @property
    def positions(self) -> PositionLog:
        return self._log.positions

    def expire(self, record: Record) -> None:
        self._log.expire(record, self._now)

    def isExpired(self, record: Record, message: Message) -> bool:
        return message.time + record.retention.seconds <= self._now


def recordSize(channel: str) -> int:
    """
    How many bytes a channel counts for, without messages.
    """
    return CHANNEL_OVERHEAD + SEGMENT_OVERHEAD * segmentsIndexed(channel) + len(channel.encode())
