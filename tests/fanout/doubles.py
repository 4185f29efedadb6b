"""
What stands in for clients in the tests of the fan-out: a clock that goes turn
by turn, sinks in memory, shapes that are easy to read back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from socket import socket
from typing import Any

from attrs import frozen
from twisted.internet.task import Clock
from zope.interface import implementer

from comet.framing.budget import CompressionBudget
from comet.http.credentials import Credentials
from comet.http.polls import Outcome
from comet.interfaces.access import IAccess
from comet.interfaces.receiver import IReceiver
from comet.interfaces.sinks import IDirectSink, ISink, ISinkOwner
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

ANYONE = Client("anyone", True)


class TurnClock(Clock):
    """
    A clock that can run the calls of one turn of the reactor.
    """

    def turn(self) -> None:
        """
        Run what is due now, but not what is made due by it.
        """
        now = self.seconds()
        for call in [each for each in self.getDelayedCalls() if each.getTime() <= now]:
            if call.active():
                self._run(call)

    def _run(self, call: Any) -> None:
        self.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)

    def settle(self) -> None:
        """
        Run turns until nothing is due.
        """
        for _ in range(1000):
            if not any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
                return
            self.turn()
        raise AssertionError("there is always something more to do")


@implementer(IAccess)
class AllAccess:
    """
    Gives all rights to each client.
    """

    def identify(self, credentials: Credentials) -> Client:
        """
        All clients are the same.
        """
        return ANYONE

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Allow it.
        """

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Allow it.
        """

    def checkDelete(self, client: Client, channel: str) -> None:
        """
        Allow it.
        """


def _line(kind: str, *values: object) -> bytes:
    return json.dumps([kind, *values]).encode("ascii") + b"\n"


@frozen
class LineShape:
    """
    Each piece is a line: a list of what it is and what it says.

    @ivar tag: Tells shapes apart.
    """

    adoptsReplay: bool = False
    tag: str = ""
    prelude: bytes = b""
    coda: bytes = b""

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        A line for a message.
        """
        return _line("message", message.channel, message.epoch, message.position, replay)

    def _id(self, cursor: Cursor, resume: Cursor | None) -> Cursor:
        return resume if self.adoptsReplay and resume is not None else cursor

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        A line for where the reader stands.
        """
        return _line("standing", *self._id(cursor, resume))

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        A line for a gap.
        """
        return _line("gap", *self._id(cursor, resume), *names)

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        A line for the end.
        """
        return _line("close", *self._id(cursor, resume), close.code, close.retry)

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        All lines.
        """
        return b"".join(pieces)


def readLines(data: bytes) -> list[list[Any]]:
    """
    What was written in L{LineShape}.
    """
    return [json.loads(line) for line in data.splitlines()]


