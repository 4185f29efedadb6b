"""
Tests of L{comet.testing.standins}: the same as the real clients, without sockets.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase

from comet.client import asyncio as forAsyncio
from comet.client import blocking as forThreads
from comet.client import twisted as forTwisted
from comet.client.failures import Closed, Ended
from comet.model.messages import Close
from comet.testing import AsyncioStandIn, BlockingStandIn, MemoryServer, TwistedStandIn
from comet.testing.standins import (
    AsyncioSubscription,
    BlockingSubscription,
    TwistedSubscription,
)
from tests.client.samecontract import SameContract
from tests.client.test_blocking import _Client

OPEN = ("open/**",)


class _StandIns(SameContract):
    """
    The contract, over a server in memory.
    """

    kind: Any

    def setUp(self: Any) -> None:
        """
        Make the server.
        """
        super().setUp()  # type: ignore[misc]
        self.server = MemoryServer(presence=OPEN, opened=OPEN)

    def makeClient(self, url: str, **options: Any) -> Any:
        """
        See L{SameContract.makeClient}.
        """
        return self.kind(self.server, **options)

    def channel(self, name: str) -> str:
        """
        Return the name of a channel.
        """
        return f"open/{name}"

    def assertSame(self: Any, kinds: Any, names: str) -> None:
        """
        Assert that methods of a stand-in take what those of the real class take.
        """
        for name in names.split():
            found = [inspect.signature(getattr(kind, name)).parameters for kind in kinds]
            self.assertEqual(str(found[0]), str(found[1]), name)


class BlockingTests(_StandIns, SynchronousTestCase):
    """
    L{BlockingStandIn}.
    """

    kind = BlockingStandIn

    def makeClient(self, url: str, **options: Any) -> Any:
        """
        See L{SameContract.makeClient}.
        """
        standIn: Any = super().makeClient(url, **options)
        return _Client(standIn)

    def play(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        See L{SameContract.play}.
        """
        self.assertRaises(StopIteration, coroutine.send, None)

    def test_tokenOrKey(self) -> None:
        """
        A client shows a token or a key, not both.
        """
        for kind in (BlockingStandIn, AsyncioStandIn, TwistedStandIn):
            self.assertRaises(ValueError, kind, self.server, token="a.b.c", key=self.server.key)

    def test_sameMethods(self) -> None:
        """
        The methods take the same.
        """
        clients = (forThreads.Client, BlockingStandIn)
        self.assertSame(clients, "publish publishMany presence history call subscribe close")
        subscriptions = (forThreads.Subscription, BlockingSubscription)
        self.assertSame(subscriptions, "next close handled __next__ __iter__ __enter__")

    def test_threads(self) -> None:
        """
        A thread waits for what another one publishes, until the client is closed; also
        while a reactor runs in a thread.
        """
        self.patch(threadable, "ioThread", threadable.getThreadID())
        client = BlockingStandIn(self.server, key=self.server.key)
        found: list[Any] = []
        reads = threading.Event()

        def read() -> None:
            for item in client.subscribe("news", since="earliest"):
                assert isinstance(item, forThreads.Message)
                found.append(item.data)
                reads.set()

        thread = threading.Thread(target=read)
        thread.start()
        client.publish("news", 1)
        self.assertTrue(reads.wait(60))
        client.close()
        thread.join(60)
        self.assertEqual(found, [1])
        self.assertFalse(thread.is_alive())
        self.assertRaises(Closed, client.publish, "news", 2)
        self.assertRaises(Closed, client.presence, "open/a")
        self.assertEqual(self.server.countReaders("news"), 0)

    def test_timeout(self) -> None:
        """
        A wait with a limit ends without an item, and loses none.
        """
        with BlockingStandIn(self.server, key=self.server.key) as client:
            with client.subscribe("news") as subscription:
                self.assertIsNone(subscription.next(0.001))
                self.assertEqual(self.server.countReaders("news"), 1)
                self.server.publish("news", 1)
                item = subscription.next(0)
                assert isinstance(item, forThreads.Message)
                self.assertEqual(item.data, 1)
            self.assertEqual(self.server.countReaders("news"), 0)

    def test_published(self) -> None:
        """
        A test sees what was published.
        """
        client = BlockingStandIn(self.server, key=self.server.key)
        client.publish("news", {"n": 1}, event="made")
        client.publishMany([{"channel": "other", "data": n} for n in range(2500)], batch=1000)
        (message,) = self.server.published("news")
        self.assertEqual((message.channel, message.data, message.event), ("news", {"n": 1}, "made"))
        self.assertEqual(len(self.server.published()), 2501)

    def test_comesBack(self) -> None:
        """
        A client that the server has sent away comes back, loses nothing, and tells why.
        """
        told: list[Any] = []
        client = BlockingStandIn(self.server)
        subscription: Any = client.subscribe("news", since="earliest", onClose=told.append)
        self.server.publish("news", 1)
        self.assertEqual(subscription.next(0).data, 1)
        self.sendAway(client, Close("draining", "the server stops", 1.5))
        self.server.publish("news", 2)
        self.assertEqual(subscription.next(0).data, 2)
        self.assertEqual([(each.code, each.retry) for each in told], [("draining", 1.5)])
        self.sendAway(client, Close("revoked", "its token is revoked", None))
        error = self.assertRaises(Ended, subscription.next)
        self.assertEqual((error.code, error.names), ("revoked", ("news",)))

    def sendAway(self, client: BlockingStandIn, close: Close) -> None:
        """
        Have the server end the subscription of a client.
        """
        (reading,) = client._core.readings
        reader: Any = reading._reader
        reader._subscription._reader.close(close)


