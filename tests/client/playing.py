"""
A shell without a network: it does the steps of the core against a server in memory, whose clock
stands still, or against bytes that a test writes down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from comet.client.clientcore import Core
from comet.client.clientreading import Reading
from comet.client.clientsteps import Ask, Connect, Receive, Send, Sleep, Step, Steps
from comet.client.received import Gap, Message
from tests.transports.case import HubTestCase
from tests.transports.wire import Wire

T = TypeVar("T")

# Seconds by which the clock is advanced while the client waits.
TICK = 1.0


class Blocked(Exception):
    """
    The client waits, and nothing comes unless the test does something.
    """


class Shell:
    """
    Drives the core.
    """

    def do(self, step: Step, waits: bool = True) -> Any:
        """
        Do a step.

        @param waits: Whether it may wait.

        @raise Blocked: If it may not, and has to.
        """
        raise NotImplementedError

    def run(self, steps: Steps[T]) -> T:
        """
        Do all steps, and return their result.
        """
        try:
            step = next(steps)
            while True:
                try:
                    result = self.do(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            value: T = done.value
            return value

    def next(self, reading: Reading, waits: bool = True) -> Message | Gap:
        """
        Return the next item.
        """
        while True:
            item = reading.take()
            if item is not None:
                return item
            step = reading.step()
            if step is None:
                continue
            try:
                result = self.do(step, waits)
            except Blocked:
                raise
            except Exception as error:
                reading.failed(error)
            else:
                reading.done(result)

    def items(self, reading: Reading) -> list[Message | Gap]:
        """
        Return all items that come without a wait.
        """
        items: list[Message | Gap] = []
        while True:
            try:
                items.append(self.next(reading, waits=False))
            except Blocked:
                return items

    def data(self, reading: Reading) -> list[Any]:
        """
        Return the data of all messages that come without a wait.  A gap stands for itself.
        """
        return [each.data if isinstance(each, Message) else each for each in self.items(reading)]


class MemoryConnection:
    """
    A connection to the server in memory.

    @ivar left: How many bytes the client gets before the connection breaks; L{None} if it does not.

    @ivar most: How many bytes it gets at a time.
    """

    def __init__(self, wire: Wire, left: int | None, most: int) -> None:
        self.wire = wire
        self.left = left
        self.most = most
        self._buffer = b""

    def take(self) -> bytes:
        """
        Return bytes that have arrived, or none.
        """
        self._buffer += self.wire.take()
        size = self.most if self.left is None else min(self.most, self.left)
        if self._buffer and not size:
            self.close()
            raise ConnectionResetError("the link is cut")
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        if self.left is not None:
            self.left -= len(taken)
        return taken

    def close(self) -> None:
        """
        See L{comet.client.clientsteps.Connection}.
        """
        self.wire.leave()


class Player(Shell):
    """
    Does steps against the hub of a test case.

    @ivar connections: All that were opened.

    @ivar isDown: Whether the server refuses connections.

    @ivar cut: Returns after how many bytes a new connection breaks.

    @ivar most: Returns how many bytes a new connection brings at a time.

    @ivar slept: How long the client has waited before it came back, each time.
    """

    def __init__(self, case: HubTestCase) -> None:
        self.case = case
        self.connections: list[MemoryConnection] = []
        self.isDown = False
        self.cut: Callable[[], int | None] = lambda: None
        self.most: Callable[[], int] = lambda: 65536
        self.slept: list[float] = []

    def core(self, **options: Any) -> Core:
        """
        Make a client.
        """
        options = {"random": Random(0), **options}
        return Core("http://localhost", self.case.clock.seconds, **options)

    def do(self, step: Step, waits: bool = True) -> Any:
        """
        Do a step.  If it waits, the clock is advanced.
        """
        case, clock = self.case, self.case.clock
        if isinstance(step, Connect):
            if self.isDown:
                raise ConnectionRefusedError("the server is down")
            connection = MemoryConnection(case.connect(), self.cut(), self.most())
            self.connections.append(connection)
            return connection
        if isinstance(step, Sleep):
            self.slept.append(step.until - clock.seconds())
            return case.turn(max(step.until - clock.seconds(), 0))
        if isinstance(step, Ask):
            return step.function()
        connection = step.connection  # type: ignore[assignment]
        if isinstance(step, Send):
            connection.wire.send(step.data)
            return case.turn()
        return self._receive(connection, step, waits)

    def _receive(self, connection: MemoryConnection, step: Receive, waits: bool) -> bytes:
        case, clock = self.case, self.case.clock
        while True:
            case.turn()
            data = connection.take()
            if data or not connection.wire.isOpen:
                return data
            if not waits:
                raise Blocked
            if clock.seconds() >= step.deadline:
                raise TimeoutError
            case.turn(min(TICK, step.deadline - clock.seconds()))


class Script(Shell):
    """
    A shell whose connections bring what a test has written down.

    @ivar now: The clock, in seconds.

    @ivar sent: What was sent on each connection.

    @ivar asked: The steps that opened them.
    """

    def __init__(self, *connections: Sequence[bytes | Exception] | Exception) -> None:
        """
        @param connections: What each connection brings: pieces, and failures.  Nothing behind the
            last: then the server closes it.
        """
        self._connections = list(connections)
        self.now = 1000.0
        self.sent: list[bytes] = []
        self.asked: list[Connect] = []
        self.slept: list[float] = []

    def seconds(self) -> float:
        """
        Return the time.
        """
        return self.now

    def core(self, url: str = "http://push.example", **options: Any) -> Core:
        """
        Make a client.
        """
        options = {"random": Random(0), **options}
        return Core(url, self.seconds, **options)

    def do(self, step: Step, waits: bool = True) -> Any:
        """
        Do a step.
        """
        if isinstance(step, Connect):
            self.asked.append(step)
            self.sent.append(b"")
            if not self._connections:
                raise Blocked
            connection = self._connections.pop(0)
            if isinstance(connection, Exception):
                raise connection
            return _Scripted(len(self.sent) - 1, list(connection))
        if isinstance(step, Sleep):
            self.slept.append(step.until - self.now)
            self.now = max(self.now, step.until)
            return None
        if isinstance(step, Ask):
            return step.function()
        connection = step.connection  # type: ignore[assignment]
        assert isinstance(connection, _Scripted)
        if isinstance(step, Send):
            self.sent[connection.index] += step.data
            return None
        event = connection.events.pop(0) if connection.events else b""
        if isinstance(event, TimeoutError):
            self.now = step.deadline
        if isinstance(event, Exception):
            raise event
        return event


class _Scripted:
    """
    One of its connections.
    """

    def __init__(self, index: int, events: list[bytes | Exception]) -> None:
        self.index = index
        self.events = events

    def close(self) -> None:
        """
        See L{comet.client.clientsteps.Connection}.
        """
        self.events = [ConnectionResetError("it is closed")]
