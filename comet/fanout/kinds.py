"""
The two kinds of readers that are clients: a stream of bytes, and a poll that
is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.fanout.core import READ_BYTES, Fanout
from comet.fanout.life import Input, State
from comet.fanout.readers import Reader
from comet.framing import Shape
from comet.interfaces import ISink, ISinkOwner
from comet.messages import Beginning, Close, Cursor, Message
from comet.places import Reading
from comet.progress import Step, Wanted

# For how many seconds a client may take nothing of what was written to it
# before it is taken for dead.
STALLED: Final = 300.0

# For how many seconds the last words to a client may wait to be taken.
LAST_WORDS: Final = 10.0

# How many bytes of payload the answer to a poll has at most.
POLL_BYTES: Final = 1048576


@implementer(ISinkOwner)
class StreamReader(Reader):
    """
    Is written bytes for as long as its client stays.

    @ivar shape: How messages look on its wire.

    @ivar sink: Where the bytes go.
    """

    __slots__ = ("_opening", "_owner", "_wroteAt", "shape", "sink")

    # A slot of the class, narrower than what it inherits.
    shape: Shape

    def __init__(
        self,
        fanout: Fanout,
        shape: Shape,
        sink: ISink,
        opening: bytes | None = b"",
        owner: ISinkOwner | None = None,
    ) -> None:
        """
        @param opening: Written before anything else, in one go with where the
            reader stands; L{None} if the beginning is told by somebody else.

        @param owner: Is told too when the sink is ready, or lost.
        """
        super().__init__(fanout)
        self.shape = shape
        self.sink = sink
        self._opening = opening
        self._owner = owner
        self._wroteAt = fanout.seconds()
        sink.attach(self)

    def write(self, data: bytes) -> bool:
        """
        Write bytes that are framed already.

        @return: Whether the sink is ready.
        """
        self._wroteAt = self.fanout.seconds()
        return self.sink.write(data)

    def say(self, piece: bytes) -> None:
        """
        Write one piece that is nobody else's, between the messages.
        """
        self.sayFramed(self.shape.frame([piece]))

    def sayFramed(self, data: bytes) -> None:
        """
        Write something that is framed already, between the messages.
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
        The cursor that its client comes back with, if it is cut off now.
        """
        return self.position

    @property
    def _resume(self) -> Cursor | None:
        """
        The cursor that a client comes back with that adopts what is replayed,
        if it is cut off in the middle of it.
        """
        return self.progress.lowest if self.progress.isReplaying else None

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
        piece = shape.gap(cursor, gap, resume) if gap else shape.standing(cursor, resume)
        if not self.write(opening + self.shape.prelude + self.shape.frame([piece])):
            self.given(Input.FILLED)

    def tell(self, step: Step) -> bool:
        """
        See L{Reader.tell}.
        """
        pieces = []
        if step.gap:
            pieces.append(self.shape.gap(step.cursor, step.gap, step.lowest))
        if step.isReplay:
            pieces.extend(self.shape.message(message, replay=True) for message in step.messages)
        else:
            pieces.extend(self.fanout.encodings.pieces(self.shape, step.messages))
        if step.isCaughtUp:
            pieces.append(self.shape.standing(step.cursor))
        return self.write(self.shape.frame(pieces)) if pieces else True

    def prepare(self, messages: Sequence[Message], head: Cursor) -> list[tuple[bytes, int]]:
        """
        See L{Reader.prepare}.

        @return: What to write, in parts small enough for one that is not
            taken to do no harm, and the position that each ends with.
        """
        parts: list[tuple[bytes, int]] = []
        part: list[bytes] = []
        size, last = 0, 0
        pieces = self.fanout.encodings.pieces(self.shape, messages)
        for message, piece in zip(messages, pieces, strict=True):
            if part and size + len(piece) > READ_BYTES:
                parts.append((self.shape.frame(part), last))
                part, size = [], 0
            part.append(piece)
            size += len(piece)
            last = message.position
        parts.append((self.shape.frame(part), last))
        return parts

    def take(self, prepared: list[tuple[bytes, int]]) -> None:
        """
        See L{Reader.take}.
        """
        write = self.sink.write
        for data, last in prepared:
            if not write(data):
                self._wroteAt = self.fanout.seconds()
                self.filled(last)
                return

    def timedOut(self) -> None:
        """
        It is time for a heartbeat, or to give up.
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
                self.fanout.wheel.set(self, self.fanout.heartbeat)
            return
        wroteAt = self._wroteAt
        if self._group is not None:
            wroteAt = max(wroteAt, self._group.wroteAt)
        silent = now - wroteAt
        if silent < self.fanout.heartbeat - 0.01:
            self.fanout.wheel.set(self, self.fanout.heartbeat - silent)
            return
        self.fanout.wheel.set(self, self.fanout.heartbeat)
        self.sayStanding()

    def sayStanding(self) -> None:
        """
        Say where the reader stands, if it can be said at this moment.
        """
        if self.state in (State.CLOSED, State.BEHIND) or self._opening is not None:
            return
        # Where a client does not adopt what is replayed, a bare cursor says that
        # the replay is over.
        if self.progress.names and (self.shape.adoptsReplay or not self.progress.isReplaying):
            self.say(self.shape.standing(self.standing, self._resume))

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        # Whatever happens now, the connection is closed in the end.
        self._isLeaving()
        words = self.shape.frame([self.shape.close(self.standing, close, self._resume)])
        opening, self._opening = self._opening, None
        if opening is not None:
            words = opening + self.shape.prelude + words
        self.sink.write(words + self.shape.coda)
        self.finish(close)

    def finish(self, close: Close) -> None:
        """
        Close the connection, after the last words.
        """
        self.sink.finish()

    def leave(self) -> None:
        """
        Write nothing more: the transport closes the connection in a way of its
        own.  Does nothing if the reader is closed.
        """
        if self.state is not State.CLOSED:
            self.ended()
            self._isLeaving()

    def _isLeaving(self) -> None:
        self.fanout.leaving[self] = None
        self.fanout.wheel.set(self, LAST_WORDS)

    def sinkReady(self) -> None:
        """
        See L{ISinkOwner.sinkReady}.
        """
        self.drained()
        if self._owner is not None:
            self._owner.sinkReady()

    def sinkLost(self) -> None:
        """
        See L{ISinkOwner.sinkLost}.
        """
        self.fanout.wheel.clear(self)
        self.ended()
        self.fanout.hasLeft(self)
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.sinkLost()


