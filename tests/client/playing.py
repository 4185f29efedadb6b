"""
A shell without a network: it does the steps of the core against a server in memory, whose clock
stands still, or against answers that a test writes down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

import h11
from attrs import define, field

from comet.client.clientcore import Core
from comet.client.clientreading import Reading
from comet.client.clientsteps import (
    Ask,
    Connect,
    Opening,
    Read,
    Request,
    Sleep,
    Step,
    Steps,
    Texts,
    Upgrade,
)
from comet.client.failures import Lost, Silent
from comet.client.received import Gap, Message
from comet.client.websocketdialog import WebSocketDialog
from comet.transports.tcp import CometFactory
from tests.transports.case import HubTestCase
from tests.transports.wire import Serving, Wire

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
            raise Lost("the link is cut", wasSent=True)
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        if self.left is not None:
            self.left -= len(taken)
        return taken

    def close(self) -> None:
        """
        Close it at once.
        """
        self.wire.leave()


class _Response:
    """
    A response over one of them.
    """

    def __init__(self, connection: MemoryConnection, http: h11.Connection) -> None:
        self.connection = connection
        self.http = http
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    def header(self, name: str) -> str | None:
        """
        See L{comet.client.clientsteps.Response}.
        """
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def isOver(self) -> bool:
        """
        Whether another request may follow on the connection.
        """
        return self.http.their_state is h11.DONE and self.connection.wire.isOpen

    def close(self) -> None:
        """
        See L{comet.client.clientsteps.Response}.
        """
        if self.http.their_state is not h11.DONE:
            self.connection.close()


class _RawSocket:
    """
    Raw TCP over one of them.
    """

    status = 0

    def __init__(self, connection: MemoryConnection) -> None:
        self.connection = connection
        self.close = connection.close

    def header(self, name: str) -> None:
        """
        See L{comet.client.clientsteps.Response}.
        """


class _Socket:
    """
    A WebSocket over one of them.
    """

    def __init__(self, connection: MemoryConnection, dialog: WebSocketDialog) -> None:
        self.connection = connection
        self.dialog = dialog
        self.close = connection.close
        self.header = dialog.header

    @property
    def status(self) -> int:
        """
        See L{comet.client.clientsteps.Socket}.
        """
        return self.dialog.status

    @property
    def body(self) -> bytes:
        """
        See L{comet.client.clientsteps.Socket}.
        """
        return self.dialog.body


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
        self._kept: _Response | None = None
        # A step that had to wait, and what it is done with.
        self._begun: tuple[Step, Any] | None = None

    def core(self, **options: Any) -> Core:
        """
        Make a client.
        """
        options = {"random": Random(0), **options}
        isRaw = options.get("transport") == "tcp"
        url = "tcp://localhost:8081" if isRaw else "http://localhost"
        return Core(url, self.case.clock.seconds, **options)

    def do(self, step: Step, waits: bool = True) -> Any:
        """
        Do a step.  If it waits, the clock is advanced.
        """
        case, clock = self.case, self.case.clock
        if isinstance(step, Sleep):
            self.slept.append(step.until - clock.seconds())
            return case.turn(max(step.until - clock.seconds(), 0))
        if isinstance(step, Ask):
            return step.function()
        if isinstance(step, Request):
            return self._request(step, waits)
        if isinstance(step, Upgrade):
            return self._upgrade(step, waits)
        if isinstance(step, Connect):
            return self._connectRaw(step)
        if isinstance(step, Texts):
            return self._texts(step, waits)
        if isinstance(step.response, _RawSocket):
            return self._receive(step.response.connection, step.deadline, waits)
        assert isinstance(step.response, _Response)
        return self._read(step, step.response, waits)

    def drop(self) -> None:
        """
        Keep no connection for the next request.
        """
        self._kept = None

    def _connect(self, factory: Serving | None = None) -> MemoryConnection:
        if self.isDown:
            raise Lost("the server is down", wasConnected=False)
        connection = MemoryConnection(self.case.connect(factory), self.cut(), self.most())
        self.connections.append(connection)
        return connection

    def _connectRaw(self, step: Connect) -> _RawSocket:
        socket = _RawSocket(self._connect(CometFactory(self.case.hub)))
        socket.connection.wire.send(step.data)
        self.case.turn()
        return socket

    def _request(self, step: Request, waits: bool) -> _Response:
        if self._begun is not None and self._begun[0] is step:
            response: _Response = self._begun[1]
        else:
            response = self._send(step)
        self._begun = (step, response)
        http = response.http
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as error:
                raise Lost(str(error), wasSent=True) from None
            if isinstance(event, h11.Response):
                response.status, response.headers = event.status_code, dict(event.headers)
                self._begun = None
                return response
            if isinstance(event, h11.ConnectionClosed):
                raise Lost("the server has closed the connection", wasSent=True)
            self._more(response, step.deadline, waits)

    def _send(self, step: Request) -> _Response:
        kept, self._kept = self._kept, None
        if kept is None or not kept.isOver:
            response = _Response(self._connect(), h11.Connection(h11.CLIENT))
        else:
            kept.http.start_next_cycle()
            response = _Response(kept.connection, kept.http)
        headers = {"Host": step.url.authority, **step.headers}
        if step.body:
            headers["Content-Length"] = str(len(step.body))
        asked = h11.Request(
            method=step.method, target=step.url.target, headers=list(headers.items())
        )
        events = [asked, *[h11.Data(data=step.body)] * bool(step.body), h11.EndOfMessage()]
        data = b"".join(response.http.send(event) or b"" for event in events)
        response.connection.wire.send(data)
        self.case.turn()
        return response

    def _read(self, step: Read, response: _Response, waits: bool) -> bytes:
        pieces: list[bytes] = []
        while True:
            if response.http.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
                if not pieces:
                    self._kept = response
                return b"".join(pieces)
            try:
                event = response.http.next_event()
            except h11.RemoteProtocolError as error:
                raise Lost(str(error), wasSent=True) from None
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif event is h11.NEED_DATA and pieces:
                return b"".join(pieces)
            elif event is h11.NEED_DATA:
                self._more(response, step.deadline, waits)

    def _more(self, response: _Response, deadline: float, waits: bool) -> None:
        response.http.receive_data(self._receive(response.connection, deadline, waits))

    def _upgrade(self, step: Upgrade, waits: bool) -> _Socket:
        if self._begun is not None and self._begun[0] is step:
            socket: _Socket = self._begun[1]
        else:
            socket = _Socket(self._connect(), WebSocketDialog(step.url, step.headers))
            self._answer(socket)
        self._begun = (step, socket)
        while not socket.status:
            socket.dialog.received(self._receive(socket.connection, step.deadline, waits))
        self._begun = None
        return socket

    def _texts(self, step: Texts, waits: bool) -> list[bytes]:
        socket = step.socket
        assert isinstance(socket, _Socket)
        texts = socket.dialog.take()
        if not texts:
            socket.dialog.received(self._receive(socket.connection, step.deadline, waits))
            self._answer(socket)
            texts = socket.dialog.take()
        return texts

    def _answer(self, socket: _Socket) -> None:
        unsent = socket.dialog.unsent()
        if unsent:
            socket.connection.wire.send(unsent)
            self.case.turn()

    def _receive(self, connection: MemoryConnection, deadline: float, waits: bool) -> bytes:
        case, clock = self.case, self.case.clock
        while True:
            case.turn()
            data = connection.take()
            if data or not connection.wire.isOpen:
                return data
            if not waits:
                raise Blocked
            if clock.seconds() >= deadline:
                connection.close()
                raise Silent("it is silent", wasSent=True)
            case.turn(min(TICK, deadline - clock.seconds()))


@define
class Reply:
    """
    How a request or a handshake is answered.

    @ivar headers: With names in lower case.

    @ivar events: What the body brings, or a WebSocket: pieces, texts and failures.  Nothing behind
        the last: then it ends.
    """

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    events: Sequence[bytes | Exception] = ()


def silent() -> Silent:
    """
    Make the failure of a step whose time is over after it has sent something.
    """
    return Silent("it is silent", wasSent=True)


def cut() -> Lost:
    """
    Make the failure of a step whose connection breaks after it has sent something.
    """
    return Lost("it broke", wasSent=True)


def away() -> Lost:
    """
    Make the failure of a step that finds no server.
    """
    return Lost("there is no connection", wasConnected=False)


class Script(Shell):
    """
    A shell that brings what a test has written down.

    @ivar now: The clock, in seconds.

    @ivar asked: The requests and handshakes.
    """

    def __init__(self, *replies: Reply | Exception) -> None:
        """
        @param replies: How each is answered.
        """
        self._replies = list(replies)
        self.now = 1000.0
        self.asked: list[Opening] = []
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
        if isinstance(step, Opening):
            self.asked.append(step)
            if not self._replies:
                raise Blocked
            reply = self._replies.pop(0)
            if isinstance(reply, Exception):
                raise self._failure(reply, step.deadline)
            return _Scripted(reply)
        if isinstance(step, Sleep):
            self.slept.append(step.until - self.now)
            self.now = max(self.now, step.until)
            return None
        if isinstance(step, Ask):
            return step.function()
        scripted: Any = step.socket if isinstance(step, Texts) else step.response
        event = scripted.events.pop(0) if scripted.events else b""
        if isinstance(event, Exception):
            raise self._failure(event, step.deadline)
        if isinstance(step, Read):
            return event
        if not event:
            raise Lost("the connection has ended")
        return [event]

    def headers(self, number: int) -> Mapping[str, str]:
        """
        Return the headers of a request or handshake.
        """
        step = self.asked[number]
        assert not isinstance(step, Connect), "raw TCP has no headers"
        return step.headers

    def _failure(self, error: Exception, deadline: float) -> Exception:
        if isinstance(error, Silent):
            self.now = deadline
        return error


class _Scripted:
    """
    A response or a WebSocket.
    """

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.events = list(reply.events)
        self.body = b"".join(each for each in reply.events if isinstance(each, bytes))
        self._headers = reply.headers

    def header(self, name: str) -> str | None:
        """
        See L{comet.client.clientsteps.Response}.
        """
        return self._headers.get(name)

    def close(self) -> None:
        """
        See L{comet.client.clientsteps.Response}.
        """
        self.events = [cut()]
