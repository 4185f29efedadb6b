"""
The database, as whoever writes it sees it: what is published, one transaction
for many publishers, and what goes with time.

Each method is one transaction: all of it is on the disk when it returns, or
nothing is stored.  They wait for the disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from comet.bus.sqlite.errors import isFault, isFull, notStored, reasonOf
from comet.bus.sqlite.lockfile import Connect
from comet.bus.sqlite.opening import OpenDatabase, openDatabase
from comet.bus.sqlite.transaction import Transaction
from comet.errors import CometError, Unavailable, Unknown
from comet.model.cursors import Cursor, newEpoch
from comet.model.log import Retention
from comet.model.messages import Message, Publication, Published

# An answer for each publication of a call, or why nothing of it was stored.
Outcome: TypeAlias = Sequence[Published] | Exception


class Stored(NamedTuple):
    """
    What became of some calls that were handed over together.

    @ivar outcomes: One for each call.

    @ivar messages: What is to be heard, in the order of positions.

    @ivar end: The newest message.

    @ivar isInterrupted: Whether messages may be stored, before these, of which
        it was not known.

    @ivar fault: Why the database could not be written, or L{None}.
    """

    outcomes: Sequence[Outcome]
    messages: Sequence[Message]
    end: Cursor
    isInterrupted: bool = False
    fault: Exception | None = None


class NotStored(Exception):
    """
    Nothing was stored, for certain.

    @ivar cause: Why.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Store:
    """
    A database that is written from here and from nowhere else.

    All is done from one thread.

    @ivar end: The newest message that is known to be stored.
    """

    def __init__(
        self,
        path: str,
        retention: Callable[[str], Retention],
        totalBytes: int,
        connect: Connect = sqlite3.connect,
    ) -> None:
        """
        @param path: Where the database is, or will be made.

        @param retention: How much to hold of a channel, by its name.

        @param totalBytes: How much to hold in all; then the oldest messages
            go first.

        @param connect: Opens a database.
        """
        self.end = Cursor("", 0)
        self._path = path
        self._retention = retention
        self._totalBytes = totalBytes
        self._connect = connect
        self._opened: OpenDatabase | None = None
        self._swept = 0

    @property
    def path(self) -> str:
        """
        The whole path of the database, once it is open.
        """
        return self._path if self._opened is None else self._opened.path

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._opened is not None, "the store is not open"
        return self._opened.connection

    # -- Its life

    def open(self) -> str:
        """
        Open the database, or make it.

        @return: Why the log begins a new epoch; empty if it does not.

        @raise CometError: If that cannot be, with what a person can do.
        """
        self._opened = openDatabase(self._path, self._connect)
        self.end = self._opened.end
        return self._opened.renewed

    def close(self) -> None:
        """
        Leave one file in order, and let go of it.  Does nothing if it is not
        open.
        """
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def renew(self, now: float) -> Cursor:
        """
        Forget everything, and begin a new epoch.

        @return: The head of the log that begins.

        @raise Unavailable: If that could not be written.
        """
        epoch = newEpoch()
        with self._changing(now) as transaction:
            for table in ("messages", "channels", "keys"):
                self._connection.execute(f"DELETE FROM {table}")
            self._connection.execute("UPDATE log SET epoch = ?", (epoch,))
            transaction.log.empty()
        self.end = Cursor(epoch, 0)
        return self.end

    # -- Writing

    def publish(self, calls: Sequence[Sequence[Publication]], now: float) -> Stored:
        """
        Store what several publishers asked for, each all or nothing, in one
        transaction.  Raises nothing of what can go wrong with a database.

        @param now: In seconds since 1970.
        """
        try:
            return self._publish(calls, now)
        except NotStored as error:
            cause = error.cause
            if len(calls) > 1 and (isFull(cause) or not isFault(cause)):
                # One of them may have asked for what cannot be.
                return self._publishEach(calls, now)
            outcome = notStored(cause) if isFault(cause) else cause
            return self._failed(calls, outcome, cause)
        except Unknown as error:
            return self._failed(calls, error, error.__cause__)

    def _failed(
        self, calls: Sequence[object], outcome: Exception, fault: BaseException | None
    ) -> Stored:
        found = fault if isinstance(fault, Exception) and isFault(fault) else None
        return Stored([outcome] * len(calls), (), self.end, fault=found)

    def _publishEach(self, calls: Sequence[Sequence[Publication]], now: float) -> Stored:
        """
        Store what each publisher asked for by itself.
        """
        several = [self.publish([call], now) for call in calls]
        return Stored(
            [stored.outcomes[0] for stored in several],
            [message for stored in several for message in stored.messages],
            self.end,
            any(stored.isInterrupted for stored in several),
            several[-1].fault,
        )

    def _publish(self, calls: Sequence[Sequence[Publication]], now: float) -> Stored:
        outcomes: list[Outcome] = []
        with self._writing(now) as transaction:
            isInterrupted = transaction.log.end != self.end.position
            for call in calls:
                try:
                    outcomes.append(transaction.publish(call))
                except CometError as error:
                    outcomes.append(error)
        self.end = Cursor(transaction.log.epoch, transaction.log.end)
        return Stored(outcomes, transaction.stored, self.end, isInterrupted)

    def forget(self, channel: str, upTo: int | None, now: float) -> int | None:
        """
        Drop some of what is held of a channel.

        @param upTo: The last position to drop, or L{None} for all there is.

        @return: The last position to drop next time; or L{None} if all is done.

        @raise Unavailable: If that could not be written.
        """
        with self._changing(now) as transaction:
            return transaction.forget(channel, upTo)

    def sweep(self, now: float) -> bool:
        """
        Drop some of what is too old or too much.

        @return: Whether there is more.

        @raise Unavailable: If that could not be written.
        """
        with self._changing(now) as transaction:
            more, swept = transaction.sweep(self._swept)
        self._swept = swept
        return more

    def probe(self) -> None:
        """
        Find out whether the database can be written, after it could not be.

        @raise Unavailable: If it cannot.
        """
        try:
            self._overwrite()
        except (sqlite3.Error, OSError) as error:
            raise notStored(error) from error

    # -- Transactions

    @contextmanager
    def _changing(self, now: float) -> Iterator[Transaction]:
        """
        A transaction that stores no messages: to do it again does no harm.

        @raise Unavailable: If it could not be written.
        """
        try:
            with self._writing(now) as transaction:
                yield transaction
        except NotStored as error:
            if not isFault(error.cause):
                raise error.cause from None
            raise notStored(error.cause) from error.cause
        except Unknown as error:
            raise Unavailable(error.detail) from error

    @contextmanager
    def _writing(self, now: float) -> Iterator[Transaction]:
        """
        A transaction, which is committed in the end.

        @raise NotStored: If nothing was stored.

        @raise Unknown: If that cannot be known.
        """
        try:
            self._checkFile()
            self._connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(self._connection, self._retention, self._totalBytes, now)
            yield transaction
            transaction.save()
        except Exception as error:
            self._rollBack()
            raise NotStored(error) from error
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollBack()
            self._settle(error, transaction.log.end)

    def _rollBack(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # Then nothing was begun, or the next transaction finds it so.
            pass

    def _settle(self, error: sqlite3.Error, end: int) -> None:
        """
        Find out what became of a commit that failed; return if it is stored.

        @raise NotStored: If it is not.

        @raise Unknown: If that cannot be known.
        """
        try:
            [found] = self._connection.execute("SELECT head FROM log").fetchone()
            if found == end and end != self.end.position:
                return
            # What was written, but not for certain, would be found after a
            # crash; another commit in the same place ends that.
            self._overwrite()
        except sqlite3.Error as second:
            if isFull(error) and isFull(second):
                # The last part, that makes a commit, had no room.
                raise NotStored(error) from error
            raise Unknown(
                f"it is not known whether this is stored: {reasonOf(error)}; publish it again "
                "with the same key"
            ) from error
        raise NotStored(error) from error

    def _overwrite(self) -> None:
        """
        Commit something that nobody reads.
        """
        self._checkFile()
        self._connection.execute("UPDATE log SET probes = probes + 1")

    def _checkFile(self) -> None:
        """
        What is stored in a file without a name would be lost.
        """
        assert self._opened is not None, "the store is not open"
        try:
            found = os.stat(self._opened.path)
            isSame = (found.st_dev, found.st_ino) == self._opened.identity
        except FileNotFoundError:
            isSame = False
        if not isSame:
            raise OSError("moved or replaced")
