"""
The steps of the core that use the network, done in an event loop.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar, cast

try:
    import httpx
except ImportError:
    raise ImportError(
        "the Python clients need packages that are not installed: pip install 'comet-push[client]'"
    ) from None

from comet.client.awaiting import Inbox
from comet.client.clientsteps import Read, Request, Texts, Upgrade
from comet.client.failures import Closed, Lost, Silent
from comet.client.httpxfailures import NETWORK_ERRORS, asFailure
from comet.client.httpxrequests import OPTIONS, Progress, makeRequest, noCookies
from comet.client.requester import KEPT, MOST_KEPT
from comet.client.websocketdialog import WebSocketDialog

T = TypeVar("T")


class _Arrivals:
    """
    An inbox that a coroutine can wait for.  The streams of asyncio would make a task for each wait
    that has a limit.
    """

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """
        Something has arrived.
        """
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def take(self, deadline: float) -> bytes:
        """
        Wait for bytes; none at the end.  A wait may be cancelled, and loses nothing.

        @raise Silent: If the time is over.
        """
        while True:
            data = self.inbox.take()
            if data is not None:
                return data
            loop = asyncio.get_running_loop()
            waiting = self._waiting = loop.create_future()
            timer = loop.call_at(deadline, _timeOut, waiting)
            try:
                await waiting
            finally:
                timer.cancel()
                self._waiting = None


def _timeOut(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(Silent("the server has sent nothing for too long", wasSent=True))


class _Response:
    """
    A response of C{httpx}, which a task reads ahead of its reader.

    C{httpx} ends a connection when a read of it is cancelled.  A wait for what the task has read
    may be cancelled.
    """

    def __init__(self, exchanges: Exchanges, response: httpx.Response, host: str) -> None:
        self.status = response.status_code
        self.arrivals = _Arrivals()
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


class _Socket(asyncio.Protocol):
    """
    A WebSocket.
    """

    def __init__(self, exchanges: Exchanges, dialog: WebSocketDialog, host: str) -> None:
        self._exchanges = exchanges
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        # Whether the server takes so little that answers to its pings wait.
        self._isClogged = False
        self._arrivals = _Arrivals()
        self._host = host
        self.dialog = dialog

    @property
    def status(self) -> int:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        return self.dialog.status

    @property
    def body(self) -> bytes:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        return self.dialog.body

    def header(self, name: str) -> str | None:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        return self.dialog.header(name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._transport = cast("asyncio.Transport", transport)
        self._exchanges.sockets.add(self)

    def data_received(self, data: bytes) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._arrivals.inbox.received(data)
        if self._arrivals.inbox.isFull:
            self._throttle()
        self._arrivals.wake()

    def pause_writing(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._isClogged = True
        self._throttle()

    def resume_writing(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._isClogged = False
        self._throttle()

    def _throttle(self) -> None:
        """
        Read on, or stop to read until there is room for what comes and for what it is answered.
        """
        if self._transport is None or self._transport.is_closing():
            return
        if self._isClogged or self._arrivals.inbox.isFull:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._arrivals.inbox.end()
        self._arrivals.wake()

    def connection_lost(self, error: Exception | None) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._exchanges.sockets.discard(self)
        self._transport = None
        self._arrivals.inbox.end(None if error is None else asFailure(error, self._host, True))
        self._arrivals.wake()

    async def more(self, deadline: float) -> None:
        """
        Wait for bytes, and answer pings and the end.
        """
        data = await self._arrivals.take(deadline)
        self._throttle()
        self.dialog.received(data)
        self.send()

    def send(self) -> None:
        """
        Send what is to be sent.
        """
        unsent = self.dialog.unsent()
        if unsent and self._transport is not None:
            self._transport.write(unsent)

    def close(self) -> None:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        # A subscription that the program has not closed may be freed after the loop has ended.
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()


class Exchanges:
    """
    The connections of a client, in one event loop.

    @ivar sockets: The WebSockets that are open.
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
        self.sockets: set[_Socket] = set()
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
            raise asFailure(error, step.url.host, False) from error
        sending = self.spawn(self._http.send(request, stream=True))
        try:
            await self._limit(sending, step.deadline)
        except BaseException:
            self.giveUp(sending)
            raise
        if not sending.done():
            self.giveUp(sending)
            raise asFailure(TimeoutError(), step.url.host, progress.wasSent)
        try:
            response = sending.result()
        except NETWORK_ERRORS as error:
            raise asFailure(error, step.url.host, progress.wasSent) from error
        except asyncio.CancelledError:
            raise Closed("the client is closed") from None
        return _Response(self, response, step.url.host)

    async def read(self, step: Read) -> bytes:
        """
        Wait for bytes of a body.
        """
        assert isinstance(step.response, _Response)
        return await step.response.read(step.deadline)

    async def upgrade(self, step: Upgrade) -> _Socket:
        """
        Open a WebSocket.
        """
        url = step.url
        dialog = WebSocketDialog(url, step.headers)
        connecting = self.spawn(self._connect(step, dialog))
        try:
            await self._limit(connecting, step.deadline)
        except BaseException:
            self.giveUp(connecting)
            raise
        if not connecting.done():
            self.giveUp(connecting)
            raise asFailure(TimeoutError(), url.host, False)
        try:
            socket = connecting.result()
        except NETWORK_ERRORS as error:
            raise asFailure(error, url.host, False) from error
        except asyncio.CancelledError:
            raise Closed("the client is closed") from None
        try:
            socket.send()
            while not dialog.status:
                await socket.more(step.deadline)
        except BaseException:
            socket.close()
            raise
        return socket

    async def _connect(self, step: Upgrade, dialog: WebSocketDialog) -> _Socket:
        url = step.url
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: _Socket(self, dialog, url.host),
            url.host,
            url.port,
            ssl=self._tls if url.isSecure else None,
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
