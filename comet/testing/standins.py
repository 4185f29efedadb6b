"""
Stand-ins for the clients of L{comet.client}, for the tests of programs that use these: the
same methods and results, without sockets.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed

from comet.client.batches import BATCH
from comet.client.failures import Closed
from comet.client.received import Closing, Gap, History, Message, Presence
from comet.client.standing import Since
from comet.testing.memoryreading import MemoryReading
from comet.testing.memoryserver import MemoryServer, StandIn


class _StandIn:
    """
    A client of one of the kinds.
    """

    def __init__(
        self, server: MemoryServer, *, token: str | None = None, key: str | None = None
    ) -> None:
        """
        @param token: A token that the client shows.

        @param key: A publish key or admin key, instead of a token.

        @raise ValueError: If both are given, as with a real client.
        """
        if token is not None and key is not None:
            raise ValueError("a client has a token or a key, not both")
        self._core = StandIn(server, key if token is None else token)

    def _publish(self, *values: Any) -> str:
        names = ("channel", "data", "event", "key", "exclude")
        (cursor,) = self._publishMany([dict(zip(names, values, strict=True))], BATCH)
        return cursor

    def _publishMany(self, publications: Iterable[Mapping[str, Any]], batch: int) -> list[str]:
        self._check()
        return self._core.publishMany(publications, batch)

    def _presence(self, channel: str) -> Presence:
        self._check()
        return self._core.presence(channel)

    def _history(self, channel: str, before: str, limit: int) -> History:
        self._check()
        return self._core.history(channel, before, limit)

    def _call(self, method: str, data: Any) -> Any:
        self._check()
        return self._core.call(method, data)

    def _check(self) -> None:
        if self._core.isClosed:
            raise Closed("the client is closed")

    def _close(self) -> None:
        server = self._core.server
        with server.held():
            self._core.close()
            server.tell()


class _Subscription:
    """
    A subscription of one of the kinds.
    """

    # The one that the real client tries first.
    transport = "websocket"

    def __init__(self, server: MemoryServer, reading: MemoryReading) -> None:
        self._server = server
        self._reading = reading

    @property
    def cursor(self) -> str | None:
        """
        The cursor of the last item, for use as C{since}.
        """
        return self._reading.cursor

    def handled(self) -> None:
        """
        Write the cursor file.
        """
        self._reading.handled()

    def _take(self) -> Message | Gap | None:
        with self._server.held():
            return self._reading.take()

    def _end(self) -> None:
        with self._server.held():
            self._reading.close()
            self._server.tell()


class BlockingStandIn(_StandIn):
    """
    Stands for a L{comet.client.blocking.Client}.
    """

    def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> str:
        """
        See L{comet.client.blocking.Client.publish}.
        """
        return self._publish(channel, data, event, key, exclude)

    def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> list[str]:
        """
        See L{comet.client.blocking.Client.publishMany}.
        """
        return self._publishMany(publications, batch)

    def presence(self, channel: str) -> Presence:
        """
        See L{comet.client.blocking.Client.presence}.
        """
        return self._presence(channel)

    def history(self, channel: str, before: str, limit: int = 50) -> History:
        """
        See L{comet.client.blocking.Client.history}.
        """
        return self._history(channel, before, limit)

    def call(self, method: str, data: Any = None) -> Any:
        """
        See L{comet.client.blocking.Client.call}.
        """
        return self._call(method, data)

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since = None,
        cursorFile: str | os.PathLike[str] | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> BlockingSubscription:
        """
        See L{comet.client.blocking.Client.subscribe}.
        """
        reading = self._core.subscribe(names, since, cursorFile, onClose)
        return BlockingSubscription(self._core.server, reading)

    def close(self) -> None:
        """
        See L{comet.client.blocking.Client.close}.
        """
        self._close()

    def __enter__(self) -> BlockingStandIn:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class BlockingSubscription(_Subscription):
    """
    Stands for a L{comet.client.blocking.Subscription}.
    """

    def next(self, timeout: float | None = None) -> Message | Gap | None:
        """
        See L{comet.client.blocking.Subscription.next}.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._server.held():
            while True:
                item = self._reading.take()
                left = None if until is None else until - time.monotonic()
                if item is not None or (left is not None and left <= 0):
                    return item
                self._server.changed.wait(left)

    def close(self) -> None:
        """
        See L{comet.client.blocking.Subscription.close}.
        """
        self._end()

    def __iter__(self) -> Iterator[Message | Gap]:
        return self

    def __next__(self) -> Message | Gap:
        try:
            item = self.next()
        except Closed:
            raise StopIteration from None
        assert item is not None
        return item

    def __enter__(self) -> BlockingSubscription:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class AsyncioStandIn(_StandIn):
    """
    Stands for a L{comet.client.asyncio.Client}.
    """

    async def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> str:
        """
        See L{comet.client.asyncio.Client.publish}.
        """
        return self._publish(channel, data, event, key, exclude)

    async def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> list[str]:
        """
        See L{comet.client.asyncio.Client.publishMany}.
        """
        return self._publishMany(publications, batch)

    async def presence(self, channel: str) -> Presence:
        """
        See L{comet.client.asyncio.Client.presence}.
        """
        return self._presence(channel)

    async def history(self, channel: str, before: str, limit: int = 50) -> History:
        """
        See L{comet.client.asyncio.Client.history}.
        """
        return self._history(channel, before, limit)

    async def call(self, method: str, data: Any = None) -> Any:
        """
        See L{comet.client.asyncio.Client.call}.
        """
        return self._call(method, data)

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since = None,
        cursorFile: str | os.PathLike[str] | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> AsyncioSubscription:
        """
        See L{comet.client.asyncio.Client.subscribe}.
        """
        reading = self._core.subscribe(names, since, cursorFile, onClose)
        return AsyncioSubscription(self._core.server, reading)

    async def close(self) -> None:
        """
        See L{comet.client.asyncio.Client.close}.
        """
        self._close()

    async def __aenter__(self) -> AsyncioStandIn:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()


