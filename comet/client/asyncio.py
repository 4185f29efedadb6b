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

from comet.client.asyncioexchanges import Exchanges
from comet.client.awaiting import CancelledToken, awaitItem, awaitSteps
from comet.client.basesubscription import BaseSubscription
from comet.client.batches import BATCH
from comet.client.clientcore import Core
from comet.client.clientreading import Reading
from comet.client.clientsteps import (
    Ask,
    Connect,
    Opening,
    Read,
    Request,
    Response,
    Sleep,
    Step,
    Steps,
    Texts,
    Upgrade,
)
from comet.client.credential import Token
from comet.client.failures import Closed
from comet.client.received import Closing, Gap, History, Member, Message, Presence
from comet.client.requester import Timing
from comet.client.standing import Since

__all__ = [
    "Client",
    "Closing",
    "Gap",
    "History",
    "Member",
    "Message",
    "Presence",
    "Subscription",
    "Timing",
]

T = TypeVar("T")


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
        self._exchanges: Exchanges | None = None
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

    async def history(self, channel: str, before: str, limit: int = 50) -> History:
        """
        Read the messages before a cursor.  See L{comet.client.blocking.Client.history}.
        """
        return await self._run(self._core.history(channel, before, limit))

    async def call(self, method: str, data: Any = None) -> Any:
        """
        Call a method of the application's backend.  See L{comet.client.blocking.Client.call}.
        """
        return await self._run(self._core.call(method, data))

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
        for waiting in list(self._waiting):
            waiting.cancel()
        if self._exchanges is not None:
            await self._exchanges.close()

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
        self._check()
        if isinstance(step, Sleep):
            await self._sleep(max(step.until - _now(), 0))
            return None
        if isinstance(step, Ask):
            token = step.function()
            return await self._ask(token) if isinstance(token, Awaitable) else token
        try:
            result = await self._exchange(step)
        except Exception:
            self._check()
            raise
        if self._isClosed and isinstance(step, Opening):
            # Meanwhile: nothing else closes what has come.
            cast("Response", result).close()
        self._check()
        return result

    def _check(self) -> None:
        if self._isClosed:
            raise Closed("the client is closed")

    async def _ask(self, giving: Awaitable[str]) -> str:
        """
        Wait for a token, but not for longer than the client is open.
        """
        asked = asyncio.ensure_future(giving)
        self._waiting.add(asked)
        try:
            return await asked
        except asyncio.CancelledError:
            self._check()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The function was, by itself; no caller has given up.
            raise CancelledToken from None
        finally:
            self._waiting.discard(asked)

    async def _exchange(self, step: Opening | Read | Texts) -> object:
        exchanges = self._exchanges
        if exchanges is None:
            exchanges = self._exchanges = Exchanges(self._tls)
        if isinstance(step, Request):
            return await exchanges.request(step)
        if isinstance(step, Read):
            return await exchanges.read(step)
        if isinstance(step, Upgrade):
            return await exchanges.upgrade(step)
        if isinstance(step, Connect):
            return await exchanges.connect(step)
        return await exchanges.texts(step)

    async def _settle(self) -> None:
        if self._exchanges is not None:
            await self._exchanges.settle()

    def _begin(self, step: Step) -> asyncio.Task[object]:
        """
        Do a step in a task.
        """
        task = asyncio.get_running_loop().create_task(self._do(step))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        task.add_done_callback(_hear)
        return task

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


def _now() -> float:
    return asyncio.get_running_loop().time()


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _hear(task: asyncio.Task[Any]) -> None:
    """
    Take note of how a task has failed: a reader that is left before that never asks, and the event
    loop would log it.
    """
    if not task.cancelled():
        task.exception()


def _dispose(task: asyncio.Task[Any]) -> None:
    """
    Close what a task has brought that nothing waits for any more.
    """
    if not task.cancelled() and task.exception() is None and hasattr(task.result(), "close"):
        task.result().close()


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
        # A step that goes on when the caller's wait is cancelled.
        self._task: asyncio.Task[object] | None = None

    async def close(self) -> None:
        """
        End it, and close its connection.
        """
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            task.add_done_callback(_dispose)
        self._reading.close()
        await self._client._settle()

    async def _do(self, step: Step) -> object:
        if self._task is None:
            # The others end when their connection is closed.
            if not isinstance(step, Opening | Sleep | Ask):
                return await self._client._do(step)
            self._task = self._client._begin(step)
        await asyncio.wait({self._task})
        if self._task is None:
            raise Closed("the subscription is closed")
        task, self._task = self._task, None
        if task.cancelled():
            raise Closed("the client is closed")
        return task.result()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message | Gap:
        try:
            return await awaitItem(self._reading, self._do)
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
