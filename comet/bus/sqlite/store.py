"""
Writes the database: one transaction for many publishers, and the dropping of
old messages.

Each method is one transaction: when it returns, all of it is on the disk, or
nothing is stored.  Every method waits for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from attrs import frozen

from comet.bus.idempotency import KeyBudget
from comet.bus.membertable import MemberTable
from comet.bus.refusals import Refusals
from comet.bus.sqlite.errors import isFault, isFull, notStored, reasonOf
from comet.bus.sqlite.lockfile import Connect
from comet.bus.sqlite.memberrows import loadMembers
from comet.bus.sqlite.opening import OpenDatabase, openDatabase
from comet.bus.sqlite.transaction import Transaction
from comet.errors import CometError, Unavailable, Unknown
from comet.interfaces.busabilities import Outcome
from comet.model.cursors import Cursor, newEpoch
from comet.model.log import Retention
from comet.model.messages import Message, Publication
from comet.model.presence import MemberBounds

T = TypeVar("T")


class Stored(NamedTuple):
    """
    What became of some requests that were written together.

    @ivar outcomes: The outcome of each request.

    @ivar messages: The messages that listeners have to hear, in the order of
        positions.

    @ivar end: The cursor of the newest message.

    @ivar isInterrupted: Whether the log had messages before these that this
        object did not know of.

    @ivar fault: Why the database or its lock file could not be written, or
        L{None}.
    """

    outcomes: Sequence[Outcome]
    messages: Sequence[Message]
    end: Cursor
    isInterrupted: bool = False
    fault: Exception | None = None


# Python 3.10 has no generic named tuples.
@frozen
class Altered(Generic[T]):
    """
    What became of a change beside the log.

    @ivar result: What the change has returned.

    @ivar stored: The messages that tell of it.
    """

    result: T
    stored: Stored


class NotStored(Exception):
    """
    Certainly nothing was stored.

    @ivar cause: The reason.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _nothing() -> None:
    """
    Do nothing.
    """


