"""
A reader that is a client: a poll, which is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from socket import socket
from typing import Any, Final, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

from comet.fanout.core import Fanout
from comet.fanout.delivery import DirectReaders
from comet.fanout.reader import Reader
from comet.fanout.sending import sendAll
from comet.fanout.states import Input, State, step
from comet.http.polls import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.model.positions import ReadResult, StartPosition
from comet.model.progress import Step, Wanted

# How many bytes of payload the answer to a poll has at most.
POLL_BYTES: Final = 1048576


# How many of a group are answered in one turn.
MOST_AT_ONCE: Final = 256

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

    @ivar direct: A socket, which does not block, to which the fan-out may send
        the response together with those of others; or L{None}.  Used only if
        the waiter keeps the time.

    @ivar keepsTime: Whether the waiter calls L{PollReader.hurry} when the time
        of the poll is over, since it has a timer of its own; otherwise the
        reader sets one.
    """

    direct: socket | None
    keepsTime: bool

    def pollAnswered(self, response: R_contra) -> None:
        """
        There is something to say.  The response may be many readers' own.
        """

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        There is nothing to say but where the reader stands.
        """


class DirectWaiter(Waiter[bytes], Protocol):
    """
    One who lets others send the answer to its socket.
    """

    def pollsSent(
        self, waiters: Sequence[Any], response: bytes, short: Sequence[tuple[int, int]]
    ) -> None:
        """
        An answer was sent to many, one of them this one, all with readers of
        the same shape.

        @param short: As L{sendAll} gives it.
        """


class PollReader(Reader, Generic[R]):
    """
    Is answered once: with what there is, or what comes within its time.
    """

    __slots__ = ("_bytes", "_gap", "_messages", "_time", "direct", "isListening", "shape", "waiter")

    # Slots of the class, narrower than what it inherits.
    isListening: bool
    shape: PollShape[R]
    direct: socket | None

    def __init__(self, fanout: Fanout, shape: PollShape[R], waiter: Waiter[R], wait: float) -> None:
        """
        @param wait: For how many seconds it may wait for a message.
        """
        Reader.__init__(self, fanout)
        self.shape = shape
        # Direct polls are answered all at once, with no time to clear the timer of
        # each: they keep their own time.
        self.direct = waiter.direct if waiter.keepsTime else None
        self.isListening = wait > 0
        # For how many seconds it waits by its own timer; none if it is passing,
        # or the waiter keeps the time.
        self._time = wait if self.isListening and not waiter.keepsTime else 0.0
        self.waiter = waiter
        self._gap: tuple[str, ...] = ()
        self._messages: Sequence[tuple[Message, bool]] = ()
        self._bytes = 0

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

    def read(self, wanted: Wanted) -> Deferred[ReadResult]:
        """
        See L{Reader.read}.
        """
        limit = self.shape.limit - len(self._messages)
        most = max(POLL_BYTES - self._bytes, 1)
        return self.fanout.read(wanted, limit, most, self.isListening)

    def tell(self, step: Step) -> bool:
        """
        See L{Reader.tell}.
        """
        self._gap += step.gap
        told = [(message, step.isReplay) for message in step.messages]
        self._messages = [*self._messages, *told] if self._messages else told
        self._bytes += sum(len(message.payload) for message in step.messages)
        isFull = len(self._messages) >= self.shape.limit or self._bytes >= POLL_BYTES
        # A reading that ended early for its bytes ends the answer; a replay
        # is followed by more in any case.
        isEnd = not step.more or (step.messages and not step.isReplay)
        if isFull or (isEnd and (self._messages or self._gap)):
            self._answer(more=step.more)
        return True

    def open(self, startPositions: Mapping[str, StartPosition]) -> Deferred[Any]:
        """
        See L{Reader.open}.
        """
        opened = super().open(startPositions)
        if self._time and self.state is not State.CLOSED:
            # Also if the bus does not answer.
            self.fanout.wheel.set(self, self._time)
        return opened

    def beginAtEnd(self) -> bool:
        """
        See L{Reader.beginAtEnd}.
        """
        self.given(Input.CAUGHT_UP)
        if self._time:
            self.fanout.wheel.set(self, self._time)
        return True

    def caughtUp(self) -> None:
        """
        See L{Reader.caughtUp}.
        """
        if not self.isListening:
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
        self.waiter.pollEmpty(cursor)

    def hurry(self) -> None:
        """
        Answer now, whatever there is.
        """
        if self.state is not State.CLOSED:
            self.timedOut()

    def _answer(self, more: bool = False, close: Close | None = None) -> None:
        outcome = Outcome(self.standing, self._messages, self._gap, more, close)
        self.ended()
        self.waiter.pollAnswered(self.shape.respond(outcome))

    def makeDelivery(self) -> PollDelivery[R]:
        """
        See L{Reader.makeDelivery}.
        """
        return PollDelivery(self.fanout, self.shape)

    def take(self, prepared: R) -> None:
        """
        See L{Reader.take}.
        """
        self.ended()
        self.waiter.pollAnswered(prepared)

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        self._answer(close=close)


class PollDelivery(Generic[R]):
    """
    Delivers messages to held polls in one shape: all get the same response.
    """

    __slots__ = ("__weakref__", "_fanout", "_shape")

    def __init__(self, fanout: Fanout, shape: PollShape[R]) -> None:
        self._fanout = fanout
        self._shape = shape

    def prepare(self, messages: Sequence[Message], end: Cursor) -> R:
        """
        See L{Delivery.prepare<comet.fanout.delivery.Delivery.prepare>}.
        """
        size, count = 0, 0
        for message in messages[: self._shape.limit]:
            size += len(message.payload)
            if count and size > POLL_BYTES:
                break
            count += 1
        given = [(message, False) for message in messages[:count]]
        if count < len(messages):
            return self._shape.respond(Outcome(messages[count - 1].cursor, given, more=True))
        return self._shape.respond(Outcome(end, given))

    def deliver(self, group: DirectReaders, prepared: Any) -> bool:
        """
        See L{Delivery.deliver<comet.fanout.delivery.Delivery.deliver>}.

        @param prepared: Bytes, as the waiters of direct polls take them.
        """
        # Closes the readers without a call for each.
        fanout, closed = self._fanout, step(State.LIVE, Input.ENDED)
        waiters = []
        for reader in group.takeDirect():
            reader.state = closed
            reader.group = None
            del fanout.readers[reader]
            waiters.append(reader.waiter)
        if len(waiters) <= MOST_AT_ONCE:
            _answerAll(waiters, prepared)
        else:
            for start in range(0, len(waiters), MOST_AT_ONCE):
                some = waiters[start : start + MOST_AT_ONCE]
                fanout.backlog.add(partial(_answerAll, some, prepared), isPart=True)
        return True


def _answerAll(waiters: Sequence[DirectWaiter], response: bytes) -> None:
    """
    Send an answer to some whose readers are closed; of these, connections may
    be lost since.
    """
    sockets: Any = [waiter.direct for waiter in waiters]
    waiters[0].pollsSent(waiters, response, sendAll(sockets, response))
