"""
Tests of L{comet.client.blocking}.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.trial.unittest import TestCase

from comet.client.blocking import Client, Closing, Message, Subscription, Timing
from comet.client.failures import Closed
from tests.client.awkwardcontract import (
    AT,
    OK,
    STREAM,
    AwkwardContract,
    AwkwardSetting,
    answering,
    messages,
)
from tests.client.awkwardserver import AwkwardServer, Visit, chunk, frame, response
from tests.client.contract import ShellContract
from tests.edge.case import EdgeTestCase


class _Awaitable:
    """
    What a method has returned already.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    async def __call__(self, *given: Any, **named: Any) -> Any:
        return self._function(*given, **named)


class _Subscription:
    """
    A subscription with the methods of the other shells.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.close = _Awaitable(subscription.close)
        self.__anext__ = _Awaitable(subscription.__next__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subscription, name)


class _Client:
    """
    A client with the methods of the other shells.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        for name in ("publish", "publishMany", "presence", "history", "call"):
            setattr(self, name, _Awaitable(getattr(client, name)))

    async def close(self) -> None:
        """
        Close it.
        """
        self._client.close()

    def subscribe(self, *given: Any, **named: Any) -> _Subscription:
        """
        Begin a subscription.
        """
        return _Subscription(self._client.subscribe(*given, **named))


