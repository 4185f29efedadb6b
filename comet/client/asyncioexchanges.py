"""
The steps of the core that use the network, done in an event loop.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar, cast

try:
    import httpx
except ImportError:
    raise ImportError(
        "the Python clients need packages that are not installed: pip install 'comet-push[client]'"
    ) from None

from comet.client.asyncioconnections import Arrivals, Connection
from comet.client.clientsteps import Connect, Read, Request, Texts, Upgrade
from comet.client.failures import Closed, Lost
from comet.client.httpxfailures import NETWORK_ERRORS, asFailure
from comet.client.httpxrequests import OPTIONS, Progress, makeRequest, noCookies
from comet.client.requester import KEPT, MOST_KEPT
from comet.client.serverurl import ServerURL
from comet.client.websocketdialog import DialogSocket, WebSocketDialog

T = TypeVar("T")
C = TypeVar("C", bound=Connection)


class _Response:
    """
    A response of C{httpx}, which a task reads ahead of its reader.

    C{httpx} ends a connection when a read of it is cancelled.  A wait for what the task has read
    may be cancelled.
    """

    def __init__(self, exchanges: Exchanges, response: httpx.Response, host: str) -> None:
        self.status = response.status_code
        self.arrivals = Arrivals()
        self._exchanges = exchanges
        self._host = host
        self._response = response
        self._room = asyncio.Event()
        self._hasBegun = self._isClosed = False
        self._task = exchanges.spawn(self._pump())

    def header(self, name: str) -> str | None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        value = self._response.headers.get(name)
        return None if value is None else str(value)

    async def _pump(self) -> None:
        self._hasBegun = True
        inbox = self.arrivals.inbox
        try:
            if not self._isClosed:
                await self._receive()
            inbox.end()
        except NETWORK_ERRORS as error:
            inbox.end(asFailure(error, self._host, True))
        except BaseException:
            inbox.end(Lost("the connection was closed", wasSent=True))
            raise
        finally:
            self.arrivals.wake()
            await self._response.aclose()

    async def _receive(self) -> None:
        inbox = self.arrivals.inbox
        body = cast("AsyncGenerator[bytes, None]", self._response.aiter_raw())
        async with aclosing(body) as pieces:
            async for data in pieces:
                inbox.received(data)
                self.arrivals.wake()
                while inbox.isFull:
                    self._room.clear()
                    await self._room.wait()

    async def read(self, deadline: float) -> bytes:
        """
        Wait for bytes; none at the end.
        """
        data = await self.arrivals.take(deadline)
        self._room.set()
        return data

    def close(self) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        self._isClosed = True
        # A task that is cancelled before it begins does nothing, and the connection would stay.
        self._exchanges.end(self._task, self._hasBegun)


class _RawSocket(Connection):
    """
    A connection of raw TCP.
    """

    status = 0

    def header(self, name: str) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.  There are none.
        """


class _Socket(Connection, DialogSocket):
    """
    A WebSocket.
    """

    def __init__(self, sockets: set[Connection], dialog: WebSocketDialog, host: str) -> None:
        super().__init__(sockets, host)
        self.dialog = dialog

    async def more(self, deadline: float) -> None:
        """
        Wait for bytes, and answer pings and the end.
        """
        self.dialog.received(await self.read(deadline))
        self.send()

    def send(self) -> None:
        """
        Send what is to be sent.
        """
        self.write(self.dialog.unsent())


