"""
Answers questions about the log of the memory bus, in slices that are short for
the reactor.

How it works
============

What is asked for is one of these: the floors of some names, the oldest message
of each, the last few messages of each channel, or the messages after a position
(L{Query}).  None of them looks at all channels if it can do with fewer:

  - Names that reach few channels, which the L{index of
    channels<comet.bus.memory.channelindex>} tells from how they begin, or from a
    segment that they spell after a star: each of these channels is looked at.

  - Otherwise the log is walked in the order in which the answer stands: the
    L{positions<comet.bus.memory.positionlog>} from the front for the oldest
    messages, from a position on for a page; the channels from the newest one
    back for the last few messages; the highest floors first.  A name as wide as
    C{**} finds what it seeks at once, however many channels there are.

  - A page ends also when it has examined so many messages.  It tells how far it
    came, and the reader goes on from there.  So to read the log once costs as
    much as it has messages, however much of it the names reach.

  - What is left are names that spell nothing that few channels have, and reach
    next to nothing, such as C{*/*/*}: to know that, each channel has to be compared
    once.  A query that would compare too many at once is put off:
    L{PatientQueries<comet.bus.memory.patientqueries.PatientQueries>} compares a few
    of the channels in each turn of the reactor.  What a name matches does not change
    with time.  Then the query is answered as a whole, at one moment.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar

from comet.bus.memory.channelindex import ChannelIndex, Reach
from comet.bus.memory.log import Block, Record, merged
from comet.bus.memory.positionlog import PositionLog
from comet.bus.starts import LastFew, beforeOldest, lastFew
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.patterns import NameSet
from comet.model.positions import ReadResult

# How many channels are compared with the names of queries in one go, and how many in
# each turn of a query that was put off: with a hundred patterns of sixteen segments
# that is about one share of time (L{comet.reactor.turns}).
COMPARED: Final = 1024
IN_TURN: Final = 512

# How much of the log one page examines; a channel that has to be compared with
# the names counts for several messages.
EXAMINED: Final = 8192
_COMPARISON: Final = 6

T = TypeVar("T")

_end = attrgetter("end")
_floor = attrgetter("floor")


class Log(Protocol):
    """
    What a query has to know of the bus.
    """

    @property
    def end(self) -> Cursor:
        """
        The cursor of the newest message.
        """

    @property
    def floor(self) -> int:
        """
        The floor of all channels without a record.
        """

    @property
    def records(self) -> OrderedDict[str, Record]:
        """
        All records by channel, in the order of their newest messages.
        """

    @property
    def channels(self) -> ChannelIndex:
        """
        All records, in the order of names.
        """

    @property
    def positions(self) -> PositionLog:
        """
        All messages, in the order of positions.
        """

    def expire(self, record: Record) -> None:
        """
        Drop the messages of a channel that are too old.
        """

    def isExpired(self, record: Record, message: Message) -> bool:
        """
        Whether a message is too old.
        """


class TooMuch(Exception):
    """
    More channels have to be compared than may be in one go.
    """


class Query:
    """
    Answers questions about some names, all at the moment at which it is asked.

    @cvar compared: How many channels are compared in one go.

    @cvar examined: How much of the log one page examines.
    """

    compared = COMPARED
    examined = EXAMINED

    def __init__(self, log: Log, names: Iterable[str]) -> None:
        self._log = log
        self._set = NameSet(names)
        # The names that reach each channel that was compared.
        self._matching: dict[Record, int] = {}
        self._mayCompare = self.compared
        # Whether every channel that the names can reach was compared.
        self._isComplete = False
        self._comparedAt = log.end
        self._found: Reach | None = None

    @property
    def end(self) -> Cursor:
        """
        The cursor of the newest message.
        """
        return self._log.end

    def _bits(self, record: Record) -> int:
        """
        The bits of the names that reach a channel.

        @raise TooMuch: If too many channels were compared in this go.
        """
        bits = self._matching.get(record)
        if bits is None:
            if not self._mayCompare and not self._isComplete:
                raise TooMuch
            self._mayCompare -= 1
            bits = self._matching[record] = self._set.matching(record.channel)
        return bits

    def forgetCompared(self) -> None:
        """
        Forget which channels the names reach, to take no memory.
        """
        self._matching.clear()

    def compareAll(self) -> Iterator[None]:
        """
        Compare every channel that the names can reach.  Channels may come and
        go meanwhile.

        @return: Does some of it for each item.
        """
        log = self._log
        self._comparedAt = log.end
        self._found = None
        blocks = [block.records[start:end] for block, start, end in self._blocks()]
        left = most = min(self.compared, IN_TURN)
        for records in [list(filter(None, map(log.records.get, self._set.channels))), *blocks]:
            for record in records:
                if record not in self._matching:
                    self._matching[record] = self._set.matching(record.channel)
                    left -= 1
                    if not left:
                        left = most
                        yield
        self._isComplete = True
        self._found = None
        # A channel that came meanwhile has a message of this time.
        since = self._comparedAt.position if log.end.epoch == self._comparedAt.epoch else 0
        for _, record in log.positions.after(since):
            self._bits(record)

    # -- Which channels

    @property
    def _reach(self) -> Reach:
        """
        Which channels the patterns can reach.
        """
        if self._found is None:
            self._found = self._log.channels.reach(self._set, min(COMPARED, self.compared))
        return self._found

    @property
    def _wide(self) -> int:
        """
        The bits of the patterns that can reach many channels.
        """
        return self._set.patterns & ~self._reach.narrow

    def _named(self) -> Iterator[tuple[Record, int]]:
        """
        The records of the names that are channels.
        """
        records = self._log.records
        for name in self._set.channels:
            record = records.get(name)
            if record is not None:
                yield record, self._bits(record)

    def _blocks(self) -> Iterator[tuple[Block, int, int]]:
        return self._log.channels.within(self._reach.prefixes)

    def _near(self) -> Iterator[tuple[Record, int]]:
        """
        The channels that are named, and those that narrow patterns reach.
        """
        yield from self._named()
        for record in self._reach.records:
            bits = self._bits(record)
            # Those that are named have been told.
            if bits and not bits & ~self._set.patterns:
                yield record, bits

    def _reached(self) -> Iterator[tuple[Record, int]]:
        """
        The channels that the names reach.  If all were compared, some may be
        among them that the bus has forgotten, without messages.
        """
        if self._isComplete:
            for record, bits in self._matching.items():
                if bits:
                    yield record, bits
            return
        yield from self._near()
        for block, start, end in self._blocks():
            for record in islice(block.records, start, end):
                bits = self._bits(record)
                if bits and record not in self._reach.records and not bits & ~self._set.patterns:
                    yield record, bits

    # -- Questions

    def floors(self, names: Sequence[str], after: int) -> dict[str, int]:
        """
        The floors of those names whose floor is above a position.

        @param names: All names of the query.
        """
        log = self._log
        floors = {}
        if log.floor > after:
            floors = {name: log.floor for name in names if name not in log.records}
        for name in self._set.channels:
            record = log.records.get(name)
            if record is not None and record.floor > after:
                floors[name] = record.floor
        if self._set.patterns:
            near = [record for record in self._reach.records if record.floor > after]
            near.sort(key=_floor, reverse=True)
            found = self._highest(near, self._reach.narrow)
            found.update(self._highest(self._byFloor(after), self._wide))
            for name, floor in found.items():
                floors[name] = max(floors.get(name, 0), floor)
        return floors

    def _highest(self, records: Iterable[Record], wanted: int) -> dict[str, int]:
        """
        The highest floor of each of some names, given records with the highest
        floor first.
        """
        return self._set.first(((each.floor, self._bits(each)) for each in records), wanted)

    def _byFloor(self, after: int) -> Iterator[Record]:
        """
        The records whose floor is above a position, highest floor first.
        """
        # What is to come: records by their floors, and blocks by their bounds.
        # The number in the middle keeps records from being compared.
        heap: list[tuple[int, int, Any]] = []
        number = 0
        for found in self._blocks():
            if found[0].floor > after:
                number += 1
                heap.append((-found[0].floor, number, found))
        heapq.heapify(heap)
        while heap:
            _, _, found = heapq.heappop(heap)
            if isinstance(found, Record):
                yield found
                continue
            block, start, end = found
            block.tighten()
            for record in islice(block.records, start, end):
                if record.floor > after:
                    number += 1
                    heapq.heappush(heap, (-record.floor, number, record))

    def oldest(self, names: Iterable[str]) -> dict[str, int]:
        """
        The position of the oldest message that is held of each of some names.
        Names without messages are left out.
        """
        wanted = self._set.bitsOf(names)
        found = self._oldestOf(self._near(), wanted & ~self._wide)
        wanted &= self._wide
        if wanted:
            found.update(self._set.first(self._front(), wanted))
            wanted &= ~self._set.bitsOf(found)
        if wanted:
            found.update(self._oldestOf(self._reached(), wanted))
        return found

    def _oldestOf(self, reached: Iterable[tuple[Record, int]], wanted: int) -> dict[str, int]:
        """
        The position of the oldest message of each of some names, given the
        channels that they reach.
        """
        held = []
        for record, bits in reached if wanted else ():
            if bits & wanted and len(record):
                self._log.expire(record)
                position = record.oldestPosition
                if position is not None:
                    held.append((position, bits))
        held.sort()
        return self._set.first(held, wanted)

    def _front(self) -> Iterator[tuple[int, int]]:
        """
        The oldest messages of the log: their positions, and the names that
        reach them.  It ends when enough was examined.
        """
        examined = 0
        for position, record in self._log.positions.after(0):
            examined += 1
            if examined > self.examined:
                return
            if position > record.floor:
                bits = self._bits(record)
                if bits and not self._hasExpired(record, position):
                    yield position, bits

    def _hasExpired(self, record: Record, position: int) -> bool:
        if self._log.isExpired(record, record.at(position)):
            self._log.expire(record)
            return True
        return False

    def lastFew(self, counts: Mapping[str, int]) -> dict[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        return lastFew(counts, self._set, self._newest, Record.beforeLast, self.end)

    def _newest(self, wanted: int) -> Iterator[tuple[Record, int]]:
        """
        The channels with messages that some of the names reach: those that are
        named, and then those with the newest messages first.
        """
        for record, bits in self._named():
            if bits & wanted and self._holds(record):
                yield record, bits & wanted
        if not wanted & self._set.patterns:
            return
        if not wanted & self._wide:
            found = [record for record, bits in self._near() if bits & wanted]
            found.sort(key=_end, reverse=True)
            records: Iterable[Record] = found
        else:
            records = map(self._log.records.__getitem__, reversed(self._log.records))
        for record in records:
            if len(record):
                bits = self._bits(record)
                if bits & wanted and not bits & ~self._set.patterns and self._holds(record):
                    yield record, bits & wanted

    def _holds(self, record: Record) -> bool:
        """
        Whether a channel holds messages that are not too old.
        """
        self._log.expire(record)
        return len(record) > 0

    def read(self, after: Cursor, limit: int, maxBytes: int, upTo: int | None) -> ReadResult:
        """
        See L{IMessageBus.read<comet.interfaces.messagebus.IMessageBus.read>}.
        """
        end = self._log.end
        gaps: dict[str, int] = {}
        isLost = not after.isKnownAt(end)
        if isLost:
            oldest = self.oldest(self._set.names)
            gaps = dict.fromkeys(self._set.names, 0)
            after = Cursor(end.epoch, beforeOldest(oldest.values(), end))
        last = end.position if upTo is None else min(upTo, end.position)
        messages, reached = self._page(after.position, last, limit, maxBytes)
        # Floors are told last: messages that are too old were dropped until now.
        gaps.update(self.floors(self._set.names, 0 if isLost else after.position))
        return ReadResult(after, messages, Cursor(after.epoch, reached), gaps, reached < last)

    def _page(self, after: int, last: int, limit: int, maxBytes: int) -> tuple[list[Message], int]:
        """
        @return: Messages, and the position up to which they are complete.
        """
        messages: list[Message] = []
        size = 0
        found = self._messages(after, last)
        for position, message in found:
            if message is None:
                # Enough was examined.
                return messages, position
            if messages and (len(messages) == limit or size + len(message.payload) > maxBytes):
                return messages, messages[-1].position
            messages.append(message)
            size += len(message.payload)
        return messages, max(last, after)

    def _messages(self, after: int, last: int) -> Iterator[tuple[int, Message | None]]:
        """
        The messages between two positions, in order; and, if enough was
        examined, L{None} with the last position that was.
        """
        if after >= last:
            return
        if not self._wide and len(self._reach.records) <= last - after:
            for message in self._merged(after):
                if message.position > last:
                    return
                yield message.position, message
            return
        examined = 0
        for position, record in self._log.positions.after(after):
            if position > last:
                return
            examined += 1
            if position > record.floor:
                if record not in self._matching:
                    examined += _COMPARISON
                    bits = self._matching[record] = self._set.matching(record.channel)
                else:
                    bits = self._matching[record]
                if bits:
                    message = record.at(position)
                    if self._log.isExpired(record, message):
                        self._log.expire(record)
                    else:
                        yield position, message
            if examined >= self.examined and position < last:
                yield position, None
                return

    def _merged(self, after: int) -> Iterator[Message]:
        records = []
        for record, _ in self._near():
            if record.end > after:
                self._log.expire(record)
                records.append(record)
        return merged(records, after)
