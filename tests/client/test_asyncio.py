"""
Tests of L{comet.client.asyncio}.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

from twisted.trial.unittest import TestCase

from comet.client import requester
from comet.client.asyncio import Client, Message
from comet.client.failures import Closed
from comet.client.links import HTTP_TRANSPORTS
from tests.client.awkwardcontract import AwkwardContract
from tests.client.contract import ShellContract
from tests.edge.case import EdgeTestCase


def loseToken(client: Client) -> None:
    """
    Let the server take the token of a client no more, and cut its connection.
    """
    client._core._requester.credential._word = "1" * 20
    assert client._exchanges is not None
    for each in list(client._exchanges.sockets):
        each.close()


class AsyncioShell:
    """
    Makes clients for asyncio.
    """

    def setUp(self: Any) -> None:
        """
        There are no clients yet.
        """
        super().setUp()  # type: ignore[misc]
        self.clients: list[Client] = []

    def makeClient(self: Any, url: str = "", **options: Any) -> Client:
        """
        See L{ShellContract.makeClient}.
        """
        client = Client(url or self.urlOf(self.site.port), **options)
        self.clients.append(client)
        return client

    def play(self: Any, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        See L{ShellContract.play}.
        """

        async def closing() -> None:
            try:
                await asyncio.wait_for(coroutine, 100)
            finally:
                for client in self.clients:
                    await client.close()
            # The generators of httpx end in tasks of the event loop.
            for _ in range(10):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            self.assertEqual(left, set())

        asyncio.run(closing())

    async def pause(self) -> None:
        """
        See L{AwkwardContract.pause}.
        """
        await asyncio.sleep(0.01)

    async def closedMeanwhile(self: Any, client: Client, reading: Any, server: Any) -> None:
        """
        See L{AwkwardContract.closedMeanwhile}.
        """
        waiting = asyncio.create_task(reading.__anext__())
        await self.until(lambda: server.visits and server.visits[0].requests)
        await client.close()
        await self.failing(waiting, StopAsyncIteration)


class AwkwardAsyncioTests(AsyncioShell, AwkwardContract, TestCase):
    """
    L{Client}, with broken and hostile servers.
    """

    # httpx refuses the last two itself.
    badLocations = (*AwkwardContract.badLocations, "http://xn--a/", "http://999.1.1.1/")


class AsyncioTests(AsyncioShell, ShellContract, EdgeTestCase):
    """
    L{Client}.
    """

    def test_closes(self) -> None:
        """
        When the client is closed, subscriptions end, also one that waits to come back, and what is
        published fails.
        """

        async def play() -> None:
            client, channel = self.makeClient(), self.channel("a")
            away = self.makeClient("http://127.0.0.1:1")
            found: list[Any] = []

            async def read(client: Client) -> None:
                async for item in client.subscribe(channel, since="earliest"):
                    found.append(item.data if isinstance(item, Message) else item)

            tasks = [asyncio.create_task(read(each)) for each in (client, away)]
            publishing = asyncio.create_task(away.publish(channel, 2))
            await client.publish(channel, 1)
            while not found:
                await asyncio.sleep(0.01)
            await client.close()
            await away.close()
            await asyncio.wait_for(asyncio.gather(*tasks), 60)
            self.assertEqual(found, [1])
            for each in (publishing, client.publish(channel, 3)):
                try:
                    await each
                except Closed:
                    pass
                else:
                    self.fail("the client is not closed")

        self.play(play())

    def test_cancelledWait(self) -> None:
        """
        A wait that is cancelled at any moment loses nothing.
        """

        async def play() -> None:
            client, channel = self.makeClient(), self.channel("a")
            async with client.subscribe(channel, since="earliest") as subscription:
                for number in range(20):
                    await client.publish(channel, number)
                    # On a slow machine the first waits are too short to get anywhere.
                    for tries in range(20):
                        try:
                            limit = 0.0005 * 2**tries
                            item = await asyncio.wait_for(subscription.__anext__(), limit)
                            break
                        except asyncio.TimeoutError:
                            pass
                    assert isinstance(item, Message)
                    self.assertEqual(item.data, number)

        self.play(play())

    def test_token(self) -> None:
        """
        The function for tokens may be a coroutine function.
        """

        async def give() -> str:
            await asyncio.sleep(0)
            return self.site.key

        async def play() -> None:
            client = self.makeClient(token=give)
            self.assertTrue(await client.publish("closed", 1))

        self.play(play())

    def test_tokenCancelled(self) -> None:
        """
        A function for tokens that is cancelled by itself has failed: a subscription that was open
        comes back.  A caller that gives up its wait meanwhile does not call the function again.
        """
        asked = 0

        async def give() -> str:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise asyncio.CancelledError
            await asyncio.sleep(0.02)
            return self.site.key

        async def play() -> None:
            client, channel = self.makeClient(token=give), self.channel("a")
            async with client.subscribe(channel, since="earliest") as subscription:
                for number in range(2):
                    waiting = asyncio.create_task(subscription.__anext__())
                    while not asked:
                        await asyncio.sleep(0)
                    if not number:
                        waiting.cancel()
                        await asyncio.wait({waiting})
                        waiting = asyncio.create_task(subscription.__anext__())
                    await self.makeClient(key=self.site.key).publish(channel, number)
                    item = await asyncio.wait_for(waiting, 60)
                    assert isinstance(item, Message)
                    self.assertEqual(item.data, number)
                    loseToken(client)
            self.assertEqual(asked, 3)

        self.play(play())

    def test_closedWhileWaiting(self) -> None:
        """
        A reader ends at once when its subscription or its client is closed, while the function for
        tokens is waited for, or the time to come back.
        """

        async def give() -> str:
            await asyncio.get_running_loop().create_future()
            return "never"

        async def play() -> None:
            cases: list[dict[str, Any]] = [{"token": give}, {"url": "http://127.0.0.1:1"}]
            for options in cases:
                for isClient in (True, False):
                    client = self.makeClient(**options)
                    told: list[object] = []
                    subscription = client.subscribe("a", onClose=told.append)
                    waiting = asyncio.create_task(subscription.__anext__())
                    await asyncio.sleep(0.01)
                    while "url" in options and not told:
                        await self.pause()
                    await (client if isClient else subscription).close()
                    await asyncio.wait({waiting}, timeout=60)
                    self.assertIsInstance(waiting.exception(), StopAsyncIteration)

        self.patch(requester, "FIRST_DELAY", 1e6)
        self.patch(requester, "LONGEST_DELAY", 1e6)
        self.play(play())

    def test_leftWaiting(self) -> None:
        """
        Readers that give up their waits, and are left so, tell the event loop of no failure when
        the client is closed.
        """
        told: list[object] = []

        async def play() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, fault: told.append(fault))
            for url in ("", "http://127.0.0.1:1"):
                for transport in HTTP_TRANSPORTS:
                    client = self.makeClient(url, transport=transport)
                    lost: list[object] = []
                    subscription = client.subscribe("open/a", onClose=lost.append)
                    waiting = asyncio.create_task(subscription.__anext__())
                    while not (lost if url else subscription.cursor):
                        await self.pause()
                    waiting.cancel()
                    await asyncio.wait({waiting})
                    await client.close()
                    del subscription, waiting, client
            self.clients.clear()
            gc.collect()

        self.patch(requester, "FIRST_DELAY", 1e6)
        self.patch(requester, "LONGEST_DELAY", 1e6)
        self.play(play())
        self.assertEqual(told, [])
