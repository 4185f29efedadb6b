"""
Readers of the same names in the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from socket import socket
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.timers import NOT_SET

if TYPE_CHECKING:
    from comet.fanout.core import Fanout
    from comet.fanout.reader import Reader

# Stands for what could not be prepared.
_FAILED = object()


class Group:
    """
    Some readers that are written the same bytes.

    @ivar names: What they read.

    @ivar members: How many readers belong to it, live or not.

    @ivar flushed: The group was given nothing after this cursor.

    @ivar failure: Why its names cannot be heard, or L{None}.

    @ivar wroteAt: When that was, in seconds of the reactor's clock.

    @ivar isRetired: Whether the fan-out has forgotten it.
    """

    _log = Logger()

    __slots__ = (
        "_direct",
        "_fanout",
        "_fresh",
        "_live",
        "_rest",
        "failure",
        "flushed",
        "isRetired",
        "key",
        "members",
        "names",
        "timerSlot",
        "wroteAt",
    )

    def __init__(self, fanout: Fanout, key: tuple[Any, ...], names: tuple[str, ...]) -> None:
        self._fanout = fanout
        self.key = key
        self.names = names
        self.members = 0
        # What was given before there was this group may have been of its names.
        self.flushed = fanout.cursor
        self.wroteAt = 0.0
        self.failure: Failure | None = None
        self.timerSlot = NOT_SET
        self.isRetired = False
        # Live readers that stand at the fan-out's own cursor; and of these,
        # those that can be written to all at once, with their sockets.
        self._live: dict[Reader, None] = {}
        self._direct: dict[Reader, socket] = {}
        # Live readers that may have read ahead of it: each has its own.
        self._fresh: dict[Reader, None] = {}
        # While the group is given something: who was not given it yet.
        self._rest: dict[Reader, None] = {}

    def __len__(self) -> int:
        """
        How many readers are live.
        """
        return len(self._live) + len(self._direct) + len(self._fresh)

    @property
    def live(self) -> list[Reader]:
        """
        The readers that are live.
        """
        return [*self._live, *self._direct, *self._fresh]

    @property
    def size(self) -> int:
        """
        How many characters its names have.
        """
        return sum(map(len, self.names))

    def join(self, reader: Reader) -> None:
        """
        A member has read to the end of the log.
        """
        self._fresh[reader] = None

    def joinAtOnce(self, reader: Reader) -> None:
        """
        A member begins where all live members stand: at the fan-out's cursor.
        """
        if reader.direct is None:
            self._live[reader] = None
        else:
            self._direct[reader] = reader.direct

    def leave(self, reader: Reader) -> None:
        """
        A member is not live any more, or never was.
        """
        if reader.direct is not None:
            self._direct.pop(reader, None)
        self._live.pop(reader, None)
        self._fresh.pop(reader, None)

    def isPassed(self, reached: Cursor) -> bool:
        """
        Whether the group was given a message after this cursor: then a reader
        that stands there has to read it from the log.
        """
        flushed = self.flushed
        return flushed.epoch == reached.epoch and flushed.position > reached.position

    def given(self, reader: Reader) -> Cursor:
        """
        Everything up to this cursor was given to a live reader, if it had not
        read it itself.
        """
        isLive = reader in self._live or reader in self._direct
        if isLive and reader not in self._rest and self.isPassed(self._fanout.cursor):
            # The turn is not over for the other groups.
            return self.flushed
        return self._fanout.cursor

    def flush(
        self, messages: Sequence[Message], end: Cursor, prepared: dict[tuple[Any, ...], Any]
    ) -> None:
        """
        Give every live reader what it has not read of these messages.

        @param messages: At least one, in the order of positions, all of this
            group's names, and all there are up to C{end}.  Groups that are
            given the same messages may be given the same list.

        @param prepared: What was prepared in this turn, for groups of the same
            kind and shape that are given the same list.
        """
        self.flushed = messages[-1].cursor
        self.wroteAt = self._fanout.seconds()
        key = (*self.key[:2], id(messages))
        fresh = self._welcome(messages, end) if self._fresh else []
        live = list(self._live)
        if self._direct:
            reader = next(iter(self._direct))
            given = prepared.get(key)
            if given is None:
                given = prepared[key] = self._prepare(reader, messages, end)
            if given is _FAILED or not self._giveAll(reader, given):
                live += self._direct
        self._rest = dict.fromkeys(live)
        if fresh:
            live += self._settle(fresh, messages, end)
        for reader in live:
            # What was written to the others may have made this one leave.
            if reader in self._live or reader in self._direct:
                if key not in prepared:
                    prepared[key] = self._prepare(reader, messages, end)
                self._give(reader, prepared[key])
            del self._rest[reader]

    def _welcome(self, messages: Sequence[Message], end: Cursor) -> list[Reader]:
        """
        Let those that have read none of these messages, and can be written to
        with the others, be given them with the others.

        @return: The others that may have read ahead.
        """
        others = []
        first, epoch = messages[0].position, end.epoch
        for reader in list(self._fresh):
            stands = reader.progress.cursor
            if reader.direct is not None and stands.epoch == epoch and stands.position < first:
                del self._fresh[reader]
                self.joinAtOnce(reader)
            else:
                others.append(reader)
        return others

    def _settle(
        self, fresh: Sequence[Reader], messages: Sequence[Message], end: Cursor
    ) -> list[Reader]:
        """
        Give readers that may have read ahead what they have not read of these
        messages.

        @return: Those that have read none of them, and were given nothing yet.
        """
        late = []
        first, last = messages[0].position, messages[-1].position
        for reader in fresh:
            if reader not in self._fresh or reader.progress.cursor.epoch != end.epoch:
                # It has left; or has read of a new epoch before that was heard of.
                continue
            stands = reader.progress.cursor.position
            if stands < first:
                late.append(reader)
                self._rest[reader] = None
            elif stands < last:
                tail = [message for message in messages if message.position > stands]
                self._give(reader, self._prepare(reader, tail, end))
            # It may have read beyond what was heard by now.
            if reader in self._fresh and reader.progress.cursor.position <= end.position:
                del self._fresh[reader]
                self.joinAtOnce(reader)
        return late

    def takeDirect(self) -> dict[Reader, socket]:
        """
        Let all readers go that can be written to all at once: they are to be
        closed.

        @return: Each, with its socket.
        """
        direct, self._direct = self._direct, {}
        return direct

    @property
    def direct(self) -> dict[Reader, socket]:
        """
        The live readers that can be written to all at once, each with its
        socket.
        """
        return self._direct

    def _prepare(self, reader: Reader, messages: Sequence[Message], end: Cursor) -> Any:
        try:
            return reader.prepare(messages, end)
        except Exception:
            self._log.failure("preparing messages for {reader} failed", reader=reader)
            return _FAILED

    def _giveAll(self, reader: Reader, prepared: Any) -> bool:
        """
        Let one reader write to all that can be written to at once.

        @return: Whether it has, or failed in the middle of it.
        """
        readers = self._direct
        try:
            return reader.takeAll(self, prepared)
        except Exception:
            # What each of them was sent is not known: all of them come back.
            self._log.failure("writing to all of a group failed")
            for each in list(readers):
                each.failed()
            return True

    def _give(self, reader: Reader, prepared: Any) -> None:
        if prepared is _FAILED:
            reader.failed()
            return
        try:
            reader.take(prepared)
        except Exception:
            self._log.failure("writing to {reader} failed", reader=reader)
            reader.failed()

    def timedOut(self) -> None:
        """
        It has been without a reader for long enough.
        """
        self._fanout.retire(self)