class AsyncioSubscription(_Subscription, AsyncIterator["Message | Gap"]):
    """
    Stands for a L{comet.client.asyncio.Subscription}.
    """

    async def close(self) -> None:
        """
        See L{comet.client.asyncio.Subscription.close}.
        """
        self._end()

    def __aiter__(self) -> AsyncioSubscription:
        return self

    async def __anext__(self) -> Message | Gap:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            # Another thread may have published.
            loop.call_soon_threadsafe(changed.set)

        self._server.wakers.add(wake)
        try:
            while True:
                item = self._take()
                if item is not None:
                    return item
                await changed.wait()
                changed.clear()
        except Closed:
            raise StopAsyncIteration from None
        finally:
            self._server.wakers.discard(wake)

    async def __aenter__(self) -> AsyncioSubscription:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()


class TwistedStandIn(_StandIn):
    """
    Stands for a L{comet.client.twisted.Client}.  Its Deferreds have fired when the methods
    return, but for those of subscriptions.
    """

    def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> Deferred[str]:
        """
        See L{comet.client.twisted.Client.publish}.
        """
        return maybeDeferred(self._publish, channel, data, event, key, exclude)

    def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> Deferred[list[str]]:
        """
        See L{comet.client.twisted.Client.publishMany}.
        """
        return maybeDeferred(self._publishMany, publications, batch)

    def presence(self, channel: str) -> Deferred[Presence]:
        """
        See L{comet.client.twisted.Client.presence}.
        """
        return maybeDeferred(self._presence, channel)

    def history(self, channel: str, before: str, limit: int = 50) -> Deferred[History]:
        """
        See L{comet.client.twisted.Client.history}.
        """
        return maybeDeferred(self._history, channel, before, limit)

    def call(self, method: str, data: Any = None) -> Deferred[Any]:
        """
        See L{comet.client.twisted.Client.call}.
        """
        return maybeDeferred(self._call, method, data)

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since = None,
        cursorFile: str | os.PathLike[str] | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> TwistedSubscription:
        """
        See L{comet.client.twisted.Client.subscribe}.
        """
        reading = self._core.subscribe(names, since, cursorFile, onClose)
        return TwistedSubscription(self._core.server, reading)

    def close(self) -> Deferred[None]:
        """
        See L{comet.client.twisted.Client.close}.
        """
        self._close()
        return succeed(None)


class TwistedSubscription(_Subscription, AsyncIterator["Message | Gap"]):
    """
    Stands for a L{comet.client.twisted.Subscription}.
    """

    def next(self) -> Deferred[Message | Gap]:
        """
        See L{comet.client.twisted.Subscription.next}.
        """
        wakers = self._server.wakers
        waiting: Deferred[Message | Gap] = Deferred(lambda _: wakers.discard(wake))

        def wake() -> None:
            # To take an item may open the subscription, which wakes those that wait.
            wakers.discard(wake)
            try:
                item = self._take()
            except Exception:
                waiting.errback()
            else:
                if item is None:
                    wakers.add(wake)
                else:
                    waiting.callback(item)

        wake()
        return waiting

    def close(self) -> Deferred[None]:
        """
        See L{comet.client.twisted.Subscription.close}.
        """
        self._end()
        return succeed(None)

    def __aiter__(self) -> TwistedSubscription:
        return self

    async def __anext__(self) -> Message | Gap:
        try:
            return await self.next()
        except Closed:
            raise StopAsyncIteration from None
