"""
One reader: from its beginning, through the log, to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from socket import socket
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError, Internal, publicError
from comet.fanout.core import Fanout
from comet.fanout.delivery import Delivery
from comet.fanout.groups import Group
from comet.fanout.states import TRANSITIONS, Input, State, step
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.positions import ReadResult, ResolvedStarts, StartPosition, StartPositions
from comet.model.progress import Progress, Step, Wanted, cursorBeforeStart
from comet.timers import NOT_SET

# The names that begin with a gap, and whether there is nothing to read.
_Resolved: TypeAlias = tuple[tuple[str, ...], bool]

# A way to open a reader: the reader, its names, and where they start.
Opener: TypeAlias = Callable[["Reader", Sequence[str], StartPositions], None]


class Reader:
    """
    What all kinds of readers have in common.

    A kind says how a reader is told something; the rest is here.  The bus is
    read only while the reader is L{State.READING}; while it is L{State.LIVE}
    its group gives it what is published; otherwise nothing is kept for it.

    @ivar progress: Where it stands.

    @ivar state: What it is doing.

    @ivar group: Who it is told things with, once it is known.

    @ivar isListening: Whether it only reads what there is, and never waits for
        what comes.
    """

    _log = Logger()

    isListening = True

    __slots__ = (
        "_isPumping",
        "_pumpAgain",
        "_waiting",
        "fanout",
        "group",
        "progress",
        "state",
        "timerSlot",
    )

    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.progress = Progress(fanout.bus.end)
        self.state = State.OPENING
        self.timerSlot = NOT_SET
        self.group: Group | None = None
        self._isPumping = False
        self._pumpAgain = False
        self._waiting: list[Deferred[None]] | None = None

    # -- What a kind says

    @property
    def shape(self) -> object:
        """
        All that makes what is prepared for this reader differ from what is
        prepared for others of its kind; hashable.
        """
        raise NotImplementedError

    def makeDelivery(self) -> Delivery[Any]:
        """
        Make the delivery of all readers of this kind and shape.
        """
        raise NotImplementedError

    def take(self, prepared: Any) -> None:
        """
        Take what was prepared for the whole group.
        """
        raise NotImplementedError

    @property
    def direct(self) -> socket | None:
        """
        A socket that takes what is prepared as it is, or L{None}.
        """
        return None

    def begun(self, gap: Sequence[str]) -> None:
        """
        It is known where the reader begins; these names begin with a gap.
        """
        raise NotImplementedError

    def tell(self, step: Step) -> bool:
        """
        Tell what was read from the log.

        @return: Whether to go on reading.
        """
        raise NotImplementedError

    def beginAtEnd(self) -> bool:
        """
        Begin at the end of the log, with nothing to read.  Called in the place
        of L{open}, by a L{JoinPoint<comet.fanout.joinpoint.JoinPoint>}.

        @return: Whether the reader is live now.
        """
        raise NotImplementedError

    def caughtUp(self) -> None:
        """
        There is no more to read: the reader is live from now on.
        """

    def timedOut(self) -> None:
        """
        The time that was set on the wheel has come.
        """
        raise NotImplementedError

    def sayClose(self, close: Close) -> None:
        """
        Tell why the reader is sent away; it is closed already.
        """
        raise NotImplementedError

    # -- Its life

    def given(self, what: Input) -> None:
        """
        Go on to the state that follows.
        """
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            # Says what is wrong with it.
            step(self.state, what)

    def _is(self, state: State) -> bool:
        return self.state is state

    @property
    def position(self) -> Cursor:
        """
        Everything up to here has arrived, in all names that are not late.
        """
        cursor = self.progress.cursor
        if self.state is State.LIVE and self.group is not None:
            given = self.group.deliveredTo(self)
            if given.epoch == cursor.epoch:
                return max(given, cursor)
        return cursor

    def open(self, startPositions: Mapping[str, StartPosition]) -> Deferred[Any]:
        """
        Begin to read.  Called once.

        @return: Fires with L{None} after L{begun} was called, or the reader
            was closed in between.  Fails with a L{CometError} if the bus cannot
            tell where to begin; then the reader waits for L{failed} or
            L{ended}.
        """
        self.fanout.readers[self] = None
        opened = self._addNames(startPositions).addCallback(self._opened)
        if self._is(State.OPENING):
            # Whether it waits does not show in the Deferred, which may have been
            # called with another.
            self.progress.cursor = cursorBeforeStart(startPositions, self.fanout.end())
        return opened

    def _opened(self, located: _Resolved) -> None:
        if self.state is State.CLOSED:
            return
        gap, isAtEnd = located
        # What was missed since it was located is in no message to come.
        isUnsettled, self._pumpAgain = self._pumpAgain, False
        self.given(Input.RESOLVED)
        self.begun(gap)
        if isAtEnd and not isUnsettled and self._is(State.READING) and not self._isPassed():
            # There is nothing to read.
            self._join()
        else:
            self.pump()
        self._tellOpen()

    def whenOpen(self) -> Deferred[None]:
        """
        @return: Fires when it is known where the reader begins, or it is
            closed.
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

    def _addNames(self, startPositions: Mapping[str, StartPosition]) -> Deferred[Any]:
        new = {n: b for n, b in startPositions.items() if n not in self.progress.names}
        if not self.isListening:
            return self.fanout.resolve(new).addCallback(self._resolved, new, None)
        registry = self.fanout.registry
        group = registry.group(self, (*self.progress.names, *new))
        # A member keeps the group from being retired in the meantime.
        registry.addMember(group)
        if registry.isHeard(group):
            located = self.fanout.resolve(new, True)
        else:
            located = registry.listen(group).addCallback(lambda _: self.fanout.resolve(new, True))
        return located.addCallbacks(
            self._resolved, self._notResolved, callbackArgs=(new, group), errbackArgs=(group,)
        )

    def _resolved(
        self, resolved: ResolvedStarts, names: Mapping[str, StartPosition], group: Group | None
    ) -> _Resolved | Deferred[_Resolved]:
        if self.state is State.CLOSED:
            if group is not None:
                self.fanout.registry.removeMember(self, group)
            return (), False
        if resolved.end.epoch != self.fanout.end().epoch:
            # The log has begun a new life since, where these places mean nothing.
            again = self.fanout.resolve(names, self.isListening)
            return again.addCallbacks(
                self._resolved, self._notResolved, callbackArgs=(names, group), errbackArgs=(group,)
            )
        self._stand()
        gap = self.progress.add(resolved)
        self._changeGroup(group)
        isAtEnd = resolved.end == self.progress.cursor and not self.progress.isReplaying
        # A gap is told with what is read.
        return gap, isAtEnd and not gap

    def _notResolved(self, failure: Failure, group: Group | None) -> Failure:
        if group is not None:
            self.fanout.registry.removeMember(self, group)
        return failure

    def _changeGroup(self, group: Group | None) -> None:
        """
        Belong to another group, of which the reader is a member already.
        """
        if self.group is not None:
            self.fanout.registry.removeMember(self, self.group)
        self.group = group

    def _stand(self) -> None:
        """
        Note where a live reader stands, before it is live no more.
        """
        if self.state is State.LIVE:
            self.progress.advance(self.position.position)

    @property
    def reached(self) -> int | None:
        """
        Up to where what was read was told, while it is being told.
        """
        return None

    def addNames(self, startPositions: Mapping[str, StartPosition]) -> Deferred[tuple[str, ...]]:
        """
        Begin to read more names.  Not called again, nor L{removeNames}, before
        it has fired; the reader has to be open.

        @return: Fires with the names that begin with a gap.  Nothing of the
            new names is told before L{resume} is called.
        """
        return self._addNames(startPositions).addCallback(self._halted)

    def _halted(self, located: _Resolved) -> tuple[str, ...]:
        if self.state is not State.CLOSED:
            self.given(Input.UNSETTLED)
        return located[0]

    def removeNames(self, names: Iterable[str]) -> None:
        """
        Read these names no more.  Does nothing if the reader is closed.
        """
        if self.state is State.CLOSED:
            return
        self._stand()
        self.progress.remove(names, self.reached)
        group = self.fanout.registry.group(self, self.progress.names)
        self.fanout.registry.addMember(group)
        self._changeGroup(group)
        self.given(Input.UNSETTLED)
        self.resume()

    def resume(self) -> None:
        """
        Go on after names were added.
        """
        self.pump()

    def unsettle(self) -> None:
        """
        The bus may have missed something: read again from here.
        """
        if self.state is State.LIVE:
            self._stand()
            if self.group is not None:
                self.group.leave(self)
        if self.state is not State.CLOSED:
            self.given(Input.UNSETTLED)
            self._pumpAgain = self._isPumping or self.state is State.OPENING
            self.fanout.readLater(self)

    # -- Reading the log

    def pump(self) -> None:
        """
        Read on, if that is what there is to do.
        """
        if self.state is not State.READING:
            return
        if self._isPumping:
            self._pumpAgain = True
            return
        wanted = self.progress.wanted()
        if not wanted.names:
            self._join()
            return
        self._isPumping = True
        self.read(wanted).addCallback(self._wasRead, wanted).addErrback(self._readFailed)

    def read(self, wanted: Wanted) -> Deferred[ReadResult]:
        """
        Ask the bus.
        """
        return self.fanout.read(wanted, isListening=self.isListening)

    def _wasRead(self, result: ReadResult, wanted: Wanted) -> None:
        goOn, more = True, False
        if self.state is State.READING:
            step = self.progress.accept(wanted, result)
            # What is read meanwhile would be told before the rest of this.
            try:
                goOn, more = self.tell(step), step.more
            except Exception:
                # Rather repeat than lose.
                self.progress.cursor = step.lowest
                raise
        self._isPumping = False
        again, self._pumpAgain = self._pumpAgain, False
        # Telling may have changed everything.
        if not self._is(State.READING):
            return
        if not goOn:
            self.given(Input.FILLED)
        elif more or again or self._isPassed():
            self.fanout.readLater(self)
        else:
            self._join()

    def _isPassed(self) -> bool:
        return self.group is not None and self.group.hasFlushedPast(self.progress.cursor)

    def _join(self) -> None:
        self.given(Input.CAUGHT_UP)
        self.progress.prune()
        if self.group is not None:
            self.group.join(self)
        self.caughtUp()

    def _readFailed(self, failure: Failure) -> None:
        self._isPumping = False
        self.failed(failure)

    # -- Its end

    def filled(self, position: int) -> None:
        """
        The client of a live reader does not take more for now.

        @param position: What was written to it last.
        """
        self.progress.advance(position)
        if self.group is not None:
            self.group.leave(self)
        self.given(Input.FILLED)

    def drained(self) -> None:
        """
        The client has taken everything.
        """
        if self.state is not State.CLOSED:
            self.given(Input.DRAINED)
            self.pump()

    def ended(self) -> None:
        """
        The reader is over: nobody is told anything any more.
        """
        if self.state is not State.CLOSED:
            self.given(Input.ENDED)
            self.fanout.wheel.clear(self)
            self.fanout.readers.pop(self, None)
            self._changeGroup(None)
            self._tellOpen()

    def close(self, close: Close) -> None:
        """
        Send the reader away with a reason.  Does nothing if it is closed.
        """
        if self.state is not State.CLOSED:
            # The reason says where it stands.
            self._stand()
            self.ended()
            try:
                self.sayClose(close)
            except Exception:
                # Whatever is wrong with this one must not reach the others.
                self._log.failure("{reader} could not be told", reader=self)

    def failed(self, failure: Failure | None = None) -> None:
        """
        Something of ours went wrong, and was logged if it was not expected.
        """
        error: CometError = Internal()
        if failure is not None:
            error = publicError(
                failure.value, lambda: self._log.failure("a reader failed", failure=failure)
            )
        code = "unavailable" if error.isTemporary else "internal"
        retry = 2.0 if error.retryAfter is None else error.retryAfter
        self.close(Close(code, error.detail, retry))


def openReader(reader: Reader, names: Sequence[str], since: StartPositions) -> None:
    """
    Open a reader: ask the bus where its names start.  A failure of the bus
    closes the reader, which tells it to the client.
    """
    reader.open({name: since.of(name) for name in names}).addErrback(reader.failed)
