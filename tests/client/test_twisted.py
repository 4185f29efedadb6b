"""
Tests of L{comet.client.twisted}.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from comet.client import requester
from comet.client.failures import Closed, Unsent
from comet.client.twisted import Client, Message, Timing
from tests.client.awkwardcontract import AwkwardContract
from tests.client.contract import ShellContract
from tests.edge.case import EdgeTestCase
from tests.edge.tls import authority

# Where no server is.
AWAY = "http://127.0.0.1:1"


def loseToken(client: Client) -> None:
    """
    Let the server take the token of a client no more, and cut its connection.
    """
    client._core._requester.credential._word = "1" * 20
    client._exchanges._connections.close()


class TwistedShell:
    """
    Makes clients for Twisted.
    """

    def makeClient(self: Any, url: str = "", **options: Any) -> Client:
        """
        See L{ShellContract.makeClient}.
        """
        client = Client(url or self.urlOf(self.site.port), **options)
        self.addCleanup(client.close)
        return client

    def play(self, coroutine: Coroutine[Any, Any, None]) -> Deferred[None]:
        """
        See L{ShellContract.play}.
        """
        return Deferred.fromCoroutine(coroutine)

    async def pause(self) -> None:
        """
        See L{AwkwardContract.pause}.
        """
        from twisted.internet import reactor

        await deferLater(reactor, 0.01)

    async def closedMeanwhile(self: Any, client: Client, reading: Any, server: Any) -> None:
        """
        See L{AwkwardContract.closedMeanwhile}.
        """
        waiting = reading.next()
        await self.until(lambda: server.visits and server.visits[0].requests)
        await client.close()
        await self.failing(waiting, Closed)


class AwkwardTwistedTests(TwistedShell, AwkwardContract, TestCase):
    """
    L{Client}, with broken and hostile servers.
    """


class TwistedTests(TwistedShell, ShellContract, EdgeTestCase):
    """
    L{Client}.
    """

    def test_closes(self) -> Deferred[None]:
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

            ends = [Deferred.fromCoroutine(read(each)) for each in (client, away)]
            publishing = away.publish(channel, 2)
            await client.publish(channel, 1)
            while not found:
                await client._waits.turn()
            await client.close()
            await away.close()
            for end in ends:
                await end
            self.assertEqual(found, [1])
            await self.assertFailure(publishing, Closed)
            await self.assertFailure(client.publish(channel, 3), Closed)
            await self.assertFailure(client.subscribe(channel).next(), Closed)

        return self.play(play())

    def test_cancelled(self) -> Deferred[None]:
        """
        A wait that is cancelled loses nothing, and a publication that is cancelled leaves nothing.
        """

        async def play() -> None:
            client, channel = self.makeClient(), self.channel("a")
            subscription = client.subscribe(channel, since="earliest")
            for number in range(20):
                waiting = subscription.next()
                for _ in range(number):
                    await client._waits.turn()
                if not waiting.called:
                    waiting.cancel()
                    await self.assertFailure(waiting, CancelledError)
            for number in range(3):
                await client.publish(channel, number)
                item = await subscription.next()
                assert isinstance(item, Message)
                self.assertEqual(item.data, number)
            publishing = client.publish(channel, 3)
            publishing.cancel()
            await self.assertFailure(publishing, CancelledError)

        return self.play(play())

    def test_token(self) -> Deferred[None]:
        """
        The function for tokens may return a Deferred.
        """

        def give() -> Deferred[str]:
            given: Deferred[str] = Deferred()
            client._reactor.callLater(0, given.callback, self.site.key)
            return given

        client = self.makeClient(token=give)
        return client.publish("closed", 1).addCallback(lambda cursor: self.assertTrue(cursor))

    def test_hostWithUnderscore(self) -> Deferred[None]:
        """
        A name that Twisted's endpoint does not take is one to which there is no connection.
        """

        async def play() -> None:
            client = self.makeClient("http://my_service", timing=Timing(patience=0.01))
            await self.assertFailure(client.publish("open/a", 1), Unsent)

        return self.play(play())

    def trusting(self) -> Any:
        """
        See L{ShellContract.trusting}.
        """
        made = authority()
        root = Certificate.loadPEM(made.certificate.read_bytes())
        return optionsForClientTLS("localhost", root)

    def test_tokenCancelled(self) -> Deferred[None]:
        """
        A function for tokens whose Deferred is cancelled by itself, as one of C{treq} is when its
        time is over, has failed: a subscription that was open comes back.
        """
        asked = 0

        def give() -> Any:
            nonlocal asked
            asked += 1
            return fail(CancelledError()) if asked == 2 else self.site.key

        async def play() -> None:
            client, channel = self.makeClient(token=give), self.channel("a")
            subscription = client.subscribe(channel, since="earliest")
            for number in range(2):
                await self.makeClient(key=self.site.key).publish(channel, number)
                item = await subscription.next()
                assert isinstance(item, Message)
                self.assertEqual(item.data, number)
                loseToken(client)
            self.assertEqual(asked, 3)
            await subscription.close()

        return self.play(play())

    def test_closedWhileWaiting(self) -> Deferred[None]:
        """
        A reader ends at once when its subscription or its client is closed, while the function for
        tokens is waited for, or the time to come back.
        """
        cancelled: list[object] = []

        async def play() -> None:
            cases: list[dict[str, Any]] = [
                {"token": lambda: Deferred(cancelled.append)},
                {"url": AWAY},
            ]
            for options in cases:
                for isClient in (True, False):
                    client = self.makeClient(**options)
                    told: list[object] = []
                    subscription = client.subscribe("a", onClose=told.append)
                    waiting = subscription.next()
                    while "url" in options and not told:
                        await self.pause()
                    await (client if isClient else subscription).close()
                    self.assertTrue(waiting.called)
                    await self.assertFailure(waiting, Closed)
            self.assertEqual(len(cancelled), 2)

        self.patch(requester, "FIRST_DELAY", 1e6)
        self.patch(requester, "LONGEST_DELAY", 1e6)
        return self.play(play())