class Store:
    """
    Writes a database, to which no other writer may write.  It is used from one
    thread.

    @ivar end: The cursor of the newest message that is known to be stored.

    @ivar resting: Called before the thread waits for the disk.

    @ivar waking: Called when it has.
    """

    def __init__(
        self,
        path: str,
        retention: Callable[[str], Retention],
        totalBytes: int,
        connect: Connect = sqlite3.connect,
        keysNow: Callable[[], float] | None = None,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        """
        @param path: The path of the database.  It is made if it does not exist.

        @param retention: Returns how much to hold of a channel, given its name.

        @param totalBytes: How many bytes to hold in all.  Above that, the
            oldest messages are dropped first.

        @param connect: Opens a database.

        @param keysNow: Returns the time by which idempotency keys grow old, in
            seconds since 1970, or L{None} for the one that each call is given.
            Called from the thread of the store.

        @param keyBudget: How many bytes idempotency keys may count for.
        """
        self._keyBudget = KeyBudget() if keyBudget is None else keyBudget
        self._keysNow = keysNow
        self.end = Cursor("", 0)
        self.resting: Callable[[], None] = _nothing
        self.waking: Callable[[], None] = _nothing
        self._path = path
        self._retention = retention
        self._totalBytes = totalBytes
        self._connect = connect
        self._refusals = Refusals(path)
        self._opened: OpenDatabase | None = None
        self._swept = 0

    def configure(self, retention: Callable[[str], Retention], totalBytes: int) -> None:
        """
        Hold messages by other bounds from the next transaction on.  The sweeps go
        over all channels again.
        """
        self._retention = retention
        self._totalBytes = totalBytes
        self._swept = 0

    @property
    def path(self) -> str:
        """
        The path of the database; with symbolic links resolved once it is open.
        """
        return self._path if self._opened is None else self._opened.path

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._opened is not None, "the store is not open"
        return self._opened.connection

    # -- Opening and closing

    def open(self) -> str:
        """
        Open the database, or make it if there is none.

        @return: Why the log begins a new epoch; empty if it does not.

        @raise CometError: If it cannot be opened.  The error says what the
            operator can do.
        """
        self._opened = openDatabase(self._path, self._connect)
        self.end = self._opened.end
        return self._opened.renewed

    @property
    def isFirst(self) -> bool:
        """
        Whether no log was ever kept in this place before it was opened.
        """
        return self._opened is not None and self._opened.isFirst

    def close(self) -> None:
        """
        Close the database, if it is open.
        """
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def renew(self, now: float) -> Cursor:
        """
        Drop all messages and keys, and begin a new epoch.

        @return: The end of the new log.

        @raise Unavailable: If the database could not be written.
        """
        epoch = newEpoch()
        with self._changing(now) as transaction:
            for table in ("messages", "channels", "keys", "publishers", "members"):
                self._connection.execute(f"DELETE FROM {table}")
            self._connection.execute("UPDATE log SET epoch = ?", (epoch,))
            transaction.log.empty()
        self.end = Cursor(epoch, 0)
        self._note()
        return self.end

    # -- Writing

    def publish(self, calls: Sequence[Sequence[Publication]], now: float) -> Stored:
        """
        Store the publications of several requests in one transaction.  Each
        request is stored as a whole, or not at all.

        Errors of the database are not raised: they are the outcomes of the
        requests.

        @param now: The time, in seconds since 1970.
        """
        try:
            return self._publish(calls, now)
        except NotStored as error:
            cause = error.cause
            if len(calls) > 1 and (isFull(cause) or not isFault(cause)):
                # One of the requests may be the one that cannot be stored.
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
        Store each request in a transaction of its own.
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
        # A fault of the lock file loses no message, so publishers are answered.
        fault = self._note()
        return Stored(outcomes, transaction.stored, self.end, isInterrupted, fault)

    def alter(self, alter: Callable[[Transaction], T], now: float) -> Altered[T]:
        """
        Change something beside the log, and store the messages that tell of it, in one
        transaction.

        @param alter: Does it.

        @raise CometError: What C{alter} raises: nothing is changed then, and so it is with
            L{Unavailable}.  With L{Unknown} it may be.
        """
        try:
            with self._writing(now) as transaction:
                isInterrupted = transaction.log.end != self.end.position
                result = alter(transaction)
        except NotStored as error:
            if not isFault(error.cause):
                raise error.cause from None
            raise notStored(error.cause) from error.cause
        self.end = Cursor(transaction.log.epoch, transaction.log.end)
        fault = self._note()
        return Altered(result, Stored((), transaction.stored, self.end, isInterrupted, fault))

    def forget(self, channel: str, upTo: int | None, now: float) -> int | None:
        """
        Drop some of the messages that are held of a channel.

        @param upTo: The last position to drop, or L{None} for the newest
            message.

        @return: The C{upTo} of the next call, or L{None} if all is done.

        @raise Unavailable: If the database could not be written.
        """
        with self._changing(now) as transaction:
            return transaction.forget(channel, upTo)

    def sweep(self, now: float) -> bool:
        """
        Drop some of the messages that are too old or too many.

        @return: Whether there is more to drop.

        @raise Unavailable: If the database could not be written.
        """
        with self._changing(now) as transaction:
            more, swept = transaction.sweep(self._swept)
        self._swept = swept
        return more

    # -- Members

    def steadyTime(self, now: float) -> float:
        """
        Return the time of the clock that no setting of the system's clock changes, in
        seconds.

        @param now: The time to return if the store has no such clock.
        """
        return now if self._keysNow is None else self._keysNow()

    def loadMembers(self, now: float, bounds: MemberBounds | None) -> MemberTable:
        """
        Read the members that the database has.  Each is in its grace from now on.

        @param now: The time, in seconds since 1970.

        @param bounds: How many members there may be.

        @raise sqlite3.Error: If the database cannot be read.
        """
        return loadMembers(
            self._connection,
            self.steadyTime(now),
            lambda error: self._refusals.refused(error, now),
            bounds,
        )

    def newestOf(self, channel: str) -> int:
        """
        Return the position of the newest message of a channel, or 0 if it is not known.

        @raise sqlite3.Error: If the database cannot be read.
        """
        found = self._connection.execute(
            "SELECT head FROM channels WHERE name = ?", (channel,)
        ).fetchone()
        return found[0] if found else 0

    # -- Faults

    def probe(self) -> None:
        """
        Try whether the database can be written again.

        @raise Unavailable: If it cannot.
        """
        try:
            self._overwrite()
        except (sqlite3.Error, OSError) as error:
            raise notStored(error) from error
        fault = self._note()
        if fault is not None:
            raise notStored(fault) from fault

    def _note(self) -> sqlite3.Error | None:
        """
        Note the log end in the lock file, and what was written for it.

        @return: Why it could not be noted, or L{None}.
        """
        assert self._opened is not None, "the store is not open"
        self._opened.journal.noteWritten()
        try:
            self._opened.lockFile.note(self.end.position, self._opened.database.written)
        except sqlite3.Error as error:
            return error
        return None

    # -- Transactions

    @contextmanager
    def _changing(self, now: float) -> Iterator[Transaction]:
        """
        Run a transaction that stores no messages, and may be repeated without
        harm.

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
        Run a transaction, and commit it.

        @raise NotStored: If nothing was stored.

        @raise Unknown: If the outcome cannot be known.
        """
        try:
            self._checkFiles()
            self._connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(
                self._connection,
                self._retention,
                self._totalBytes,
                now,
                self.steadyTime(now),
                self._keyBudget,
                lambda error: self._refusals.refused(error, now),
            )
            yield transaction
            transaction.save()
        except Exception as error:
            self._rollBack()
            raise NotStored(error) from error
        self.resting()
        try:
            try:
                self._connection.execute("COMMIT")
            finally:
                self.waking()
        except sqlite3.Error as error:
            self._rollBack()
            self._settle(error, transaction.log.end)

    def _rollBack(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # Either nothing was begun, or the next transaction reports the
            # error.
            pass

    def _settle(self, error: sqlite3.Error, end: int) -> None:
        """
        Find out what became of a commit that failed.  Return if it is stored.

        @raise NotStored: If it is not stored.

        @raise Unknown: If the outcome cannot be known.
        """
        try:
            [found] = self._connection.execute("SELECT head FROM log").fetchone()
            if found == end and end != self.end.position:
                return
            # A commit that was written, but not completely, may reappear after
            # a crash.  Another commit in its place in the write-ahead log
            # prevents that.
            self._overwrite()
        except sqlite3.Error as second:
            if isFull(error) and isFull(second):
                # There was no room for the last part, which makes the commit
                # valid.
                raise NotStored(error) from error
            raise Unknown(
                f"it is not known whether this is stored: {reasonOf(error)}; publish it again "
                "with the same key"
            ) from error
        raise NotStored(error) from error

    def _overwrite(self) -> None:
        """
        Commit a change that means nothing.
        """
        self._checkFiles()
        self._connection.execute("UPDATE log SET probes = probes + 1")

    def _checkFiles(self) -> None:
        """
        Check that nothing was taken from under the database.
        """
        assert self._opened is not None, "the store is not open"
        self._opened.database.check()
        self._opened.journal.check()
