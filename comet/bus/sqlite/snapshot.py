"""
The log at one moment, for one question: its channels and messages, looked at in
steps that are short.

What has not found its answer after some time goes on in another step: other
questions are answered in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from time import thread_time
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from comet.bus.refusals import Refusals
from comet.bus.sqlite.readrows import (
    ChannelRow,
    fetchChannels,
    fetchLengths,
    fetchMessages,
    fetchNames,
    fetchStored,
)
from comet.bus.sqlite.rows import endOf
from comet.framing.stored import (
    NotOurs,
    StoredMessage,
    checkManyStored,
    checkStoredChannel,
)
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message
from comet.model.patterns import NameSet

# How many channels that begin as a pattern does are each looked at, before the
# log is walked instead.
FEW: Final = 400

# How many rows the walk of one question looks at; its caller asks on.
EXAMINED: Final = 1024

# How many rows are fetched together, and after how many seconds a step ends.  The next step
# may be of another question, which waits for this one.
TOGETHER: Final = 64
STEP_SECONDS: Final = 0.002

# No position is as great.
ABOVE_ALL: Final = 2**63 - 1

T = TypeVar("T")

# Something that is done in steps.
Steps: TypeAlias = Generator[None, None, T]


class Channel(NamedTuple):
    """
    A channel at one moment, without messages that are too old.

    @ivar bits: The bits of the names that reach it.

    @ivar oldest: The position of the oldest message that is held.  It has no
        meaning if none is held.
    """

    id: int
    name: str
    bits: int
    end: int
    floor: int
    oldest: int
    held: int


class Entry(NamedTuple):
    """
    A message that is held, and that the names reach.

    @ivar bits: The bits of the names that reach its channel.

    @ivar length: How many bytes its payload has.
    """

    position: int
    channel: str
    bits: int
    length: int


class Changed(Exception):
    """
    A new epoch began between two steps: the question has to be asked again.
    """


class Snapshot:
    """
    The log at one moment, inside a transaction; and at a later one after each
    L{pause}.

    @cvar few: How many channels are few, to be looked at one by one.

    @cvar examined: How many rows the walk of a question looks at.

    @cvar together: How many rows are fetched together.

    @cvar stepSeconds: After how many seconds a step ends.

    @ivar end: The end of the log at the first moment.

    @ivar floor: The bus's own floor.

    @ivar now: The time, in seconds since 1970.

    @ivar names: The names that are asked about.

    @ivar overdue: Channels with messages that are too old, as far as it is known.
    """

    few = FEW
    examined = EXAMINED
    together = TOGETHER
    stepSeconds = STEP_SECONDS

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        retention: Callable[[str], Retention],
        now: float,
        names: Iterable[str],
        refusals: Refusals,
        seconds: Callable[[], float] = thread_time,
    ) -> None:
        """
        @param connect: Returns the connection that is open at this moment.

        @param names: The names that are asked about.

        @param seconds: Tells the time by which steps are short: that of the thread, which
            waits for the interpreter as long as the reactor is busy.
        """
        self._seconds = seconds
        self._over = seconds() + self.stepSeconds
        self._connect = connect
        self._retention = retention
        self.now = now
        self.names = NameSet(names)
        # The names that reach each channel that was compared.
        self._matching: dict[str, int] = {}
        self.overdue: set[str] = set()
        self._refusals = refusals
        self.end = self._begin()

    # -- Transactions

    def _begin(self) -> Cursor:
        """
        Begin a transaction.

        @return: The end of the log.
        """
        self._connection = self._connect()
        self._connection.execute("BEGIN")
        row = self._connection.execute("SELECT epoch, head, floor FROM log").fetchone()
        end = endOf(row)
        self.floor = row[2]
        return end

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """
        Execute a statement.
        """
        return self._connection.execute(statement, tuple(values))

    def close(self) -> None:
        """
        End the transaction.
        """
        self._connection.execute("ROLLBACK")

    def rest(self) -> Iterator[None]:
        """
        Go on in another step if this one has taken its time.
        """
        if self._seconds() >= self._over:
            yield from self.pause()

    def pause(self) -> Iterator[None]:
        """
        Go on in another step.
        """
        self.close()
        self._matching.clear()
        yield
        self._over = self._seconds() + self.stepSeconds
        if self._begin().epoch != self.end.epoch:
            self.close()
            raise Changed

    # -- Channels

    def bits(self, name: str) -> int:
        """
        The bits of the names that reach a channel.
        """
        bits = self._matching.get(name)
        if bits is None:
            bits = self._matching[name] = self.names.matching(name)
        return bits

    def reach(self, raw: bytes | None) -> tuple[str, int]:
        """
        Tell which names reach the channel of a row.

        @param raw: What the row has for its name.

        @return: Its name, and the bits of the names that reach it.  If these are 0, the
            name was not checked.
        """
        try:
            name = "" if raw is None else raw.decode()
            bits = self.bits(name)
            # Nearly all rows of a walk are of channels that no name reaches.
            return (checkStoredChannel(name), bits) if bits else (name, 0)
        except (NotOurs, UnicodeDecodeError) as error:
            self._refusals.refused(error, self.now)
            return "", 0

    def rows(self, which: str, *values: object) -> list[ChannelRow]:
        """
        Fetch rows of channels, in no order.

        @param which: The rest of the statement that selects them.

        @param values: Its parameters.
        """
        return fetchChannels(self._connection, which, values)

    def scan(self, after: int) -> tuple[list[ChannelRow], int | None]:
        """
        Look at the names of the next channels in the order of their numbers.

        @param after: The number after which to begin.

        @return: The rows of those that the names reach; and the number up to which it has
            looked, or L{None} if there are no more.
        """
        # A name takes a third of the time that a row does.
        most = 4 * self.together
        names = fetchNames(self._connection, after, most)
        reached = [number for number, raw in names.items() if self.reach(raw)[1]]
        rows: list[ChannelRow] = []
        for start in range(0, len(reached), self.together):
            some = ", ".join(map(str, reached[start : start + self.together]))
            rows += self.rows(f"WHERE id IN ({some})")
        return rows, max(names) if len(names) == most else None

    def channels(self, rows: Iterable[ChannelRow]) -> list[Channel]:
        """
        Return the channels of those rows that the names reach.
        """
        found = []
        for row in rows:
            name, bits = self.reach(row.raw)
            if not bits:
                continue
            channel = Channel(row.id, name, bits, row.end, row.floor, row.oldest, row.held)
            if row.held:
                seconds = self._retention(name).seconds
                if (row.since or 0.0) + seconds <= self.now:
                    channel = self._expired(channel, seconds)
            found.append(channel)
        return found

    def _expired(self, channel: Channel, seconds: float) -> Channel:
        """
        Return a channel without the messages that are too old.
        """
        limits = (channel.id, seconds, self.now)
        kept = self.execute(
            "SELECT position FROM messages WHERE channel = ? AND CAST(time AS REAL) + ? > ? "
            "ORDER BY position LIMIT 1",
            limits,
        ).fetchone()
        oldest = kept[0] if kept else 0
        count, floor = self.execute(
            "SELECT count(*), max(position) FROM messages WHERE channel = ? AND position < ?",
            (channel.id, oldest if kept else ABOVE_ALL),
        ).fetchone()
        floor = channel.floor if floor is None else floor
        return channel._replace(floor=floor, oldest=oldest, held=channel.held - count)

    def named(self) -> Iterator[Channel]:
        """
        The channels that are named.
        """
        for name in self.names.channels:
            yield from self.channels(self.rows("WHERE name = ?", name))

    def _begun(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """
        Conditions for the channels that begin as the patterns do.
        """
        for prefix in self.names.prefixes:
            # '0' follows the slash in Unicode.
            yield (
                ("name >= ? AND name < ?", (prefix, f"{prefix[:-1]}0")) if prefix else ("TRUE", ())
            )

    def isFew(self, most: int | None = None) -> bool:
        """
        Whether few channels begin as the patterns do.

        @param most: How many are few; L{few} unless it is given.
        """
        if most is None:
            most = self.few
        for which, values in self._begun():
            [count] = self._connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM channels WHERE {which} LIMIT ?)",
                (*values, most + 1),
            ).fetchone()
            most -= count
            if most < 0:
                return False
        return True

    def reached(self, which: str = "TRUE", *values: object) -> Iterator[Channel]:
        """
        Look at each channel that the names can reach.

        @param which: A condition.  With a plus before a column, SQLite does not
            use an index of that column in the place of the index of names.

        @return: Those that the names reach.
        """
        for name in self.names.channels:
            yield from self.channels(self.rows(f"WHERE name = ? AND {which}", name, *values))
        for begun, prefix in self._begun():
            rows = self.rows(f"WHERE {begun} AND {which}", *prefix, *values)
            for channel in self.channels(rows):
                # Those that are named have been told.
                if not channel.bits & ~self.names.patterns:
                    yield channel

    # -- Messages

    def walked(self, after: int, last: int, most: int) -> tuple[list[Entry], int]:
        """
        Look at the next messages in the order of positions.

        @param after: The position after which to begin.

        @param last: The position at which to end.

        @param most: How many to look at; L{together} at most.

        @return: Those that are held and that the names reach; and the position up to which
            it has looked.
        """
        rows = fetchMessages(self._connection, after, last, most)
        entries = []
        for row in rows:
            name, bits = self.reach(row.raw)
            if not bits:
                continue
            if (row.time or 0.0) + self._retention(name).seconds > self.now:
                entries.append(Entry(row.position, name, bits, row.length))
            else:
                self.overdue.add(name)
        return entries, rows[-1].position if len(rows) == most else last

    def entries(
        self, channel: Channel, after: int, before: int, most: int, isNewest: bool = False
    ) -> list[Entry]:
        """
        Look at messages of a channel between two positions.

        @param most: How many at most.

        @param isNewest: Whether the newest of them come first; otherwise the oldest.
        """
        after = max(after, channel.floor)
        found = fetchLengths(self._connection, channel.id, after, before, most, isNewest)
        return [Entry(position, channel.name, channel.bits, length) for position, length in found]

    def messages(self, entries: Sequence[Entry]) -> Steps[list[Message]]:
        """
        Read messages, without those that are no longer held, and those that comet cannot
        have stored.
        """
        messages: list[Message] = []
        for start in range(0, len(entries), self.together):
            yield from self.rest()
            messages += self.messagesNow(entries[start : start + self.together])
        return messages

    def messagesNow(self, entries: Sequence[Entry]) -> list[Message]:
        """
        Read a few messages, as L{messages} does, in this step.
        """
        stored = fetchStored(self._connection, [(each.position, each.length) for each in entries])
        return self._checked(
            StoredMessage(each.channel, self.end.epoch, each.position, *stored[each.position])
            for each in entries
            if each.position in stored
        )

    def _checked(self, stored: Iterable[StoredMessage]) -> list[Message]:
        """
        Make messages of what is stored of them, without those that comet cannot have
        stored.
        """
        messages, refused = checkManyStored(list(stored))
        for error in refused:
            self._refusals.refused(error, self.now)
        return messages