@frozen
class Outcome:
    """
    What a poll is answered.

    @ivar cursor: Where the reader stands then.

    @ivar messages: Each with whether it is replayed.

    @ivar gap: The names that lost messages.

    @ivar more: Whether there is more at this moment.

    @ivar close: Why the poll was ended, if it was.
    """

    cursor: Cursor
    messages: Sequence[tuple[Message, bool]] = ()
    gap: Sequence[str] = ()
    more: bool = False
    close: Close | None = None


R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class PollShape(Protocol[R_co]):
    """
    How the answers to a group of polls look: a value that hashes.
    """

    @property
    def limit(self) -> int:
        """
        How many messages an answer has at most.
        """

    def respond(self, outcome: Outcome) -> R_co:
        """
        Make the whole answer.
        """


class Waiter(Protocol[R_contra]):
    """
    Whoever carries the answer to a poll.
    """

    def pollAnswered(self, response: R_contra) -> None:
        """
        There is something to say.  The response may be many readers' own.
        """

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        There is nothing to say but where the reader stands.
        """


class PollReader(Reader, Generic[R]):
    """
    Is answered once: with what there is, or what comes within its time.
    """

    __slots__ = ("_bytes", "_gap", "_messages", "_wait", "_waiter", "shape")

    shape: PollShape[R]

    def __init__(self, fanout: Fanout, shape: PollShape[R], waiter: Waiter[R], wait: float) -> None:
        """
        @param wait: For how many seconds it may wait for a message.
        """
        super().__init__(fanout)
        self.shape = shape
        self._waiter = waiter
        self._wait = wait
        self._gap: tuple[str, ...] = ()
        self._messages: list[tuple[Message, bool]] = []
        self._bytes = 0

    @property
    def isPassing(self) -> bool:
        """
        See L{Reader.isPassing}.
        """
        return self._wait <= 0

    @property
    def standing(self) -> Cursor:
        """
        The cursor that the answer gives.  Where it ends within a replay, this
        is where the replay stands, and what the other names had is repeated.
        """
        return self.progress.lowest if self.progress.isReplaying else self.position

    def begun(self, gap: Sequence[str]) -> None:
        """
        See L{Reader.begun}.
        """
        self._gap = tuple(gap)

    def read(self, wanted: Wanted) -> Deferred[Reading]:
        """
        See L{Reader.read}.
        """
        limit = self.shape.limit - len(self._messages)
        return self.fanout.read(wanted, limit, max(POLL_BYTES - self._bytes, 1))

    def tell(self, step: Step) -> bool:
        """
        See L{Reader.tell}.
        """
        self._gap += step.gap
        self._messages.extend((message, step.isReplay) for message in step.messages)
        self._bytes += sum(len(message.payload) for message in step.messages)
        isFull = len(self._messages) >= self.shape.limit or self._bytes >= POLL_BYTES
        # A reading that ended early for its bytes ends the answer; a replay
        # is followed by more in any case.
        isEnd = not step.more or (step.messages and not step.isReplay)
        if isFull or (isEnd and (self._messages or self._gap)):
            self._answer(more=step.more)
        return True

    def open(self, beginnings: Mapping[str, Beginning]) -> Deferred[Any]:
        """
        See L{Reader.open}.
        """
        opened = super().open(beginnings)
        if self.state is not State.CLOSED and self._wait > 0:
            # Also if the bus does not answer.
            self.fanout.wheel.set(self, self._wait)
        return opened

    def caughtUp(self) -> None:
        """
        See L{Reader.caughtUp}.
        """
        if self._wait <= 0:
            self.timedOut()

    def timedOut(self) -> None:
        """
        It has waited for long enough.
        """
        if self._messages or self._gap:
            self._answer(more=True)
            return
        cursor = self.standing
        self.ended()
        self._waiter.pollEmpty(cursor)

    def hurry(self) -> None:
        """
        Answer now, whatever there is.
        """
        if self.state is not State.CLOSED:
            self.timedOut()

    def _answer(self, more: bool = False, close: Close | None = None) -> None:
        outcome = Outcome(self.standing, self._messages, self._gap, more, close)
        self.ended()
        self._waiter.pollAnswered(self.shape.respond(outcome))

    def prepare(self, messages: Sequence[Message], head: Cursor) -> R:
        """
        See L{Reader.prepare}.
        """
        size, count = 0, 0
        for message in messages[: self.shape.limit]:
            size += len(message.payload)
            if count and size > POLL_BYTES:
                break
            count += 1
        given = [(message, False) for message in messages[:count]]
        if count < len(messages):
            return self.shape.respond(Outcome(messages[count - 1].cursor, given, more=True))
        return self.shape.respond(Outcome(head, given))

    def take(self, prepared: R) -> None:
        """
        See L{Reader.take}.
        """
        self.ended()
        self._waiter.pollAnswered(prepared)

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        self._answer(close=close)
