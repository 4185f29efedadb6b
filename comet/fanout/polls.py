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
from comet.fanout.groups import Group
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

    @ivar direct: A socket, which does not block, where others may send the
        answer to it; or L{None}.

    @ivar keepsTime: Whether it lets the poll end itself when its time is over:
        it is on the wheel for its client in any case.
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

    __slots__ = ("_bytes", "_gap", "_messages", "_time", "_waiter", "direct", "isPassing", "shape")

    # Slots of the class, narrower than what it inherits.
    isPassing: bool
    shape: PollShape[R]
    direct: socket | None

    def __init__(self, fanout: Fanout, shape: PollShape[R], waiter: Waiter[R], wait: float) -> None:
        """
        @param wait: For how many seconds it may wait for a message.
        """
        Reader.__init__(self, fanout)
        self.shape = shape
        self.direct = waiter.direct
        self.isPassing = wait <= 0
        # For how many seconds it waits by its own timer; none if it is passing,
        # or the waiter keeps the time.
        self._time = 0.0 if self.isPassing or waiter.keepsTime else wait
        self._waiter = waiter
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
        return self.fanout.read(wanted, limit, most, self.isPassing)

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
        if self.isPassing:
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

    def prepare(self, messages: Sequence[Message], end: Cursor) -> R:
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
        return self.shape.respond(Outcome(end, given))

    def take(self, prepared: R) -> None:
        """
        See L{Reader.take}.
        """
        self.ended()
        self._waiter.pollAnswered(prepared)

    def takeAll(self, group: Group, prepared: Any) -> bool:
        """
        See L{Reader.takeAll}.
        """
        fanout, ended = self.fanout, step(State.LIVE, Input.ENDED)
        readers: Any = group.takeDirect()
        waiters = []
        for reader in readers:
            reader.state = ended
            reader.group = None
            del fanout.readers[reader]
            waiters.append(reader._waiter)
        if len(waiters) <= MOST_AT_ONCE:
            _answerAll(waiters, prepared)
        else:
            for start in range(0, len(waiters), MOST_AT_ONCE):
                some = waiters[start : start + MOST_AT_ONCE]
                fanout.backlog.add(partial(_answerAll, some, prepared), isPart=True)
        fanout.haveLeft(group, len(waiters))
        return True

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        self._answer(close=close)


def _answerAll(waiters: Sequence[DirectWaiter], response: bytes) -> None:
    """
    Send an answer to some whose readers are closed; of these, connections may
    be lost since.
    """
    sockets: Any = [waiter.direct for waiter in waiters]
    waiters[0].pollsSent(waiters, response, sendAll(sockets, response))
