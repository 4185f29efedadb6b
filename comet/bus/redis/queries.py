"""
Answers C{read} and C{resolve} in several steps, each of which is short for
Redis.

Channels are read in one step.  For patterns, the channels are found first, a
page at a time, by their newest messages: only channels with messages after the
cursor are looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, TypeVar

from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.replies import FoundChannels, LogPage, NoLog, Overdue
from comet.bus.redis.store import MOST_CHANNELS, Store
from comet.bus.starts import MOST_LAST, LastFew, beforeOldest, resolve
from comet.model.channels import isPattern
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.patterns import PatternTable
from comet.model.positions import (
    At,
    Last,
    Now,
    ReadResult,
    ResolvedStarts,
    StartPosition,
)

# How often to drop overdue messages before asking regardless of them.
_MOST_ROUNDS: Final = 20

# How many channels are asked at once for their last few messages.  Each may
# hold a megabyte.
_MOST_TAILS: Final = 32

T = TypeVar("T")


class Changed(Exception):
    """
    A new epoch began between two steps: the query has to begin again.
    """


class _Snapshot:
    """
    What was found of some names, for L{resolve}.
    """

    def __init__(
        self,
        found: FoundChannels,
        byName: Mapping[str, Sequence[str]],
        tables: Mapping[str, LastFew],
    ) -> None:
        """
        @param byName: The channels that each name matches.

        @param tables: What L{lastFew} tells, by name.
        """
        self.end = found.end
        self._found = found
        self._byName = byName
        self._tables = tables

    def floors(self, names: Sequence[str], after: int) -> Mapping[str, int]:
        """
        See L{Snapshot.floors<comet.bus.starts.Snapshot.floors>}.
        """
        channels = self._found.channels
        floors = {}
        for name in names:
            own = 0 if name in channels else self._found.floor
            floors[name] = max([own, *(channels[each].floor for each in self._byName[name])])
        return floors

    def oldest(self, names: Sequence[str]) -> Mapping[str, int]:
        """
        See L{Snapshot.oldest<comet.bus.starts.Snapshot.oldest>}.
        """
        channels = self._found.channels
        found = {
            name: [channels[each].oldest for each in self._byName[name] if channels[each].oldest]
            for name in names
        }
        return {name: min(positions) for name, positions in found.items() if positions}

    def lastFew(self, counts: Mapping[str, int]) -> Mapping[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        return self._tables


class Queries:
    """
    Answers the questions that take several steps.
    """

    def __init__(
        self,
        store: Store,
        begin: Callable[[RedisProtocol], Awaitable[object]],
        sweep: Callable[[RedisProtocol], Awaitable[object]],
    ) -> None:
        """
        @param begin: Begins a log if there is none.

        @param sweep: Drops some of the overdue messages.
        """
        self._store = store
        self._begin = begin
        self._sweep = sweep

    async def _patiently(self, connection: RedisProtocol, ask: Callable[[bool], Awaitable[T]]) -> T:
        for _ in range(_MOST_ROUNDS):
            try:
                return await ask(False)
            except NoLog:
                await self._begin(connection)
            except Overdue:
                await self._sweep(connection)
        try:
            return await ask(True)
        except NoLog:
            raise Changed from None

    async def _find(
        self, connection: RedisProtocol, after: Cursor, names: Sequence[str]
    ) -> FoundChannels:
        """
        Find the channels of some names: all that are named, and those with
        messages after the cursor that a pattern matches.
        """
        store = self._store
        page = first = await self._patiently(
            connection, lambda isForced: store.find(connection, isForced, after, names)
        )
        channels = dict(first.channels)
        patterns = [name for name in names if isPattern(name)]
        while patterns and page.following is not None:
            page = await store.find(
                connection, True, after, patterns, page.following, first.end.position
            )
            if page.end.epoch != first.end.epoch:
                raise Changed
            channels.update(page.channels)
        return FoundChannels(first.end, max(first.floor, page.floor), first.isLost, None, channels)

    # -- Reading

    async def read(
        self,
        connection: RedisProtocol,
        names: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
    ) -> ReadResult:
        """
        See L{IMessageBus.read<comet.interfaces.IMessageBus.read>}.
        """
        names = list(dict.fromkeys(names))
        if len(names) <= MOST_CHANNELS and not any(map(isPattern, names)):
            return await self._readChannels(connection, names, after, limit, maxBytes, upTo)
        found = await self._find(connection, after, names)
        end = found.end
        isLost = found.isLost
        if isLost:
            oldest = (each.oldest for each in found.channels.values())
            after = Cursor(end.epoch, beforeOldest(oldest, end))
        last = end.position if upTo is None else min(upTo, end.position)
        reached = _reached(names, found.channels)
        extracts = []
        for part in _batches(reached, MOST_CHANNELS):
            extract = await self._store.read(connection, True, part, after, limit, maxBytes, last)
            if extract.isLost or extract.after.epoch != end.epoch:
                raise Changed
            extracts.append(extract)
        gaps = dict.fromkeys(names, 0) if isLost else {}
        lowest = 0 if isLost else after.position
        floor = max([found.floor, *(each.floor for each in extracts)])
        if floor > lowest:
            gaps.update((name, floor) for name in names if name not in found.channels)
        floors = {channel: known.floor for channel, known in found.channels.items()}
        for extract in extracts:
            floors.update(extract.floors)
        for channel, own in floors.items():
            for name in reached.get(channel, ()) if own > lowest else ():
                gaps[name] = max(gaps.get(name, 0), own)
        return _merged(extracts, after, max(last, after.position), limit, maxBytes, gaps)

    async def _readChannels(
        self,
        connection: RedisProtocol,
        names: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
    ) -> ReadResult:
        store = self._store
        found = await self._patiently(
            connection,
            lambda isForced: store.read(connection, isForced, names, after, limit, maxBytes, upTo),
        )
        lowest = 0 if found.isLost else found.after.position
        gaps = {}
        for name in names:
            floor = found.floor if name in found.missing else found.floors.get(name, 0)
            if found.isLost or floor > lowest:
                gaps[name] = floor
        return ReadResult(
            found.after,
            found.messages,
            Cursor(found.after.epoch, found.reached),
            gaps,
            found.more,
        )

    # -- Where names begin

    async def resolve(
        self, connection: RedisProtocol, names: Mapping[str, StartPosition]
    ) -> ResolvedStarts:
        """
        See L{IMessageBus.resolve<comet.interfaces.IMessageBus.resolve>}.
        """
        sought = [
            name for name, startPosition in names.items() if not isinstance(startPosition, Now)
        ]
        found = await self._find(connection, _lowest(names[name] for name in sought), sought)
        byName: dict[str, list[str]] = {name: [] for name in sought}
        for channel, reaching in _reached(sought, found.channels).items():
            for name in reaching:
                byName[name].append(channel)
        counts = {name: each.count for name, each in names.items() if isinstance(each, Last)}
        tables = await self._lastFew(connection, found, counts, byName)
        return resolve(names, _Snapshot(found, byName, tables))

    async def _lastFew(
        self,
        connection: RedisProtocol,
        found: FoundChannels,
        counts: Mapping[str, int],
        byName: Mapping[str, Sequence[str]],
    ) -> dict[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        channels = found.channels
        byCount: dict[int, list[str]] = {}
        for name, count in counts.items():
            byCount.setdefault(count, []).append(name)
        tables = {}
        for count, same in byCount.items():
            most = max(MOST_LAST // len(byCount), 1)
            held = {each for name in same for each in byName[name] if channels[each].oldest}
            # Those that are named first, and then those with the newest messages.
            sought = sorted(held, key=lambda each: (each not in counts, -channels[each].end))
            named = sum(each in counts for each in held)
            table: dict[str, int] = {}
            for part in _batches(sought[: max(most, named)], _MOST_TAILS):
                epoch, positions = await self._store.tails(
                    connection, found.end.position, dict.fromkeys(part, count)
                )
                if epoch != found.end.epoch:
                    raise Changed
                table.update(positions)
            for name in same:
                own = [table[each] for each in byName[name] if each in table]
                tables[name] = LastFew(min(own, default=found.end.position), table)
            if len(sought) > max(most, named):
                table[""] = found.end.position
        return tables


def _lowest(startPositions: Iterable[StartPosition]) -> Cursor:
    """
    Return a cursor such that nothing before it matters for some start
    positions.
    """
    lowest: Cursor | None = None
    for startPosition in startPositions:
        if not isinstance(startPosition, At):
            return Cursor("", 0)
        cursor = startPosition.cursor
        if lowest is not None and cursor.epoch != lowest.epoch:
            return Cursor("", 0)
        lowest = cursor if lowest is None else min(lowest, cursor)
    return Cursor("", 0) if lowest is None else lowest


def _reached(names: Iterable[str], channels: Iterable[str]) -> dict[str, list[str]]:
    """
    Return those of the names that match each channel.  Channels without a match
    are left out.
    """
    table: PatternTable[str] = PatternTable()
    for name in names:
        table.add(name, name)
    reached = {channel: table.matching(channel) for channel in channels}
    return {channel: reaching for channel, reaching in reached.items() if reaching}


def _batches(items: Iterable[str], size: int) -> Iterable[list[str]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _merged(
    extracts: Sequence[LogPage],
    after: Cursor,
    end: int,
    limit: int,
    maxBytes: int,
    gaps: Mapping[str, int],
) -> ReadResult:
    """
    Merge pages that begin at the same position into one result.
    """
    # After the end of an incomplete page, its messages are not known.
    stop = min([end, *(each.reached for each in extracts if each.more)])
    all_ = (message for extract in extracts for message in extract.messages)
    messages: list[Message] = []
    size = 0
    for message in sorted(all_, key=lambda message: message.position):
        if message.position > stop:
            break
        if messages and (len(messages) == limit or size + len(message.payload) > maxBytes):
            stop = messages[-1].position
            break
        messages.append(message)
        size += len(message.payload)
    more = stop < end
    return ReadResult(after, messages, Cursor(after.epoch, stop), gaps, more)