class AsyncioTests(_StandIns, SynchronousTestCase):
    """
    L{AsyncioStandIn}.
    """

    kind = AsyncioStandIn

    def play(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        See L{SameContract.play}.
        """
        asyncio.run(asyncio.wait_for(coroutine, 60))

    def test_sameMethods(self) -> None:
        """
        The methods take the same.
        """
        clients = (forAsyncio.Client, AsyncioStandIn)
        self.assertSame(
            clients, "publish publishMany presence history call subscribe close __aenter__"
        )
        subscriptions = (forAsyncio.Subscription, AsyncioSubscription)
        self.assertSame(subscriptions, "close handled __anext__ __aiter__ __aenter__")

    def test_waits(self) -> None:
        """
        A task waits for what another one publishes; a wait that is cancelled loses nothing, and
        a client that is closed ends it.
        """

        async def play() -> None:
            async with AsyncioStandIn(self.server, key=self.server.key) as client:
                subscription = client.subscribe("news")
                try:
                    await asyncio.wait_for(subscription.__anext__(), 0.001)
                except asyncio.TimeoutError:
                    pass
                waiting = asyncio.ensure_future(subscription.__anext__())
                await asyncio.sleep(0)
                await client.publish("news", 1)
                item: Any = await waiting
                self.assertEqual(item.data, 1)
                ends = asyncio.ensure_future(self.collect(subscription))
                await asyncio.sleep(0)
            self.assertEqual(await ends, [])
            self.assertEqual(self.server.wakers, set())

        self.play(play())

    async def collect(self, subscription: Any) -> list[Any]:
        """
        Return all items.
        """
        return [item async for item in subscription]


class TwistedTests(_StandIns, SynchronousTestCase):
    """
    L{TwistedStandIn}.
    """

    kind = TwistedStandIn

    def play(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        See L{SameContract.play}.
        """
        self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_sameMethods(self) -> None:
        """
        The methods take the same.
        """
        clients = (forTwisted.Client, TwistedStandIn)
        self.assertSame(clients, "publish publishMany presence history call subscribe close")
        subscriptions = (forTwisted.Subscription, TwistedSubscription)
        self.assertSame(subscriptions, "next close handled __anext__ __aiter__")

    def test_waits(self) -> None:
        """
        A Deferred fires with what is published; one that is cancelled loses nothing, and a
        client that is closed ends it.
        """
        client = TwistedStandIn(self.server, key=self.server.key)
        subscription = client.subscribe("news")
        waiting = subscription.next()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        waiting = subscription.next()
        self.assertNoResult(waiting)
        self.successResultOf(client.publish("news", 1))
        item: Any = self.successResultOf(waiting)
        self.assertEqual(item.data, 1)
        waiting = subscription.next()
        self.successResultOf(client.close())
        self.failureResultOf(waiting, Closed)
        self.failureResultOf(client.publish("news", 1), Closed)
        self.assertEqual(self.server.wakers, set())