class BlockingShell:
    """
    Makes clients for threads.
    """

    def makeClient(self: Any, url: str, **options: Any) -> Any:
        """
        See L{ShellContract.makeClient}.
        """
        return _Client(self.make(url, **options))

    def make(self: Any, url: str = "", **options: Any) -> Client:
        """
        Make a client.
        """
        client = Client(url or self.urlOf(self.site.port), **options)
        self.addCleanup(client.close)
        return client

    def play(self: Any, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        See L{ShellContract.play}.
        """
        self.assertRaises(StopIteration, coroutine.send, None)

    async def pause(self) -> None:
        """
        See L{AwkwardContract.pause}.
        """
        time.sleep(0.01)

    async def closedMeanwhile(self: Any, client: Any, reading: Any, server: Any) -> None:
        """
        See L{AwkwardContract.closedMeanwhile}.
        """

        def close() -> None:
            while not (server.visits and server.visits[0].requests):
                time.sleep(0.01)
            client._client.close()

        closing = threading.Thread(target=close)
        closing.start()
        await self.failing(reading.__anext__(), StopIteration, RuntimeError)
        closing.join()


class AwkwardBlockingTests(BlockingShell, AwkwardContract, TestCase):
    """
    L{Client}, with broken and hostile servers.
    """

    # httpx refuses the last two itself.
    badLocations = (*AwkwardContract.badLocations, "http://xn--a/", "http://999.1.1.1/")

    def test_threads(self) -> None:
        """
        A wait with a limit goes on in a thread, which ends with the subscription.
        """
        before = threading.active_count()
        for transport in ("stream", "longpoll"):
            server = self.serve(lambda visit: (visit.take(), visit.awaitEnd()))
            client = self.make(self.urlOf(server.port), transport=transport)
            reading = client.subscribe("a")
            while not server.visits:
                self.assertIsNone(reading.next(0.02))
            for _ in range(3):
                self.assertIsNone(reading.next(0.02))
            self.assertEqual(len(server.visits), 1)
            reading.close()
            server.close()
        self.assertEqual(threading.active_count(), before)


class ClosedByThreadTests(BlockingShell, AwkwardSetting, TestCase):
    """
    A subscription that another thread closes while its own thread waits.
    """

    # So long that nothing else ends a wait.
    timing = Timing(heartbeat=600, timeout=600)

    def closeWaiting(self, server: AwkwardServer, transport: str, isShort: bool) -> list[Closing]:
        """
        Close a subscription whose thread waits, and check that its iterator ends.

        @param isShort: Whether the thread looks now and then whether there is an item.

        @return: What the application was told.
        """
        told: list[Closing] = []
        ended = threading.Event()
        reading = self.client(server, transport=transport)._client.subscribe(
            "a", "k3f9a2-7", onClose=told.append
        )

        def read() -> None:
            try:
                while isShort:
                    reading.next(0.05)
                for _ in reading:
                    pass
            except Closed:
                pass
            ended.set()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        while not (server.visits and server.visits[-1].requests):
            time.sleep(0.01)
        # Also for what is between the server's answer and the wait for more.
        time.sleep(0.1)
        reading.close()
        self.assertTrue(ended.wait(60), (transport, isShort))
        thread.join()
        self.assertRaises(Closed, reading.next, 0)
        self.assertEqual(list(reading), [])
        return told

    def test_waits(self) -> None:
        """
        The wait for an answer or for messages ends, its connection is closed, and the application
        is not told of a loss.
        """
        for transport, begin in (
            ("longpoll", b""),
            ("jsonp", b""),
            ("stream", b""),
            ("stream", STREAM + chunk(AT)),
            ("websocket", frame(1, AT)),
            ("tcp", OK),
        ):
            for isShort in (False, True):
                ended: list[bool] = []

                def play(
                    visit: Visit,
                    transport: str = transport,
                    begin: bytes = begin,
                    ended: list[bool] = ended,
                ) -> None:
                    if transport == "websocket":
                        visit.shake()
                    elif transport == "tcp":
                        visit.takeRaw()
                    else:
                        visit.take()
                    visit.send(begin)
                    ended.append(visit.awaitEnd())

                server = self.serve(play)
                self.assertEqual(self.closeWaiting(server, transport, isShort), [])
                server.close()
                self.assertEqual(ended, [True])

    def test_anyMoment(self) -> None:
        """
        Whatever the thread does just then, also where it takes messages all the time, its iterator
        ends and nothing else is raised.
        """

        def play(visit: Visit) -> None:
            visit.take()
            visit.send(STREAM + chunk(AT))
            visit.sendEach(chunk(each) for each in messages())

        server = self.serve(play)
        client = self.client(server, transport="stream")._client
        failures: list[BaseException] = []

        def read(reading: Subscription) -> None:
            try:
                for _ in reading:
                    pass
            except BaseException as error:
                failures.append(error)

        for number in range(100):
            reading = client.subscribe("a", "k3f9a2-7")
            thread = threading.Thread(target=read, args=(reading,), daemon=True)
            thread.start()
            time.sleep(number % 10 / 1000)
            reading.close()
            thread.join(60)
            self.assertFalse(thread.is_alive())
        self.assertEqual(failures, [])

    def test_sleeps(self) -> None:
        """
        A pause before the next attempt ends, and there is none.
        """
        later = response(503, b'{"code":"unavailable"}', "Retry-After: 3000")
        for isShort in (False, True):
            server = self.serve(answering(later))
            told = self.closeWaiting(server, "stream", isShort)
            self.assertEqual([each.code for each in told], ["unavailable"])
            self.assertEqual(len(server.visits), 1)

    def test_withinItsOwnThread(self) -> None:
        """
        The function that is told of a loss may close the subscription.
        """
        server = self.serve(answering(response(503, b'{"code":"unavailable"}')))
        client = self.client(server, transport="stream")._client
        reading: Subscription = client.subscribe("a", onClose=lambda _: reading.close())
        self.assertEqual(list(reading), [])


class BlockingTests(BlockingShell, ShellContract, EdgeTestCase):
    """
    L{Client}.
    """

    def test_iterates(self) -> None:
        """
        A subscription is an iterator that waits, and ends when another thread closes the client.
        """
        client, channel = self.make(), self.channel("a")
        client.publish(channel, 1)
        found = []
        for item in client.subscribe(channel, since="earliest"):
            assert isinstance(item, Message)
            found.append(item.data)
            # The loop waits for the next one meanwhile.
            threading.Timer(0.1, client.close).start()
        self.assertEqual(found, [1])
        self.assertRaises(Closed, client.publish, channel, 2)
        self.assertRaises(Closed, client.subscribe(channel).next)

    def test_timeout(self) -> None:
        """
        A wait with a limit ends without an item, and loses none.
        """
        with self.make() as client:
            channel = self.channel("a")
            with client.subscribe(channel, since="earliest") as subscription:
                self.assertIsNone(subscription.next(0.05))
                for number in range(3):
                    client.publish(channel, number)
                    item = subscription.next(60)
                    assert isinstance(item, Message)
                    self.assertEqual(item.data, number)
                    self.assertIsNone(subscription.next(0))
            self.assertRaises(Closed, subscription.next)

    def test_threads(self) -> None:
        """
        Threads share a client, and its connections.
        """
        client, channel = self.make(), self.channel("a")

        def publish() -> None:
            for number in range(20):
                client.publish(channel, number)

        threads = [threading.Thread(target=publish) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        subscription = client.subscribe(channel, since="earliest")
        found = [item.data for _ in range(80) if isinstance(item := subscription.next(60), Message)]
        self.assertEqual(sorted(found), sorted(list(range(20)) * 4))

    def test_fork(self) -> None:
        """
        After a fork the child has connections of its own, and leaves those of its parent alone.
        """
        client, channel = self.make(), self.channel("a")
        client.publish(channel, "parent")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.publish(channel, "child")
                client.close()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        (exchanges,) = client._runner._exchanges.values()
        kept = set(exchanges._network.streams)
        client.publish(channel, "parent")
        self.assertEqual((exchanges._network.streams, len(kept)), (kept, 1))
        subscription = client.subscribe(channel, since="earliest")
        found = [item.data for _ in range(3) if isinstance(item := subscription.next(60), Message)]
        self.assertEqual(found, ["parent", "child", "parent"])
