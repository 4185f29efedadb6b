"""
Servers that have no open files left.  On both edges.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Refused
from tests.edge.connections import HttpConnection, TcpConnection, ask
from tests.edge.publisher import publish
from tests.edge.server import CometProcess

# How many files the server may open.
FILES = 160


@contextmanager
def fewFiles() -> Iterator[None]:
    """
    Let processes that are started meanwhile open few files.
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class FullTests(EdgeTestCase):
    """
    A server whose clients use up its open files.
    """

    def edges(self) -> Iterator[CometProcess]:
        """
        Start a server with each edge.
        """
        for edge in ("lean", "twisted"):
            with fewFiles():
                server = self.startServer("--open", "open/**", "--edge", edge)
            yield server

    def test_readers(self) -> None:
        """
        Readers too many are refused with 503.  Publishers, health checks, and the
        readers that there are, are served.
        """
        for server in self.edges():
            readers, refused = [], 0
            for _ in range(FILES - 40):
                client = self.client("stream", server.site)
                try:
                    client.open(["open/a"])
                    client.next()
                    readers.append(client)
                except Refused as error:
                    self.assertEqual((error.status, error.code), (503, "unavailable"))
                    self.assertIn("retry-after", error.headers)
                    client.close()
                    refused += 1
            self.assertEqual((len(readers), refused), (FILES - 64, 24))
            for number in range(40):
                self.assertEqual(ask(server.site, "GET", "/health").status, 200)
                publish(server.site, "open/a", {"n": number})
            for reader in readers:
                self.assertEqual(reader.messages(1)[0].data, {"n": 0})
                reader.close()
            self.assertLogged(server)

    def test_idle(self) -> None:
        """
        Kept connections that are idle make room for new ones.
        """
        for server in self.edges():
            kept = []
            for _ in range(2 * FILES):
                connection = HttpConnection(TcpConnection(server.port))
                kept.append(connection)
                connection.send("GET", "/channels/open/a?transport=poll")
                self.assertEqual(connection.answer().status, 200)
            self.assertEqual(ask(server.site, "GET", "/health").status, 200)
            for connection in kept:
                connection.tcp.close()

    def test_silent(self) -> None:
        """
        Where connections that have asked nothing take all, a new client is told
        so at once.
        """
        for server in self.edges():
            silent = [TcpConnection(server.port) for _ in range(FILES)]
            # The last ones are those for which there is no room.
            for tcp in silent[-10:]:
                heard = tcp.receive(10.0)
                self.assertTrue(heard.startswith(b"HTTP/1.1 503 "), heard)
                self.assertIn(b"\r\nRetry-After: 5\r\n", heard)
            for tcp in silent:
                tcp.close()
            self.assertLogged(server)

    def assertLogged(self, server: CometProcess) -> None:
        """
        Check that refusals are logged in one line.
        """
        self.assertEqual(server.log().count("no room for clients"), 1, server.tail())
