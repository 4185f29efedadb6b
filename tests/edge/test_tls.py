"""
Tests of all transports over TLS.
"""

from __future__ import annotations

from tests.edge.case import EdgeTestCase
from tests.edge.publisher import Publisher, publish
from tests.edge.speakers import CLIENTS, SPEAKERS


class TlsTests(EdgeTestCase):
    """
    A server on C{ssl:} endpoints.
    """

    def test_transports(self) -> None:
        """
        Each transport delivers held and live messages, small and large; the
        cursor of one transport is the start of the next.
        """
        server = self.startTls()
        site = server.site
        held = [publish(site, "news", {"n": n, "filler": "x" * 60000}) for n in range(10)]
        for kind in CLIENTS:
            for variant in (0, 1):
                client = self.client(kind, site, variant=variant)
                client.open(["news"], str(held[0].cursor))
                self.assertHeard(client.messages(len(held) - 1), held[1:])
                held.append(publish(site, "news", {"n": len(held)}))
                self.assertHeard(client.messages(1), held[-1:])
                client.cut()

    def test_publishing(self) -> None:
        """
        Each transport delivers all messages that are published meanwhile over
        TLS, in every way to publish.
        """
        server = self.startTls()
        start = publish(server.site, "open/a", 0)
        clients = [self.client(kind, server.site) for kind in CLIENTS]
        for client in clients:
            client.open(["open/*"], str(start.cursor))
        publisher = Publisher(server.site, ["open/a", "open/b"])
        publisher.start()
        try:
            heard = {client.name: client.messages(60) for client in clients}
        finally:
            published = publisher.stop()
        for messages in heard.values():
            self.assertHeard(messages, published[:60])

    def test_commands(self) -> None:
        """
        Commands over WebSocket and raw TCP are answered.
        """
        server = self.startTls()
        for kind in SPEAKERS:
            speaker = SPEAKERS[kind](server.site)
            self.addCleanup(speaker.close)
            speaker.open([])
            self.assertTrue(speaker.isOpen())
