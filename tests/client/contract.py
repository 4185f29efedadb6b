"""
What every shell does alike, with real servers and real connections.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from comet.client import requester
from comet.client.failures import Lost, Untrusted
from comet.client.links import ALL_TRANSPORTS, HTTP_TRANSPORTS
from comet.errors import BadChannel, Unauthorized
from tests.client.samecontract import SameContract
from tests.edge.tls import authority
from tests.faults.proxy import Proxies
from tests.ports import freePort


class ShellContract(SameContract):
    """
    Mixed into L{EdgeTestCase<tests.edge.case.EdgeTestCase>}, with the makers of one shell.
    """

    options: Sequence[str] = ("--open", "open/**", "--presence", "open/**")

    def setUp(self: Any) -> None:
        """
        Come back soon.
        """
        super().setUp()  # type: ignore[misc]
        self.patch(requester, "FIRST_DELAY", 0.05)

    def urlOf(self: Any, port: int) -> str:
        """
        Return the URL of a port of this machine.
        """
        return f"http://127.0.0.1:{port}"

    def makeReader(self: Any, transport: str, port: int, tcpPort: int) -> Any:
        """
        Make a client that reads by a transport.

        @param port: Where HTTP is.

        @param tcpPort: Where raw TCP is.
        """
        url = f"tcp://127.0.0.1:{tcpPort}" if transport == "tcp" else self.urlOf(port)
        return self.makeClient(url, transport=transport)

    def test_eachTransport(self: Any) -> Any:
        """
        Each transport brings what is held, and then what is published.
        """

        async def play() -> None:
            client = self.makeClient(self.urlOf(self.site.port))
            for transport in ALL_TRANSPORTS:
                channel = self.channel(transport)
                cursor = await client.publish(channel, {"n": 1}, event="made")
                reader = self.makeReader(transport, self.site.port, self.site.tcpPort)
                subscription = reader.subscribe(channel, since="earliest")
                first = await subscription.__anext__()
                self.assertEqual(
                    (first.channel, first.cursor, first.data, first.event),
                    (channel, cursor, {"n": 1}, "made"),
                )
                many = ({"channel": channel, "data": number} for number in range(2, 100))
                cursors = await client.publishMany(many)
                self.assertEqual(await self.taken(subscription, 98), list(range(2, 100)))
                self.assertEqual(subscription.cursor, cursors[-1])
                self.assertEqual(subscription.transport, transport)
                await subscription.close()

        return self.play(play())

    def test_refused(self: Any) -> Any:
        """
        What the server refuses is raised, and leaves the client as it was.
        """

        async def play() -> None:
            client = self.makeClient(self.urlOf(self.site.port))
            for call in (
                lambda: client.publish("closed", 1),
                lambda: client.subscribe("$events").__anext__(),
            ):
                try:
                    await call()
                except Unauthorized:
                    pass
                else:
                    self.fail("it was not refused")
            self.assertRaises(BadChannel, client.subscribe, "a//b")
            self.assertEqual((await client.presence(self.channel("a"))).count, 0)
            keyed = self.makeClient(self.urlOf(self.site.port), key=self.site.key)
            self.assertRegex(await keyed.publish("closed", 1), r"^\w+-\d+$")

        return self.play(play())

    def test_cutLinks(self: Any) -> Any:
        """
        Links that are cut lose, repeat and reorder nothing, on any transport; what is published
        through them is stored once.
        """
        proxies = Proxies()
        self.addCleanup(proxies.close)
        link, rawLink = proxies.link(self.site.port), proxies.link(self.site.tcpPort)

        async def play() -> None:
            client = self.makeClient(self.urlOf(link.port))
            for transport in ALL_TRANSPORTS:
                channel = self.channel(transport)
                reader = self.makeReader(transport, link.port, rawLink.port)
                subscription = reader.subscribe(channel, since="earliest")
                for number in range(5):
                    await client.publish(channel, number)
                    self.assertEqual(await self.taken(subscription, 1), [number])
                    link.cut()
                    rawLink.cut()
                await subscription.close()

        return self.play(play())

    def test_killedServer(self: Any) -> Any:
        """
        A server that is killed and started again loses nothing of what its bus has stored.
        """
        server = self.startServer("--open", "open/**", "--bus", "sqlite:comet.db")

        async def play() -> None:
            client = self.makeClient(self.urlOf(server.port))
            await client.publish("open/a", 0)
            subscriptions = []
            for transport in ALL_TRANSPORTS:
                reader = self.makeReader(transport, server.port, server.site.tcpPort)
                subscriptions.append(reader.subscribe("open/a", since="earliest"))
                self.assertEqual(await self.taken(subscriptions[-1], 1), [0])
            server.restart()
            await client.publish("open/a", 1)
            for each in subscriptions:
                self.assertEqual(await self.taken(each, 1), [1])
                await each.close()

        return self.play(play())

    def test_noServer(self: Any) -> Any:
        """
        Without a server the application is told, and the client tries again.
        """
        port = freePort()
        told: list[Any] = []

        def lost(closing: Any) -> None:
            told.append(closing.code)
            self.assertIn(f"127.0.0.1:{port}", closing.message)
            if len(told) == 3:
                raise Lost("enough")

        async def play() -> None:
            client = self.makeClient(self.urlOf(port))
            try:
                await client.subscribe("open/a", onClose=lost).__anext__()
            except Lost as error:
                self.assertEqual((error.detail, told), ("enough", ["lost"] * 3))
            else:
                self.fail("there is a server")

        return self.play(play())

    def test_untrusted(self: Any) -> Any:
        """
        A certificate that the system does not know is refused; one that the application trusts is
        not, and all transports run over TLS.
        """
        url = f"https://localhost:{self.site.securePort}"

        async def play() -> None:
            client = self.makeClient(url)
            for call in (
                lambda: client.publish("open/a", 1),
                lambda: client.subscribe("open/a").__anext__(),
            ):
                try:
                    await call()
                except Untrusted:
                    pass
                else:
                    self.fail("it was trusted")
            channel = self.channel("a")
            for transport in HTTP_TRANSPORTS:
                client = self.makeClient(url, transport=transport, tls=self.trusting())
                await client.publish(channel, transport)
                subscription = client.subscribe(channel, since="-1")
                self.assertEqual(await self.taken(subscription, 1), [transport])
                await subscription.close()

        return self.play(play())

    def test_rawTLS(self: Any) -> Any:
        """
        Raw TCP with TLS verifies the certificate before a key is shown.
        """
        server = self.startTls("--bus", "memory:")
        raw = f"tls://localhost:{server.site.tcpPort}"

        async def play() -> None:
            try:
                await self.makeClient(raw, key=server.site.key).subscribe("closed").__anext__()
            except Untrusted:
                pass
            else:
                self.fail("it was trusted")
            url = f"https://localhost:{server.port}"
            client = self.makeClient(url, key=server.site.key, tls=self.trusting())
            await client.publish("closed", 1)
            reader = self.makeClient(raw, key=server.site.key, tls=self.trusting())
            subscription = reader.subscribe("closed", since="earliest")
            self.assertEqual(await self.taken(subscription, 1), [1])
            await subscription.close()

        return self.play(play())

    def trusting(self) -> Any:
        """
        Return what trusts the certificate of the tests.
        """
        # httpx writes into it which protocols it speaks.
        return ssl.create_default_context(cafile=str(authority().certificate))