class Exchanges:
    """
    The connections of a client, in one event loop.

    @ivar sockets: The WebSockets and connections of raw TCP that are open.
    """

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        """
        @param tls: By default one with the certificates of the system.
        """
        self._tls = tls or ssl.create_default_context()
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=MOST_KEPT, keepalive_expiry=KEPT
        )
        self._http = httpx.AsyncClient(
            verify=self._tls, limits=limits, cookies=noCookies(), **OPTIONS
        )
        self.sockets: set[Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        # Those of them that are cancelled, and not yet done.
        self._ending: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """
        Run a coroutine that ends when the client is closed.
        """
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def request(self, step: Request) -> _Response:
        """
        Send a request, and wait for the head of its response.
        """
        progress = Progress()
        try:
            request = makeRequest(self._http, step, progress.awaitTrace)
        except NETWORK_ERRORS as error:
            raise asFailure(error, step.url.authority, False) from error
        sending = self.spawn(self._http.send(request, stream=True))
        try:
            await self._limit(sending, step.deadline)
        except BaseException:
            self.giveUp(sending)
            raise
        if not sending.done():
            self.giveUp(sending)
            raise asFailure(TimeoutError(), step.url.authority, progress.wasSent)
        try:
            response = sending.result()
        except NETWORK_ERRORS as error:
            raise asFailure(error, step.url.authority, progress.wasSent) from error
        except asyncio.CancelledError:
            raise Closed("the client is closed") from None
        return _Response(self, response, step.url.authority)

    async def read(self, step: Read) -> bytes:
        """
        Wait for bytes of a body.
        """
        assert isinstance(step.response, _Response | _RawSocket)
        return await step.response.read(step.deadline)

    async def upgrade(self, step: Upgrade) -> _Socket:
        """
        Open a WebSocket.
        """
        dialog = WebSocketDialog(step.url, step.headers)
        host = step.url.authority
        socket = await self._open(step, lambda: _Socket(self.sockets, dialog, host))
        try:
            socket.send()
            while not dialog.status:
                await socket.more(step.deadline)
        except BaseException:
            socket.close()
            raise
        return socket

    async def connect(self, step: Connect) -> _RawSocket:
        """
        Open a connection of raw TCP.
        """
        socket = await self._open(step, lambda: _RawSocket(self.sockets, step.url.authority))
        socket.write(step.data)
        return socket

    async def _open(self, step: Upgrade | Connect, make: Callable[[], C]) -> C:
        """
        Open a connection, and verify the certificate.
        """
        url = step.url
        connecting = self.spawn(self._connect(url, make))
        try:
            await self._limit(connecting, step.deadline)
        except BaseException:
            self.giveUp(connecting)
            raise
        if not connecting.done():
            self.giveUp(connecting)
            raise asFailure(TimeoutError(), url.authority, False)
        try:
            return connecting.result()
        except NETWORK_ERRORS as error:
            raise asFailure(error, url.authority, False) from error
        except asyncio.CancelledError:
            raise Closed("the client is closed") from None

    async def _connect(self, url: ServerURL, make: Callable[[], C]) -> C:
        _, socket = await asyncio.get_running_loop().create_connection(
            make, url.host, url.port, ssl=self._tls if url.isSecure else None
        )
        return socket

    async def _limit(self, task: asyncio.Task[Any], deadline: float) -> None:
        """
        Wait until a task is done, or the time is over.  A caller that gives up does not end it.
        """
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait({task}, timeout=max(left, 0.001))

    async def texts(self, step: Texts) -> list[bytes]:
        """
        Wait for messages.
        """
        socket = step.socket
        assert isinstance(socket, _Socket)
        texts = socket.dialog.take()
        if not texts:
            await socket.more(step.deadline)
            texts = socket.dialog.take()
        return texts

    def end(self, task: asyncio.Task[Any], isCancelled: bool = True) -> None:
        """
        End a task.

        @param isCancelled: Whether it is cancelled; else it ends by itself.
        """
        # Something that the program has not closed may be freed after the loop has ended.
        if not task.get_loop().is_closed() and not task.done():
            if isCancelled:
                task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def giveUp(self, task: asyncio.Task[Any]) -> None:
        """
        End a task whose result is a connection, which nothing waits for any more.
        """
        self.end(task)
        task.add_done_callback(self._dispose)

    def _dispose(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            return
        result = task.result()
        if isinstance(result, httpx.Response):
            _Response(self, result, "").close()
        else:
            result.close()

    async def settle(self) -> None:
        """
        Wait until what was ended has ended.
        """
        while self._ending:
            await asyncio.wait(set(self._ending))

    async def close(self) -> None:
        """
        Close all connections, and end all tasks.
        """
        for socket in list(self.sockets):
            socket.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._http.aclose()
        # The transports close in the next turn.
        await asyncio.sleep(0)
