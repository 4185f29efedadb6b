"""
Reads the log, while another thread may write it.

Each answer is of one moment: messages that are committed during a read are not
in it.  Messages that are too old are not in it either, even if they have not
been dropped yet.  An answer that takes several steps is of the moment at which
it was asked for, with the floors of the last step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import thread_time
from typing import TypeVar

from attrs import evolve

from comet.bus.parts import AHEAD_BYTES, AHEAD_MESSAGES
from comet.bus.readahead import isOpening
from comet.bus.refusals import Refusals
from comet.bus.sqlite.holdings import Holdings
from comet.bus.sqlite.lockfile import Connect
from comet.bus.sqlite.pagereader import PageReader
from comet.bus.sqlite.snapshot import Changed, Snapshot, Steps
from comet.bus.sqlite.statetable import StateTable
from comet.model.cursors import Cursor
from comet.model.held import MOST_COUNTED, Held
from comet.model.log import Retention
from comet.model.positions import HistoryPage, Now, ReadResult, ResolvedStarts, StartPosition
from comet.model.state import StatePage

T = TypeVar("T")


class LogReader:
    """
    Reads a database that exists already.  It is used from one thread.
    """

    def __init__(
        self,
        path: str,
        retention: Callable[[str], Retention],
        connect: Connect = sqlite3.connect,
        seconds: Callable[[], float] = thread_time,
    ) -> None:
        """
        @param retention: Returns how much to hold of a channel, given its name.

        @param seconds: Tells the time by which steps are short: that of the thread, which
            waits for the interpreter as long as the reactor is busy.
        """
        self._seconds = seconds
        self._path = path
        self.retention = retention
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._refusals = Refusals(path)

    def close(self) -> None:
        """
        Close the connection.  The next read opens another.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def resolve(self, names: Mapping[str, StartPosition], now: float) -> ResolvedStarts:
        """
        See L{comet.interfaces.messagebus.IMessageBus.resolve}.

        @param now: The time, in seconds since 1970.

        @raise sqlite3.Error: If the database cannot be read.
        """
        return self._whole(self.resolving(names, now))

    def read(
        self,
        names: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
        now: float,
    ) -> ReadResult:
        """
        See L{comet.interfaces.messagebus.IMessageBus.read}.

        @param now: The time, in seconds since 1970.

        @raise sqlite3.Error: If the database cannot be read.
        """
        return self._whole(self.reading(names, after, limit, maxBytes, upTo, now))

    # -- In steps

    def resolving(
        self, names: Mapping[str, StartPosition], now: float
    ) -> Iterator[ResolvedStarts | None]:
        """
        Do what L{resolve} does, for L{step}.
        """
        sought = [name for name, start in names.items() if not isinstance(start, Now)]
        ask = _open if isOpening(names) else _resolve
        return self._asking(sought, now, lambda snapshot: ask(snapshot, names))

    def reading(
        self,
        names: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
        now: float,
    ) -> Iterator[ReadResult | None]:
        """
        Do what L{read} does, for L{step}.
        """
        return self._asking(
            names, now, lambda snapshot: PageReader(snapshot).read(after, limit, maxBytes, upTo)
        )

    def recalling(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int, now: float
    ) -> Iterator[HistoryPage | None]:
        """
        See L{comet.interfaces.messagebus.IMessageBus.history}, for L{step}.

        @param now: The time, in seconds since 1970.
        """
        return self._asking(
            [channel], now, lambda snapshot: PageReader(snapshot).history(before, limit, maxBytes)
        )

    def keeping(self, table: str, after: str, limit: int, now: float) -> Iterator[StatePage]:
        """
        See L{comet.interfaces.statebus.IStateBus.readState}, for L{step}.

        @param now: The time, in seconds since 1970.
        """
        snapshot = self._snapshot((), now)
        page = StateTable(self._connected(), table, now).page(after, limit, snapshot.end)
        snapshot.close()
        yield page

    def measuring(self) -> Iterator[Held]:
        """
        See L{comet.interfaces.busabilities.IMeasuredBus.measure}, for L{step}.
        """
        connection = self._connected()
        query = "SELECT size, channels, channels - empty FROM log"
        size, rows, channels = connection.execute(query).fetchone()
        messages: int | None = None
        if rows <= MOST_COUNTED:
            [messages] = connection.execute("SELECT total(held) FROM channels").fetchone()
        yield Held(channels, None if messages is None else int(messages), size)

    def step(self, steps: Iterator[T | None]) -> T | None:
        """
        Do one step, which is short.

        @return: The answer, or L{None} if there is more to do.

        @raise sqlite3.Error: If the database cannot be read.
        """
        try:
            return next(steps)
        except BaseException:
            # A new connection may be able to read.
            self.close()
            raise

    def _whole(self, steps: Iterator[T | None]) -> T:
        while True:
            answer = self.step(steps)
            if answer is not None:
                return answer

    def _asking(
        self, names: Iterable[str], now: float, ask: Callable[[Snapshot], Steps[T]]
    ) -> Iterator[T | None]:
        while True:
            snapshot = self._snapshot(names, now)
            try:
                answer = yield from ask(snapshot)
            except Changed:
                continue
            snapshot.close()
            yield answer
            return

    def _snapshot(self, names: Iterable[str], now: float) -> Snapshot:
        return Snapshot(self._connected, self.retention, now, names, self._refusals, self._seconds)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = self._connect(self._path, timeout=2.0, isolation_level=None)
            connection.execute("PRAGMA query_only = ON")
            self._connection = connection
        return self._connection


def _resolve(snapshot: Snapshot, names: Mapping[str, StartPosition]) -> Steps[ResolvedStarts]:
    return (yield from Holdings(snapshot).resolve(names))


def _open(snapshot: Snapshot, names: Mapping[str, StartPosition]) -> Steps[ResolvedStarts]:
    """
    Find where a few channels begin, and read ahead from there.
    """
    resolved = yield from Holdings(snapshot).resolve(names)
    after = min(start.position for start in resolved.starts.values())
    cursor = Cursor(resolved.end.epoch, after)
    page = yield from PageReader(snapshot).read(cursor, AHEAD_MESSAGES, AHEAD_BYTES, None)
    return evolve(resolved, page=page)
