"""
Readers that are written bytes for as long as their clients stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.fanout.core import Fanout
from comet.fanout.probes import Probe
from comet.fanout.reader import Reader
from comet.fanout.states import Input, State, step
from comet.fanout.streamdelivery import Part, StreamDelivery
from comet.framing import Shape
from comet.interfaces.sinks import IDirectSink, ISink, ISinkOwner
from comet.interfaces.sockets import DirectSocket
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.positions import StartPosition
from comet.model.progress import Step

# After how many seconds in which a client took nothing of what was written its
# connection is cut.
STALLED: Final = 300.0

# After how many seconds, at most, it is looked at again.
STALL_CHECK: Final = 25.0

# For how many seconds a closed reader's connection may stay open, so that the
# client can take the last words.
LAST_WORDS: Final = 10.0

# What a stream is that has nothing to read.
_LIVE: Final = step(State.READING, Input.CAUGHT_UP)

R = TypeVar("R")


@implementer(ISinkOwner)
class StreamReader(Reader):
    """
    A reader whose client is written to as messages arrive.

    @ivar shape: How messages look as bytes.

    @ivar sink: Where the bytes go.

    @ivar watcher: The L{Watcher<comet.access.leases.Watcher>} of the reader, or L{None}.
    """

    __slots__ = (
        "_isAdding",
        "_isStalled",
        "_opening",
        "_owner",
        "_wroteAt",
        "direct",
        "shape",
        "sink",
        "watcher",
    )

    # Slots of the class, narrower than what it inherits.
    shape: Shape
    direct: DirectSocket | None

    def __init__(
        self,
        fanout: Fanout,
        shape: Shape,
        sink: ISink,
        opening: bytes | None = b"",
        owner: ISinkOwner | None = None,
    ) -> None:
        """
        @param opening: Bytes to write first, such as a response head, in one
            write with the cursor at which the reader starts; L{None} if the
            caller tells the client where the reader starts.

        @param owner: Is told, too, when the sink is ready or lost.
        """
        super().__init__(fanout)
        self.shape = shape
        self.sink = sink
        self.direct = sink.direct if IDirectSink.providedBy(sink) else None
        self._opening = opening
        self._owner = owner
        self._isAdding = False
        self._isStalled = False
        self.watcher: Any = None
        self._wroteAt = fanout.seconds()
        sink.attach(self)

    def write(self, data: bytes) -> bool:
        """
        Write framed bytes.

        @return: Whether the sink is ready for more.
        """
        self._wroteAt = self.fanout.seconds()
        return self.sink.write(data)

    def say(self, *pieces: bytes) -> None:
        """
        Write some pieces for this client alone, between messages.
        """
        self.sayFramed(self.shape.frame(pieces))

    def sayFramed(self, data: bytes) -> None:
        """
        Write framed bytes for this client alone, between messages.  Does
        nothing if the reader is closed.
        """
        if self.state is State.CLOSED:
            return
        if not self.write(data):
            if self.state is State.LIVE:
                self.filled(self.position.position)
            else:
                self.given(Input.FILLED)

    @property
    def standing(self) -> Cursor:
        """
        The cursor that the client is told now, and with which it resumes.
        """
        return self.position

    @property
    def _resume(self) -> Cursor | None:
        """
        The cursor with which a client that adopts replayed ids resumes after a
        cut in mid-replay.
        """
        return self.progress.lowest if self.progress.isReplaying else None

    def addNames(self, startPositions: Mapping[str, StartPosition]) -> Deferred[tuple[str, ...]]:
        """
        See L{Reader.addNames}.
        """
        self._isAdding = True
        return super().addNames(startPositions).addBoth(self._added)

    def _added(self, result: R) -> R:
        self._isAdding = False
        return result

    def beginAtEnd(self) -> bool:
        """
        See L{Reader.beginAtEnd}.
        """
        self.given(Input.RESOLVED)
        self.begun(())
        # The client may not have taken the opening, or may be gone.
        if self.state is not State.READING:
            return False
        # Without a call, since most streams begin so.
        self.state = _LIVE
        return True

    def begun(self, gap: Sequence[str]) -> None:
        """
        See L{Reader.begun}.
        """
        self.fanout.wheel.set(self, self.fanout.heartbeat)
        opening, self._opening = self._opening, None
        if opening is None:
            return
        cursor = self.standing
        shape, resume = self.shape, self._resume
        if gap or resume is not None:
            piece = shape.gap(cursor, gap, resume) if gap else shape.cursor(cursor, resume)
            data = opening + shape.prelude + shape.frame([piece])
        else:
            data = self.fanout.encodings.opened(shape, cursor, opening)
        if not self.write(data):
            self.given(Input.FILLED)

    def tell(self, step: Step) -> bool:
        """
        See L{Reader.tell}.
        """
        pieces = []
        encodings = self.fanout.encodings
        # A step is short, and each has a share of a turn.
        encodings.budget.renew()
        if step.gap:
            pieces.append(self.shape.gap(step.cursor, step.gap, step.lowest))
        if step.isReplay:
            pieces.extend(encodings.replayed(self.shape, message) for message in step.messages)
        else:
            pieces.extend(encodings.pieces(self.shape, step.messages))
        if step.isCaughtUp:
            pieces.append(self.shape.cursor(step.cursor))
        return self.write(self.shape.frame(pieces)) if pieces else True

    def makeDelivery(self) -> StreamDelivery:
        """
        See L{Reader.makeDelivery}.
        """
        fanout = self.fanout
        return StreamDelivery(fanout.encodings, self.shape, fanout.tally, fanout.parts)

    def take(self, prepared: list[Part]) -> None:
        """
        See L{Reader.take}.
        """
        write, tally = self.sink.write, self.fanout.tally
        for data, last, count in prepared:
            tally.delivered += count
            if not write(data):
                self._wroteAt = self.fanout.seconds()
                self.filled(last)
                return

    def tookPart(self, rest: bytes | memoryview, last: int, wroteAt: float) -> None:
        """
        A delivery sent bytes to the socket, which took only the first of them.

        @param rest: The bytes that the socket did not take.

        @param last: The position of the last message in them.

        @param wroteAt: When they were sent, in seconds of the reactor's clock.
        """
        self._wroteAt = wroteAt
        IDirectSink(self.sink).keep(rest)
        self.filled(last)

    def timedOut(self) -> None:
        """
        Say where the reader stands, after a silence; or cut the connection of
        a client that takes nothing.
        """
        if self.state is State.CLOSED:
            self.sink.abort()
            return
        now = self.fanout.seconds()
        if self.state is State.BEHIND:
            if now - self._wroteAt >= STALLED:
                self.sink.abort()
                self.sinkLost()
            else:
                self._isStalled = True
                self.sink.stalled(True)
                self.fanout.wheel.set(self, min(self.fanout.heartbeat, STALL_CHECK))
            return
        wroteAt = self._wroteAt
        if self.group is not None:
            wroteAt = max(wroteAt, self.group.wroteAt)
        silent = now - wroteAt
        if silent < self.fanout.heartbeat - 0.01:
            self.fanout.wheel.set(self, self.fanout.heartbeat - silent)
            return
        self.fanout.wheel.set(self, self.fanout.heartbeat)
        self.sayStanding()

    def sayStanding(self) -> None:
        """
        Tell the client where the reader stands, unless it is closed, behind, or
        not opened yet; or it waits for its first names, or for L{Reader.resume} behind others,
        since the client would take the cursor for theirs.
        """
        if self.state in (State.CLOSED, State.BEHIND) or self._opening is not None:
            return
        if self._isHalted:
            return
        if not self.progress.names:
            if not self._isAdding:
                self.say(self.shape.cursor(self.fanout.end()))
            return
        # To a client that does not adopt replayed ids, a bare cursor says that the
        # replay is over.
        if self.shape.adoptsReplay or not self.progress.isReplaying:
            self.say(self.shape.cursor(self.standing, self._resume))

    def judge(self, mayRead: Callable[[str], bool], close: Close) -> None:
        """
        End the names that the client may read no longer; and the reader, if none is left.
        One that has no names stays.  While names are added, the caller has to wait.

        @param close: Why.
        """
        if self.state is State.CLOSED:
            return
        held = self.progress.names
        lost = [name for name in held if not mayRead(name)]
        if not lost:
            return
        # A shape of an application's own may not know how to say it.
        ended = getattr(self.shape, "ended", None)
        if len(lost) == len(held) or ended is None:
            self.close(close)
            return
        # The client learns of it before anything that follows.
        self.say(ended(self.standing, lost, close.code, self._resume))
        self.removeNames(lost)

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        # If one of the next lines fails, the wheel still closes the connection.
        self._isLeaving()
        words = self.shape.frame([self.shape.close(self.standing, close, self._resume)])
        opening, self._opening = self._opening, None
        if opening is not None:
            words = opening + self.shape.prelude + words
        self.sink.write(words + self.shape.coda)
        self.finish(close)

    def finish(self, close: Close) -> None:
        """
        Close the connection once the client has taken the last words.
        """
        self.sink.finish()

    def cut(self) -> None:
        """
        See L{Reader.cut}.
        """
        self.sink.abort()

    def leave(self) -> None:
        """
        Close the reader without a word: the transport says goodbye and closes
        the connection itself.  Does nothing if the reader is closed.
        """
        if self.state is not State.CLOSED:
            self.ended()
            self._isLeaving()

    def _isLeaving(self) -> None:
        self.fanout.leaving.add(self)
        self.fanout.wheel.set(self, LAST_WORDS)

    def sinkReady(self) -> None:
        """
        See L{ISinkOwner.sinkReady}.
        """
        if self._isStalled:
            self._isStalled = False
            self.sink.stalled(False)
        self.drained()
        if self._owner is not None:
            self._owner.sinkReady()

    def inputEnded(self) -> None:
        """
        See L{ISinkOwner.inputEnded}.
        """
        # The system of a client that has left answers the first of these with a
        # reset, and the second one fails.
        self.sayStanding()
        Probe(self)

    def sinkLost(self) -> None:
        """
        See L{ISinkOwner.sinkLost}.
        """
        self.fanout.wheel.clear(self)
        self.ended()
        # It refers to the reader: both are freed now, not when the collector comes by.
        self.watcher = None
        self.fanout.leaving.connectionClosed(self)
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.sinkLost()
