"""
The log at one moment, for one question: its channels and messages, looked at in
steps that are short.

What has not found its answer after so many rows goes on in another step: other
questions are answered in between, and the reactor has the interpreter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from comet.bus.refusals import Refusals
from comet.framing.stored import (
    MOST_BYTES,
    NotOurs,
    StoredMessage,
    checkManyStored,
    checkStoredChannel,
    checkStoredEpoch,
)
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message
from comet.model.patterns import NameSet

# How many channels that begin as a pattern does are each looked at, before the
# log is walked instead.
FEW: Final = 400

# How many rows one step of a walk looks at.  The reactor waits for the interpreter
# meanwhile.
EXAMINED: Final = 1024

# No position is as great.
ABOVE_ALL: Final = 2**63 - 1

T = TypeVar("T")

# Something that is done in steps.
Steps: TypeAlias = Generator[None, None, T]

# A text that is not UTF-8 would fail the whole query, so texts are read as bytes.
_COLUMNS: Final = "id, CAST(name AS BLOB), head, floor, oldest, since, held"
_PARTS: Final = (
    "m.time, CAST(m.event AS BLOB), CAST(m.encoding AS BLOB), CASE WHEN typeof(m.payload) = 'blob' "
    f"AND length(m.payload) <= {MOST_BYTES} THEN m.payload END"
)
_MESSAGE: Final = f"SELECT {_PARTS} FROM messages m WHERE m.position = ?"


class Channel(NamedTuple):
    """
    A channel at one moment, without messages that are too old.

    @ivar oldest: The position of the oldest message that is held.  It has no
        meaning if none is held.
    """

    id: int
    name: str
    end: int
    floor: int
    oldest: int
    held: int


class Walked(NamedTuple):
    """
    A message that a walk has come to.

    @ivar isLast: Whether the walk ends with it, and there are more.

    @ivar isHeld: Whether it is not too old.

    @ivar stored: What is stored of it, if that was asked for.
    """

    position: int
    channel: str
    isLast: bool
    isHeld: bool
    stored: StoredMessage | None


class Changed(Exception):
    """
    A new epoch began between two steps: the question has to be asked again.
    """


class Snapshot:
    """
    The log at one moment, inside a transaction; and at a later one after each
    L{pause}.

    @cvar few: How many channels are few, to be looked at one by one.

    @cvar examined: How many rows one step of a walk looks at.

    @ivar end: The end of the log at the first moment.

    @ivar floor: The bus's own floor.

    @ivar now: The time, in seconds since 1970.

    @ivar names: The names that are asked about.

    @ivar overdue: Channels with messages that are too old, as far as it is known.

    @ivar isTired: Whether this step has looked at many rows.
    """

    few = FEW
    examined = EXAMINED

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        retention: Callable[[str], Retention],
        now: float,
        names: Iterable[str],
        refusals: Refusals,
    ) -> None:
        """
        @param connect: Returns the connection that is open at this moment.

        @param names: The names that are asked about.
        """
        self._connect = connect
        self._retention = retention
        self.now = now
        self.names = NameSet(names)
        # The names that reach each channel that was compared.
        self._matching: dict[str, int] = {}
        self.overdue: set[str] = set()
        self._refusals = refusals
        self.isTired = False
        self.end = self._begin()

    # -- Transactions

    def _begin(self) -> Cursor:
        """
        Begin a transaction.

        @return: The end of the log.
        """
        self._connection = self._connect()
        self._connection.execute("BEGIN")
        epoch, end, self.floor = self._connection.execute(
            "SELECT epoch, head, floor FROM log"
        ).fetchone()
        try:
            return Cursor(checkStoredEpoch(epoch), end)
        except NotOurs as error:
            raise sqlite3.DatabaseError(f"database disk image is malformed: {error}") from None

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
        Go on in another step if this one has looked at many rows, and say that it
        will have.
        """
        if self.isTired:
            yield from self.pause()
        self.isTired = True

    def pause(self) -> Iterator[None]:
        """
        Go on in another step.
        """
        self.close()
        self._matching.clear()
        self.isTired = False
        yield
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

    def nameOf(self, raw: object) -> str:
        """
        Return the name of a channel, or an empty text for what is none.
        """
        try:
            return checkStoredChannel(_text(raw))
        except NotOurs as error:
            self._refusals.refused(error, self.now)
            return ""

    def channels(self, which: str, *values: object) -> Iterator[Channel]:
        """
        Look at channels.

        @param which: The rest of the statement that selects them.

        @param values: Its parameters.
        """
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM channels {which}", values)
        for number, raw, end, floor, oldest, since, held in found:
            name = self.nameOf(raw)
            if not name:
                continue
            channel = Channel(number, name, end, floor, oldest, held)
            if held:
                seconds = self._retention(name).seconds
                if _number(since) + seconds <= self.now:
                    channel = self._expired(channel, seconds)
            yield channel

    def _expired(self, channel: Channel, seconds: float) -> Channel:
        """
        Return a channel without the messages that are too old.
        """
        found = self._connection.execute(
            "SELECT position, time FROM messages WHERE channel = ? ORDER BY position",
            (channel.id,),
        )
        floor, held = channel.floor, channel.held
        oldest = 0
        for position, time in found:
            if _number(time) + seconds > self.now:
                oldest = position
                break
            floor, held = position, held - 1
        found.close()
        return channel._replace(floor=floor, oldest=oldest, held=held)

    def named(self) -> Iterator[tuple[Channel, int]]:
        """
        The channels that are named.
        """
        for name in self.names.channels:
            for channel in self.channels("WHERE name = ?", name):
                yield channel, self.bits(name)

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

    def reached(self, which: str = "TRUE", *values: object) -> Iterator[tuple[Channel, int]]:
        """
        Look at each channel that the names can reach.

        @param which: A condition.  With a plus before a column, SQLite does not
            use an index of that column in the place of the index of names.

        @return: Those that the names reach.
        """
        for name in self.names.channels:
            for channel in self.channels(f"WHERE name = ? AND {which}", name, *values):
                yield channel, self.bits(name)
        for begun, prefix in self._begun():
            for channel in self.channels(f"WHERE {begun} AND {which}", *prefix, *values):
                bits = self.bits(channel.name)
                # Those that are named have been told.
                if bits and not bits & ~self.names.patterns:
                    yield channel, bits

    # -- Messages

    def stored(self, name: str, position: int) -> StoredMessage:
        """
        Return what is stored of the message at a position, which is held.
        """
        parts = self._connection.execute(_MESSAGE, (position,)).fetchone()
        return self._storedOf(name, position, parts)

    def _storedOf(self, name: str, position: int, parts: Sequence[Any]) -> StoredMessage:
        time, event, encoding, payload = parts
        return StoredMessage(
            name, self.end.epoch, position, time, payload, _text(event), _text(encoding)
        )

    def checked(self, stored: Sequence[StoredMessage]) -> list[Message]:
        """
        Make messages of what is stored of them, without those that comet cannot have
        stored.
        """
        messages, refused = checkManyStored(stored)
        for error in refused:
            self._refusals.refused(error, self.now)
        return messages

    def walked(self, after: int, last: int, hasParts: bool = False) -> Iterator[Walked]:
        """
        Walk messages in the order of positions, as many as one step looks at.

        @param hasParts: Whether to tell what is stored of each, which is of use if most
            of them are wanted.
        """
        most = self.examined
        parts = f", {_PARTS}" if hasParts else ""
        found = self._connection.execute(
            f"SELECT m.position, CAST(c.name AS BLOB), m.time{parts} FROM messages m "
            "CROSS JOIN channels c ON c.id = m.channel "
            "WHERE m.position > ? AND m.position <= ? ORDER BY m.position",
            (after, last),
        )
        for position, raw, time, *rest in found:
            most -= 1
            name = self.nameOf(raw)
            isHeld = bool(name) and _number(time) + self._retention(name).seconds > self.now
            if name and not isHeld:
                self.overdue.add(name)
            stored = self._storedOf(name, position, rest) if rest else None
            yield Walked(position, name, not most and position < last, isHeld, stored)
            if not most:
                break
        found.close()


def _text(raw: object) -> str | bytes | None:
    """
    Decode a text of the database, or return the bytes that are not UTF-8: no
    check takes them for a text.
    """
    if not isinstance(raw, bytes):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _number(value: float | str | bytes) -> float:
    """
    Return a time of the database.  What is no number counts as very old.
    """
    return value if isinstance(value, (float, int)) else 0.0