@implementer(ISink)
class MemorySink:
    """
    Keeps what is written.

    @ivar writes: What was written, one by one.

    @ivar budget: After how many more writes it is behind, or L{None}.

    @ivar stalls: What it was told of its client, whether it takes nothing.

    @ivar isEnding: Whether it was told to finish or to abort.
    """

    def __init__(self, heard: Callable[[bytes], None] | None = None) -> None:
        self.owner: ISinkOwner | None = None
        self.writes: list[bytes] = []
        self.budget: int | None = None
        self.isReady = True
        self.isFinished = False
        self.isAborted = False
        self.stalls: list[bool] = []
        self._heard = heard

    @property
    def isEnding(self) -> bool:
        """
        Whether nothing more is to be written.
        """
        return self.isFinished or self.isAborted

    @property
    def lines(self) -> list[list[Any]]:
        """
        All that was written, as L{LineShape} makes it.
        """
        return readLines(b"".join(self.writes))

    def attach(self, owner: ISinkOwner) -> None:
        """
        See L{ISink.attach}.
        """
        assert self.owner is None
        self.owner = owner

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write}.
        """
        assert not self.isEnding, "written to after the end"
        self.writes.append(data)
        if self._heard is not None:
            self._heard(data)
        if self.budget is not None:
            self.budget -= 1
            self.isReady = self.isReady and self.budget > 0
        return self.isReady

    def stalled(self, isStalled: bool) -> None:
        """
        See L{ISink.stalled}.
        """
        self.stalls.append(isStalled)

    def finish(self) -> None:
        """
        See L{ISink.finish}.
        """
        self.isFinished = True

    def abort(self) -> None:
        """
        See L{ISink.abort}.
        """
        self.isAborted = True

    def fill(self, budget: int = 1) -> None:
        """
        Be behind after some writes.
        """
        self.budget = budget

    def drain(self) -> None:
        """
        Be ready again.
        """
        self.budget = None
        if not self.isReady:
            self.isReady = True
            assert self.owner is not None
            self.owner.sinkReady()

    def lose(self) -> None:
        """
        The client is gone.
        """
        assert self.owner is not None
        self.owner.sinkLost()


class _MemorySocket:
    """
    The socket of a sink in memory: it takes all bytes while the sink is ready.
    """

    def __init__(self, sink: DirectMemorySink) -> None:
        self._sink = sink

    def send(self, data: bytes | memoryview, /) -> int:
        """
        See L{DirectSocket.send}.
        """
        sink = self._sink
        if not sink.isReady or sink.budget == 1:
            return 0
        sink.write(bytes(data))
        return len(data)


@implementer(IDirectSink)
class DirectMemorySink(MemorySink):
    """
    Keeps what is written, also to its socket.
    """

    def __init__(self, heard: Callable[[bytes], None] | None = None) -> None:
        super().__init__(heard)
        self.direct = _MemorySocket(self)

    def sent(self, count: int) -> None:
        """
        See L{IDirectSink.sent}.
        """

    def keep(self, rest: bytes | memoryview) -> None:
        """
        See L{IDirectSink.keep}.
        """
        self.write(bytes(rest))
        assert not self.isReady


@frozen
class OutcomeShape:
    """
    The answer to a poll is its outcome.
    """

    limit: int = 1000

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> Outcome:
        """
        The outcome, a copy for each answer that is made.
        """
        return Outcome(
            outcome.cursor,
            list(outcome.messages),
            list(outcome.gap),
            outcome.more,
            outcome.close,
        )


class MemoryWaiter:
    """
    Keeps the answer to a poll.
    """

    direct: socket | None = None
    keepsTime: bool = False
    isBehind: bool = False

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.empty: list[Cursor] = []

    @property
    def isAnswered(self) -> bool:
        """
        Whether there was an answer.
        """
        return bool(self.outcomes or self.empty)

    @property
    def outcome(self) -> Outcome:
        """
        The only answer.
        """
        assert len(self.outcomes) + len(self.empty) == 1
        return self.outcomes[0] if self.outcomes else Outcome(self.empty[0])

    def pollAnswered(self, response: Outcome) -> None:
        """
        See L{Waiter.pollAnswered}.
        """
        assert not self.isAnswered
        self.outcomes.append(response)

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter.pollEmpty}.
        """
        assert not self.isAnswered
        self.empty.append(cursor)


@implementer(IReceiver)
class MemoryReceiver:
    """
    Keeps what an application is given.

    @ivar heard: What came, in order, as L{LineShape} would say it.

    @ivar react: Is called with each of these, after it was kept.
    """

    def __init__(self, react: Callable[[list[Any]], object] | None = None) -> None:
        self.heard: list[list[Any]] = []
        self.react = react

    @property
    def positions(self) -> list[int]:
        """
        The positions of the messages.
        """
        return [each[3] for each in self.heard if each[0] == "message"]

    def _hear(self, *values: Any) -> None:
        self.heard.append(list(values))
        if self.react is not None:
            self.react(self.heard[-1])

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        See L{IReceiver.messageReceived}.
        """
        self._hear("message", message.channel, message.epoch, message.position, replay)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        See L{IReceiver.gapFound}.
        """
        self._hear("gap", *cursor, *names)

    def subscriptionClosed(self, close: Close) -> None:
        """
        See L{IReceiver.subscriptionClosed}.
        """
        self._hear("close", close.code, close.retry)
