"""
Finds what is held of some names, in steps that are short for Redis: their
floors, their oldest messages, and the last few messages of each channel.

Where the channels of patterns are few, all of them are found in one step, by the
index of names.  Otherwise the channels are walked in the order in which the
answer stands, slice by slice, until every name has been found.  Names are
compared on this side, since Redis has one thread for all nodes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from comet.bus.redis.channelreplies import FoundChannels
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.replies import NoLog, Overdue
from comet.bus.redis.store import MOST_CHANNELS, Store
from comet.bus.starts import MOST_LAST, LastFew
from comet.model.channels import isPattern
from comet.model.cursors import Cursor
from comet.model.patterns import NameSet

# How often to drop overdue messages before asking regardless of them.
_MOST_ROUNDS: Final = 20

# How many channels the first slice of a walk has: most patterns are found there.
_FIRST_SLICE: Final = 16

# How many channels, and how many of their messages, are asked at once for the
# last few.  A channel may hold a megabyte.
_MOST_TAILS: Final = 32
_MOST_TAILED: Final = 2000

T = TypeVar("T")


class Changed(Exception):
    """
    A new epoch began between two steps: the query has to begin again.
    """


class Holdings:
    """
    Finds what is held of some names.
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

    async def patiently(self, connection: RedisProtocol, ask: Callable[[bool], Awaitable[T]]) -> T:
        """
        Ask something, once messages that are overdue were dropped.

        @param ask: Asks it; called with whether Redis has to answer regardless of
            overdue messages.
        """
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

    async def find(
        self, connection: RedisProtocol, after: Cursor, names: Sequence[str]
    ) -> FoundChannels:
        """
        Find the channels that are named; and those of the patterns, if these are
        few.
        """
        return await self.patiently(
            connection, lambda isForced: self._store.find(connection, isForced, after, names)
        )

    # -- Floors, and oldest messages

    async def oldest(
        self, connection: RedisProtocol, found: FoundChannels, names: NameSet, wanted: int
    ) -> dict[str, int]:
        """
        Find the position of the oldest message that is held of some names.

        @param found: What was found of the names.

        @param wanted: The bits of those that matter.

        @return: Without the names of which nothing is held.
        """
        states = found.channels
        rows = sorted((each.oldest, name) for name, each in states.items() if each.oldest)
        oldest = _local(found, names, rows, wanted)
        if not found.isComplete:
            walked, _ = await self._walk(
                connection, found, names, wanted & names.patterns, "oldest", "-inf", "+inf"
            )
            oldest.update(walked)
        return oldest

    async def floors(
        self, connection: RedisProtocol, found: FoundChannels, names: NameSet, after: int
    ) -> dict[str, int]:
        """
        Find the floors of those names whose floor is above a position.

        @param found: What was found of the names.
        """
        floors: dict[str, int] = {}
        if max(found.floor, found.highest) <= after:
            return floors
        if found.floor > after:
            floors = {name: found.floor for name in names.names if name not in found.channels}
        states = found.channels
        rows = [(each.floor, name) for name, each in states.items() if each.floor > after]
        rows.sort(reverse=True)
        wanted = names.bitsOf(names.names)
        own = _local(found, names, rows, wanted)
        # A channel began with the bus's own floor of that time.  What matters of a
        # pattern is above that.
        lowest = max(found.floor, after)
        if not found.isComplete and found.highest > lowest:
            walked, floor = await self._walk(
                connection, found, names, names.patterns, "floors", "+inf", f"({lowest}"
            )
            own.update(walked)
            if floor > lowest:
                # A channel was forgotten meanwhile.
                own.update((name, max(own.get(name, 0), floor)) for name in _patternsOf(names))
        for name, each in own.items():
            floors[name] = max(floors.get(name, 0), each)
        return floors

    async def _walk(
        self,
        connection: RedisProtocol,
        found: FoundChannels,
        names: NameSet,
        wanted: int,
        what: str,
        first: str,
        last: str,
    ) -> tuple[dict[str, int], int]:
        """
        Walk the channels in the order of one of their positions, until each name
        was found.

        @param wanted: The bits of the names to look for.

        @param what: See L{Store.ordered}, as for C{first} and C{last}.

        @return: The position of the first channel that each name matches; and the
            bus's own floor.
        """
        positions: dict[str, int] = {}
        floor, most = 0, _FIRST_SLICE
        while wanted:
            part = await self._store.ordered(connection, what, first, last, most)
            _checkEpoch(part.end, found)
            rows = ((position, names.matching(name)) for name, position in part.channels)
            new = names.first(rows, wanted)
            positions.update(new)
            wanted &= ~names.bitsOf(new)
            floor, most = part.floor, MOST_CHANNELS
            if part.following is None:
                break
            first = f"({part.following}"
        return positions, floor

    # -- The last few messages

    async def lastFew(
        self,
        connection: RedisProtocol,
        found: FoundChannels,
        counts: Mapping[str, int],
        names: NameSet,
    ) -> dict[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        byCount: dict[int, list[str]] = {}
        for name, count in counts.items():
            byCount.setdefault(count, []).append(name)
        tables = {}
        for count, same in byCount.items():
            most = max(MOST_LAST // len(byCount), 1)
            wanted = names.bitsOf(same)
            # Those that are named first, and then those with the newest messages.
            sought = [
                name for name in same if name in found.channels and found.channels[name].oldest
            ]
            most = max(most, len(sought))
            if wanted & names.patterns:
                sought += await self._newest(
                    connection, found, names, wanted, frozenset(sought), most + 1 - len(sought)
                )
            table: dict[str, int] = {}
            told = sought[:most]
            size = max(1, min(_MOST_TAILS, _MOST_TAILED // count))
            for start in range(0, len(told), size):
                part = told[start : start + size]
                epoch, positions = await self._store.tails(
                    connection, found.end.position, dict.fromkeys(part, count)
                )
                if epoch != found.end.epoch:
                    raise Changed
                table.update(positions)
            rows = sorted((position, names.matching(name)) for name, position in table.items())
            starts = names.first(rows, wanted)
            for name in same:
                tables[name] = LastFew(starts.get(name, found.end.position), table)
            if len(sought) > most:
                table[""] = found.end.position
        return tables

    async def _newest(
        self,
        connection: RedisProtocol,
        found: FoundChannels,
        names: NameSet,
        wanted: int,
        named: frozenset[str],
        most: int,
    ) -> list[str]:
        """
        Find channels with messages that some patterns match, those with the newest
        messages first.

        @param wanted: The bits of the patterns.

        @param named: Channels to leave out.

        @param most: How many at most.
        """
        wanted &= names.patterns
        if found.isComplete:
            states = found.channels
            rows = sorted((-each.end, name) for name, each in states.items() if each.oldest)
            newest = [
                name for _, name in rows if name not in named and names.matching(name) & wanted
            ]
            return newest[:most]
        chosen: dict[str, None] = {}
        # A channel that gets a message during the walk goes to its beginning: so
        # that is looked at once more in the end.
        first, last = str(found.end.position), "-inf"
        isAgain = False
        while True:
            part = await self._store.ordered(
                connection, "heads", first, last, MOST_CHANNELS, isHeld=True
            )
            _checkEpoch(part.end, found)
            for name, _ in part.channels:
                if names.matching(name) & wanted and name not in named:
                    chosen[name] = None
            if part.following is not None and len(chosen) < most:
                first = f"({part.following}"
            elif isAgain:
                return list(chosen)[:most]
            else:
                first, last, isAgain = "+inf", f"({found.end.position}", True


def _local(
    found: FoundChannels, names: NameSet, rows: Iterable[tuple[int, str]], wanted: int
) -> dict[str, int]:
    """
    Find the first position of each name, among those of channels that were found.
    If these are not all that patterns match, only named ones count.

    @param wanted: The bits of the names to look for.
    """
    if found.isComplete:
        return names.first(((each, names.matching(name)) for each, name in rows), wanted)
    return names.first(((each, names.bitsOf([name])) for each, name in rows), wanted)


def _patternsOf(names: NameSet) -> list[str]:
    return [name for name in names.names if isPattern(name)]


def _checkEpoch(end: Cursor, found: FoundChannels) -> None:
    if end.epoch != found.end.epoch:
        raise Changed
