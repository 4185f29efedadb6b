"""
The life of a reader: its state, its group, where it stands, and how it ends.

Nothing here reads the log.  L{Reader<comet.fanout.reader.Reader>}, which does, is the layer
above.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from comet.errors import CometError, Forbidden, Internal, publicError
from comet.fanout.core import Fanout
from comet.fanout.delivery import Delivery
from comet.fanout.groups import Group
from comet.fanout.states import TRANSITIONS, Input, State, step
from comet.interfaces.sockets import DirectSocket
from comet.logging.clientlog import ClientLogger
from comet.model.clients import ANONYMOUS, Client
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.progress import Progress
from comet.reactor.timers import NOT_SET


class LivingReader:
    """
    What a reader has in every state: it is a
    L{member<comet.fanout.delivery.Member>} of its group.

    A subclass says how its client is told something, and when the state changes.

    @ivar progress: Where the reader stands.

    @ivar state: What the reader is doing.

    @ivar client: The client for which it reads: at first, and for the application's own
        readers, that of which nothing is known.

    @ivar connection: The connection of its client, where that has several readers: they
        wait for the bus in one line.  L{None} for a reader that has a line of its own.

    @ivar group: The group that the reader is a member of; L{None} before its
        names are resolved, after it is closed, and if it does not listen.

    @ivar readerID: The id that its client has given its readers, or L{None}: the reader is
        spared the messages that exclude it.  Set by
        L{SparedReaders.add<comet.fanout.spared.SparedReaders.add>}.

    @ivar isListening: Whether the reader hears what is published.  If not, it
        reads what is held, and that is all.
    """

    _log = ClientLogger()

    isListening = True

    __slots__ = (
        *("_waiting", "client", "connection", "fanout", "group"),
        *("progress", "readerID", "state", "timerSlot"),
    )

    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.client: Client = ANONYMOUS
        self.connection: object | None = None
        self.readerID: str | None = None
        self.progress = Progress(fanout.bus.end)
        self.state = State.OPENING
        self.timerSlot = NOT_SET
        self.group: Group | None = None
        self._waiting: list[Deferred[None]] | None = None

    # -- For subclasses

    @property
    def shape(self) -> object:
        """
        See L{Member.shape<comet.fanout.delivery.Member.shape>}.
        """
        raise NotImplementedError

    def makeDelivery(self) -> Delivery[Any]:
        """
        See L{Member.makeDelivery<comet.fanout.delivery.Member.makeDelivery>}.
        """
        raise NotImplementedError

    def take(self, prepared: Any) -> None:
        """
        See L{Member.take<comet.fanout.delivery.Member.take>}.
        """
        raise NotImplementedError

    @property
    def direct(self) -> DirectSocket | None:
        """
        See L{Member.direct<comet.fanout.delivery.Member.direct>}.
        """
        return None

    def pump(self) -> None:
        """
        See L{Member.pump<comet.fanout.delivery.Member.pump>}.
        """
        raise NotImplementedError

    def unsettle(self) -> None:
        """
        See L{Member.unsettle<comet.fanout.delivery.Member.unsettle>}.
        """
        raise NotImplementedError

    def timedOut(self) -> None:
        """
        The time that was set on the wheel is over.
        """
        raise NotImplementedError

    def sayClose(self, close: Close) -> None:
        """
        Tell the client why it is sent away.  The reader is closed already.
        """
        raise NotImplementedError

    # -- The state

    @property
    def asker(self) -> object:
        """
        What has one line for all that it asks the bus: see L{comet.fanout.readqueue}.
        """
        return self if self.connection is None else self.connection

    def isGone(self) -> bool:
        """
        Tell whether the reader is closed: what it has asked the bus is of no use then.
        """
        return self.state is State.CLOSED

    def given(self, what: Input) -> None:
        """
        Change to the state that follows.
        """
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            # Raises an error that says what is wrong.
            step(self.state, what)

    def _is(self, state: State) -> bool:
        return self.state is state

    @property
    def position(self) -> Cursor:
        """
        Everything up to here, in all names that are not replaying, has reached
        the client.
        """
        cursor = self.progress.cursor
        if self.state is State.LIVE and self.group is not None:
            given = self.group.deliveredTo(self)
            if given.epoch == cursor.epoch:
                return max(given, cursor)
        return cursor

    def whenOpen(self) -> Deferred[None]:
        """
        @return: Fires when the bus has told where the names start, or the
            reader is closed.
        """
        if self.state is not State.OPENING:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting = [*(self._waiting or ()), waiting]
        return waiting

    def _tellOpen(self) -> None:
        waiting, self._waiting = self._waiting, None
        for each in waiting or ():
            each.callback(None)

    # -- The group

    def changeGroup(self, group: Group | None) -> None:
        """
        Change to another group, of which the reader is a member already.
        """
        if self.group is not None:
            self.fanout.registry.removeMember(self, self.group)
        self.group = group

    def stand(self) -> None:
        """
        Note where a live reader stands.  Called before it stops being live.
        """
        if self.state is State.LIVE:
            self.progress.advance(self.position.position)

    def filled(self, position: int) -> None:
        """
        The client of a live reader takes no more for now.

        @param position: Of the last message that was written to it.
        """
        self.progress.advance(position)
        if self.group is not None:
            self.group.leave(self)
        self.given(Input.FILLED)

    # -- The end

    def ended(self) -> None:
        """
        Close the reader without telling its client.  Does nothing if it is
        closed.
        """
        if self.state is not State.CLOSED:
            self.given(Input.ENDED)
            self.fanout.wheel.clear(self)
            self.fanout.readers.pop(self, None)
            if self.fanout.readerEnded is not None:
                self.fanout.readerEnded(self)
            self.changeGroup(None)
            self._tellOpen()

    def close(self, close: Close) -> None:
        """
        See L{Member.close<comet.fanout.delivery.Member.close>}.  Does nothing if
        the reader is closed.
        """
        if self.state is not State.CLOSED:
            # The client is told its cursor together with the reason.
            self.stand()
            self.fanout.tally.closed.add(close.code)
            if self.fanout.readerClosed is not None:
                self.fanout.readerClosed(self, close)
            self.ended()
            try:
                self.sayClose(close)
            except Exception:
                # The caller goes on with other readers.
                self._log.failure(
                    "{reader} could not be told that it is closed: {code}",
                    reader=self,
                    code=close.code,
                )

    def cut(self) -> None:
        """
        See L{Member.cut<comet.fanout.delivery.Member.cut>}.
        """

    def failed(self, failure: Failure | None = None) -> None:
        """
        Send the reader away after a failure.

        @param failure: What went wrong, which is logged here unless it is a
            L{CometError}; or L{None} if the caller has logged it.
        """
        error: CometError = Internal()
        if failure is not None:
            error = publicError(
                failure.value,
                lambda: self._log.failure(
                    "{reader} of {names} failed",
                    failure=failure,
                    reader=self,
                    names=self.progress.names,
                ),
            )
        if isinstance(error, Forbidden):
            # The bus denies one of the names, and would deny it again.
            self.close(Close("forbidden", error.detail, None))
            return
        code = "unavailable" if error.isTemporary else "internal"
        retry = 2.0 if error.retryAfter is None else error.retryAfter
        self.close(Close(code, error.detail, retry))
