"""
One reader: it opens, reads the log, is live, and falls behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.fanout.core import Fanout
from comet.fanout.livingreader import LivingReader
from comet.fanout.logquestions import FIRST_BYTES, FIRST_MESSAGES, READ_BYTES, READ_MESSAGES
from comet.fanout.newnames import Begun, NewNames
from comet.fanout.states import Input, State
from comet.model.positions import ReadResult, ResolvedStarts, StartPosition, StartPositions
from comet.model.progress import Step, Wanted, cursorBeforeStart

# A way to open a reader: the reader, its names, and where they start.
Opener: TypeAlias = Callable[["Reader", Sequence[str], StartPositions], None]


class Reader(LivingReader):
    """
    What all kinds of readers have in common.

    A subclass says how its client is told something; the rest is here, and in the layer
    below.  The log is read only while the reader is L{State.READING}.  While it is
    L{State.LIVE}, its group gives it what is published.  In all other states
    nothing is kept for it.
    """

    __slots__ = ("_isHalted", "_isPumping", "_pumpAgain")

    def __init__(self, fanout: Fanout) -> None:
        LivingReader.__init__(self, fanout)
        # Whether names were added of which the client is told nothing before L{resume}.
        self._isHalted = False
        self._isPumping = False
        self._pumpAgain = False

    # -- For subclasses

    def begun(self, gap: Sequence[str]) -> None:
        """
        The bus has told where the names start.

        @param gap: The names that start with a gap.
        """
        raise NotImplementedError

    def tell(self, step: Step) -> bool:
        """
        Tell the client what was read from the log.

        @return: Whether to go on reading: not if the client takes no more.
        """
        raise NotImplementedError

    def beginAtEnd(self) -> bool:
        """
        Start at the log end, with nothing to read.  A join point calls it in
        the place of L{open}.

        @return: Whether the reader is live now.
        """
        raise NotImplementedError

    def caughtUp(self) -> None:
        """
        The reader has read to the log end, and is live from now on.
        """

    # -- Opening

    def open(self, startPositions: Mapping[str, StartPosition]) -> Deferred[Any]:
        """
        Start to read.  Called once.

        @return: Fires with L{None} once L{begun} was called, or the reader was
            closed before.  Fails with a L{CometError} if the bus cannot tell
            where to start; then the caller must call L{failed<LivingReader.failed>} or
            L{ended<LivingReader.ended>}.
        """
        self.fanout.readers[self] = None
        opened = NewNames(self, startPositions).begin().addCallback(self._opened)
        if self._is(State.OPENING):
            # The bus has not answered.  The Deferred does not show that: it may
            # have been called, and be paused by another one.
            self.progress.cursor = cursorBeforeStart(startPositions, self.fanout.end())
        return opened

    def _opened(self, resolved: Begun) -> None:
        if self.state is State.CLOSED:
            return
        gap, isAtEnd, ahead = resolved
        # After an interruption, messages may have been missed since the names were
        # resolved, so the log must be read.
        isUnsettled, self._pumpAgain = self._pumpAgain, False
        self.given(Input.RESOLVED)
        if gap:
            self.fanout.tally.gaps += 1
        self.begun(gap)
        if isAtEnd and not isUnsettled and self._is(State.READING) and not self._isPassed():
            self._join()
        else:
            self._read(isFirst=True, ahead=None if isUnsettled else ahead)
        self._tellOpen()

    @property
    def reached(self) -> int | None:
        """
        While the client is told what was read: the position up to which it has
        been told.  Otherwise L{None}.
        """
        return None

    def addNames(self, startPositions: Mapping[str, StartPosition]) -> Deferred[tuple[str, ...]]:
        """
        Start to read more names.  The reader has to be open.  Until the
        Deferred has fired, the caller must not call this nor L{removeNames}
        again.

        @return: Fires with the names that start with a gap.  The client is told
            nothing of the new names before the caller calls L{resume}.
        """
        return NewNames(self, startPositions).begin().addCallback(self._halted)

    def _halted(self, resolved: Begun) -> tuple[str, ...]:
        if self.state is not State.CLOSED:
            self._isHalted = True
            self.given(Input.UNSETTLED)
            if resolved[0]:
                # The caller tells the client.
                self.fanout.tally.gaps += 1
        return resolved[0]

    def removeNames(self, names: Iterable[str]) -> None:
        """
        Stop reading these names.  Does nothing if the reader is closed.
        """
        if self.state is State.CLOSED:
            return
        self.stand()
        self.progress.remove(names, self.reached)
        group = self.fanout.registry.group(self, self.progress.names)
        self.fanout.registry.addMember(group)
        self.changeGroup(group)
        if self.fanout.namesChanged is not None:
            self.fanout.namesChanged(self)
        self.given(Input.UNSETTLED)
        self.resume()

    def resume(self) -> None:
        """
        Go on reading after names were added.
        """
        self._isHalted = False
        self.pump()

    def unsettle(self) -> None:
        """
        See L{Member.unsettle<comet.fanout.delivery.Member.unsettle>}.
        """
        if self.state is State.LIVE:
            self.stand()
            if self.group is not None:
                self.group.leave(self)
        if self.state is not State.CLOSED:
            self.given(Input.UNSETTLED)
            self._pumpAgain = self._isPumping or self.state is State.OPENING
            self.fanout.due.later(self)

    # -- Reading the log

    def pump(self) -> None:
        """
        See L{Member.pump<comet.fanout.delivery.Member.pump>}.
        """
        self._read(isFirst=False)

    def _read(self, isFirst: bool, ahead: ResolvedStarts | None = None) -> None:
        """
        Read the log, and tell the client.

        @param isFirst: Whether the client asks in this turn.

        @param ahead: As for L{LogQuestions.read<comet.fanout.logquestions.LogQuestions.read>}.
        """
        if self.state is not State.READING or self._isHalted:
            return
        if self._isPumping:
            self._pumpAgain = True
            return
        wanted = self.progress.wanted()
        if not wanted.names:
            self._join()
            return
        self._isPumping = True
        read = self.read(wanted, isFirst, ahead)
        read.addCallback(self._wasRead, wanted).addErrback(self._readFailed)

    def read(
        self, wanted: Wanted, isFirst: bool, ahead: ResolvedStarts | None
    ) -> Deferred[ReadResult]:
        """
        Read the log, as much at once as the reader's kind takes.

        @param isFirst: Whether the client asks in this turn.  It is then given no
            more than L{FIRST_MESSAGES} and about L{FIRST_BYTES}.

        @param ahead: As for L{LogQuestions.read<comet.fanout.logquestions.LogQuestions.read>}.
        """
        limit, most = (FIRST_MESSAGES, FIRST_BYTES) if isFirst else (READ_MESSAGES, READ_BYTES)
        return self.fanout.questions.read(
            wanted, self.asker, limit, most, self.isListening, self.isGone, ahead
        )

    def _wasRead(self, result: ReadResult, wanted: Wanted) -> None:
        goOn, more = True, False
        if self.state is State.READING:
            step = self.progress.accept(wanted, result)
            if self.readerID is not None:
                step = step.without(self.readerID)
            tally = self.fanout.tally
            tally.delivered += len(step.messages)
            if step.gap:
                tally.gaps += 1
            # C{_isPumping} stays true while the client is told: what a second
            # reading gave would be told before the rest of this.
            try:
                goOn, more = self.tell(step), step.more
            except Exception:
                # The client may have got some of it.  It had better get that
                # twice than miss the rest.
                self.progress.cursor = step.lowest
                raise
        self._isPumping = False
        again, self._pumpAgain = self._pumpAgain, False
        # The reader may have been closed, or changed its names, in C{tell}.
        if not self._is(State.READING):
            return
        if not goOn:
            self.given(Input.FILLED)
        elif more or again or self._isPassed():
            self.fanout.due.later(self)
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

    # -- Falling behind, and the end

    def drained(self) -> None:
        """
        The client has taken all that was written.
        """
        if self.state is not State.CLOSED:
            self.given(Input.DRAINED)
            if self._isPumping:
                self._pumpAgain = True
            else:
                self.fanout.due.soon(self)


def openReader(reader: Reader, names: Sequence[str], since: StartPositions) -> None:
    """
    Open a reader: ask the bus where its names start.  A failure of the bus
    closes the reader, which tells it to the client.
    """
    reader.open({name: since.of(name) for name in names}).addErrback(reader.failed)
