"""
Answers C{read} and C{resolve} in several steps, each of which is short for
Redis.

How it works
============

A few channels are opened, and any that are named are read, in one step.  None of
the other questions looks at all channels if it can do with fewer:

  - For patterns, the channels are found first, by the index of names, if they
    are few.  Then these are read.

  - Otherwise the log is walked in the order in which the answer stands, slice by
    slice: the index of positions for a page; the channels by their oldest
    messages, newest messages or highest floors.  A name as wide as C{**} finds
    what it seeks in the first slice, however many channels there are.  Names are
    compared on this side, since Redis has one thread for all nodes.

  - A page ends also when it has examined so many messages, or has so many messages
    or bytes (L{comet.bus.parts}).  It tells how far it came, and the reader goes on
    from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from attrs import evolve

from comet.bus.historypage import LOST, historyPage, partialPage
from comet.bus.parts import isPart, partOf
from comet.bus.readahead import isOpening
from comet.bus.redis.channelreplies import FoundChannels, IndexSlice
from comet.bus.redis.holdings import Changed, Holdings
from comet.bus.redis.messagereplies import LogPage
from comet.bus.redis.openings import openChannels
from comet.bus.redis.page import Page, chosen
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.store import MOST_CHANNELS, Store
from comet.bus.starts import FoundStarts, beforeOldest, knownPosition, resolve
from comet.model.channels import isPattern
from comet.model.cursors import Cursor
from comet.model.patterns import NameSet
from comet.model.positions import HistoryPage, Last, Now, ReadResult, ResolvedStarts, StartPosition

# How many messages of the log one page examines.
EXAMINED: Final = 8192

# Of how many channels, and how many messages, are read in one step of a walk: at
# most, and at least, since some of the channels may have nothing.
_MOST_READ: Final = 128
_FEWEST_READ: Final = 16

# How many of the channels that patterns match are read in one step, where all of
# them were found.
_MOST_FOUND: Final = 500


class Queries:
    """
    Answers the questions that take several steps.
    """

    def __init__(self, store: Store, holdings: Holdings) -> None:
        self._store = store
        self._holdings = holdings

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
        See L{IMessageBus.read<comet.interfaces.messagebus.IMessageBus.read>}.
        """
        most = partOf(limit, maxBytes)
        result = await self._read(connection, list(dict.fromkeys(names)), after, *most, upTo)
        if result.more and isPart(len(result.messages), limit, maxBytes):
            return evolve(result, isPart=True)
        return result

    async def _read(
        self,
        connection: RedisProtocol,
        names: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
    ) -> ReadResult:
        """
        Read a part.
        """
        if len(names) <= MOST_CHANNELS and not any(map(isPattern, names)):
            return await self._readChannels(connection, names, after, limit, maxBytes, upTo)
        sought = NameSet(names)
        found = await self._holdings.find(connection, after, names)
        end, isLost = found.end, found.isLost
        gaps: dict[str, int] = {}
        if isLost:
            all_ = sought.bitsOf(names)
            oldest = await self._holdings.oldest(connection, found, sought, all_)
            after = Cursor(end.epoch, beforeOldest(oldest.values(), end))
            gaps = dict.fromkeys(names, 0)
        lowest = 0 if isLost else after.position
        last = end.position if upTo is None else min(upTo, end.position)
        page = Page(limit, maxBytes, after.position)
        if found.isComplete:
            found = await self._readFound(connection, found, sought, page, after.epoch, last)
        elif page.reached < last:
            found = await self._readWalking(connection, found, sought, page, last, lowest)
        gaps.update(await self._holdings.floors(connection, found, sought, lowest))
        reached = max(page.reached, after.position)
        return ReadResult(after, page.messages, Cursor(after.epoch, reached), gaps, reached < last)

    async def _readFound(
        self,
        connection: RedisProtocol,
        found: FoundChannels,
        names: NameSet,
        page: Page,
        epoch: str,
        last: int,
    ) -> FoundChannels:
        """
        Read the channels that were found.

        @return: These, with the floors that they have now.
        """
        after = Cursor(epoch, page.reached)
        channels = dict(found.channels)
        extracts = []
        news = [
            name
            for name, each in channels.items()
            if each.end > after.position and names.matching(name)
        ]
        for start in range(0, len(news), _MOST_FOUND):
            part = news[start : start + _MOST_FOUND]
            extract = await self._readPart(connection, part, after, page.limit, page.maxBytes, last)
            extracts.append(extract)
            for name, floor in extract.floors.items():
                channels[name] = channels[name]._replace(floor=floor)
            for name in extract.missing:
                del channels[name]
        page.add(extracts, max(last, after.position))
        return evolve(
            found,
            floor=max([found.floor, *(each.floor for each in extracts)]),
            highest=max([found.highest, *(each.highest for each in extracts)]),
            channels=channels,
        )

    async def _readWalking(
        self,
        connection: RedisProtocol,
        found: FoundChannels,
        names: NameSet,
        page: Page,
        last: int,
        lowest: int,
    ) -> FoundChannels:
        """
        Read what the index of positions says, in the order of positions.

        @param lowest: No floor matters that is not above this position.

        @return: The channels that are named, as they are now.
        """
        examined = 0
        epoch = found.end.epoch
        part: IndexSlice | None = None
        floor, highest = found.floor, found.highest
        while page.reached < last and not page.isFull:
            if part is None or part.reached <= page.reached:
                if examined >= EXAMINED:
                    break
                wanted = page.room if part is None else EXAMINED
                part = await self._store.positions(connection, page.reached, last, wanted)
                if part.end.epoch != epoch:
                    raise Changed
                examined += len(part.entries)
                floor, highest = part.floor, part.highest
            most = min(max(page.room, _FEWEST_READ), _MOST_READ)
            channels, reached = chosen(part, page.reached, names, most)
            extracts = []
            if channels:
                after = Cursor(epoch, page.reached)
                limit = min(page.room, _MOST_READ)
                extract = await self._readPart(
                    connection, channels, after, limit, page.bytesLeft, reached
                )
                extracts.append(extract)
                floor, highest = extract.floor, extract.highest
            page.add(extracts, reached)
        if names.channels and max(floor, highest) > lowest:
            # Floors are told last: messages were dropped until now.
            now = await self._store.find(connection, True, found.end, names.channels)
            if now.end.epoch != epoch:
                raise Changed
            return evolve(now, isComplete=False)
        return evolve(found, floor=floor, highest=highest)

    async def _readPart(
        self,
        connection: RedisProtocol,
        channels: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        last: int,
    ) -> LogPage:
        extract = await self._store.read(connection, True, channels, after, limit, maxBytes, last)
        if extract.isLost or extract.after.epoch != after.epoch:
            raise Changed
        return extract

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
        found = await self._holdings.patiently(
            connection,
            lambda isForced: store.read(connection, isForced, names, after, limit, maxBytes, upTo),
        )
        return _resultOf(found, names)

    async def history(
        self,
        connection: RedisProtocol,
        channel: str,
        before: Cursor | None,
        limit: int,
        maxBytes: int,
    ) -> HistoryPage:
        """
        See L{IMessageBus.history<comet.interfaces.messagebus.IMessageBus.history>}.
        """
        store, upper = self._store, before
        most, mostBytes = partOf(limit, maxBytes)
        while True:
            ask = partial(
                store.history,
                connection,
                channel=channel,
                before=upper,
                limit=most,
                maxBytes=mostBytes,
            )
            found = await self._holdings.patiently(connection, ask)
            if found.isLost:
                return LOST
            if found.messages or not (found.more and found.refused):
                page = historyPage(found.messages, found.more, found.floor, before)
                return partialPage(page, limit, maxBytes)
            # Only entries that comet has not stored were looked at.
            upper = found.lowest

    # -- Where names begin

    async def resolve(
        self, connection: RedisProtocol, names: Mapping[str, StartPosition]
    ) -> ResolvedStarts:
        """
        See L{IMessageBus.resolve<comet.interfaces.messagebus.IMessageBus.resolve>}.
        """
        sought = NameSet(
            name for name, startPosition in names.items() if not isinstance(startPosition, Now)
        )
        counts = {name: each.count for name, each in names.items() if isinstance(each, Last)}
        page = None
        if isOpening(names):
            opened = await self._holdings.patiently(
                connection, lambda isForced: openChannels(self._store, connection, isForced, names)
            )
            found, tables = opened.found, opened.lastFew(counts)
            page = _resultOf(opened.page, list(names))
        else:
            found = await self._holdings.find(connection, Cursor("", 0), sought.names)
            tables = await self._holdings.lastFew(connection, found, counts, sought)
        known = {name: knownPosition(names[name], found.end) for name in sought.names}
        unknown = [name for name, each in known.items() if each is None and name not in counts]
        oldest = await self._holdings.oldest(connection, found, sought, sought.bitsOf(unknown))
        after = min((each or 0 for each in known.values()), default=0)
        floors = await self._holdings.floors(connection, found, sought, after)
        resolved = resolve(names, FoundStarts(found.end, floors, oldest, tables))
        return evolve(resolved, page=page)


def _resultOf(found: LogPage, names: Sequence[str]) -> ReadResult:
    """
    Return the answer for channels of which a page was read.
    """
    lowest = 0 if found.isLost else found.after.position
    gaps = {}
    for name in names:
        floor = found.floor if name in found.missing else found.floors.get(name, 0)
        if found.isLost or floor > lowest:
            gaps[name] = floor
    reached = Cursor(found.after.epoch, found.reached)
    return ReadResult(found.after, found.messages, reached, gaps, found.more)
