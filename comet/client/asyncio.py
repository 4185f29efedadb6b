"""
A client for programs with asyncio::

    from comet.client.asyncio import Client

    async with Client("http://127.0.0.1:8080", key="…") as client:
        await client.publish("news", {"headline": "…"})
        async for item in client.subscribe("news", since="earliest"):
            print(item)

A program makes one client for its event loop and keeps it, so that its connections are used again.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, cast

from comet.client.awaiting import Inbox, awaitItem, awaitSteps
from comet.client.basesubscription import BaseSubscription
from comet.client.batches import BATCH
from comet.client.clientcore import Core
from comet.client.clientreading import Reading
from comet.client.clientsteps import Ask, Connect, Receive, Send, Sleep, Step, Steps
from comet.client.credential import Token
from comet.client.failures import Closed, Untrusted
from comet.client.received import Closing, Gap, Member, Message, Presence
from comet.client.requester import Timing
from comet.client.standing import Since

__all__ = ["Client", "Closing", "Gap", "Member", "Message", "Presence", "Subscription", "Timing"]

T = TypeVar("T")


class _Connection(asyncio.Protocol):
    """
    A connection that keeps what arrives until it is taken.

    The streams of asyncio would make a task for each wait that has a limit.
    """

    def __init__(self, connections: set[_Connection]) -> None:
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._inbox = Inbox()
        self._waiting: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._inbox.received(data)
        if self._inbox.isFull and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._inbox.end()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._connections.discard(self)
        self._transport = None
        if error is not None and not isinstance(error, OSError):
            error = ConnectionResetError(str(error))
        self._inbox.end(error)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            _finish(self._waiting)

    def send(self, data: bytes) -> None:
        """
        Take bytes to be sent.

        @raise OSError: If the connection is lost.
        """
        if self._transport is None:
            raise self._inbox.error or ConnectionResetError("the connection is closed")
        self._transport.write(data)

    async def receive(self, deadline: float) -> bytes:
        """
        Wait for bytes.

        @raise OSError: If the connection is lost, or the time is over.
        """
        while True:
            isFull = self._inbox.isFull
            data = self._inbox.take()
            if data is not None:
                if isFull and self._transport is not None:
                    self._transport.resume_reading()
                return data
            await self._wait(deadline)

    async def _wait(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        timer = loop.call_at(deadline, _timeOut, waiting)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def close(self) -> None:
        """
        See L{Connection<comet.client.clientsteps.Connection>}.
        """
        # A subscription that the program has not closed may be freed after the loop has ended.
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()


def _timeOut(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


class Client:
    """
    Publishes and reads.

    Each method raises the L{CometError<comet.errors.CometError>} that the server answers, or one of
    L{comet.client.failures}.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        key: str | None = None,
        transport: str | Sequence[str] | None = None,
        parameters: Mapping[str, str] | None = None,
        timing: Timing | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        The parameters are those of L{comet.client.blocking.Client}, but the function for tokens may
        be a coroutine function.

        @raise ValueError: If one of these is not allowed.
        """
        self._core = Core(url, _now, token, key, transport, parameters, timing)
        self._tls = tls
        self._connections: set[_Connection] = set()
        self._waiting: set[asyncio.Future[Any]] = set()
        self._isClosed = False

    async def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> str:
        """
        Publish a message.  See L{comet.client.blocking.Client.publish}.
        """
        return await self._run(self._core.publish(channel, data, event, key, exclude))

    async def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> list[str]:
        """
        Publish messages, in requests of many.  See L{comet.client.blocking.Client.publishMany}.
        """
        return await self._run(self._core.publishMany(publications, batch))

    async def presence(self, channel: str) -> Presence:
        """
        Ask who is in a channel.
        """
        return await self._run(self._core.presence(channel))

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since = None,
        cursorFile: str | os.PathLike[str] | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> Subscription:
        """
        Read channels and patterns.  See L{comet.client.blocking.Client.subscribe}.

        @return: An asynchronous iterator of L{Message}s and L{Gap}s.  It connects when the first is
            asked for.
        """
        return Subscription(self, self._core.subscribe(names, since, cursorFile, onClose))

    async def close(self) -> None:
        """
        Close all connections.  Subscriptions end, and what is being published fails with
        L{Closed<comet.client.failures.Closed>}.
        """
        self._isClosed = True
        self._core.close()
        for connection in list(self._connections):
            connection.close()
        for waiting in list(self._waiting):
            waiting.cancel()
        # The transports close in the next turn.
        await asyncio.sleep(0)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        return await awaitSteps(steps, self._do)

    async def _do(self, step: Step) -> object:
        """
        Do a step.  If the task is cancelled, the same step may be done again.
        """
        if self._isClosed:
            raise Closed("the client is closed")
        if isinstance(step, Receive):
            assert isinstance(step.connection, _Connection)
            data = await step.connection.receive(step.deadline)
            if self._isClosed:
                raise Closed("the client is closed")
            return data
        if isinstance(step, Send):
            assert isinstance(step.connection, _Connection)
            step.connection.send(step.data)
            return None
        if isinstance(step, Sleep):
            await self._sleep(max(step.until - _now(), 0))
            return None
        if isinstance(step, Ask):
            token = step.function()
            return await token if isinstance(token, Awaitable) else token
        return await self._connect(step)

    async def _sleep(self, seconds: float) -> None:
        sleeping = asyncio.get_running_loop().create_future()
        timer = sleeping.get_loop().call_later(seconds, _finish, sleeping)
        self._waiting.add(sleeping)
        try:
            await sleeping
        except asyncio.CancelledError:
            if self._isClosed:
                raise Closed("the client is closed") from None
            raise
        finally:
            self._waiting.discard(sleeping)
            timer.cancel()

    async def _connect(self, step: Connect) -> _Connection:
        tls: ssl.SSLContext | None = None
        if step.isSecure:
            if self._tls is None:
                self._tls = ssl.create_default_context()
            tls = self._tls
        connecting = asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._connections), step.host, step.port, ssl=tls
        )
        try:
            _, connection = await asyncio.wait_for(connecting, max(step.deadline - _now(), 0.001))
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"the certificate of {step.host}: {error.verify_message}") from error
        except asyncio.TimeoutError:
            # Before Python 3.11 it is another class than the built-in one.
            raise TimeoutError from None
        if self._isClosed:
            connection.close()
            raise Closed("the client is closed")
        return connection


def _now() -> float:
    return asyncio.get_running_loop().time()


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Subscription(BaseSubscription, AsyncIterator["Message | Gap"]):
    """
    An asynchronous iterator of messages and gaps.  It comes back by itself, without losing or
    repeating a message.

    An item is handled once the next is asked for, or C{handled} is called.  A wait for the next may
    be cancelled, as C{asyncio.wait_for} does, and loses nothing.
    """

    def __init__(self, client: Client, reading: Reading) -> None:
        super().__init__(reading)
        self._client = client

    async def close(self) -> None:
        """
        End it, and close its connection.
        """
        self._reading.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message | Gap:
        try:
            return await awaitItem(self._reading, self._client._do)
        except Closed:
            self._reading.close()
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
