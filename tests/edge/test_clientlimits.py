"""
Tests of the limits of one client, and of trusted proxies, with a server process.  On
both edges.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from tests.edge.capacity import isFull, take, until
from tests.edge.case import EdgeTestCase
from tests.edge.connections import Site, ask
from tests.edge.envelopes import problemOf
from tests.edge.publisher import headersOf
from tests.edge.server import CometProcess
from tests.edge.speakers import SPEAKERS
from tests.edge.tls import authority
from tests.edge.ways import WAYS, Way

OPEN = ("--open", "open/**")

# Seconds that the server may take to answer on a UNIX socket.
_PATIENCE = 30.0


class ClientLimitsTests(EdgeTestCase):
    """
    The limits of one client.
    """

    def edges(self, *options: str) -> Iterator[CometProcess]:
        """
        Start a server with each edge.
        """
        for edge in ("lean", "twisted"):
            yield self.startServer(*OPEN, *options, "--edge", edge)

    def test_connections(self) -> None:
        """
        A reader too many of one address is refused; when the other one leaves, its
        place is free.  On each transport, over HTTP/2 too, on Twisted's edge; the lean one
        is tested in L{tests.lean.test_clientlimits}.
        """
        options = ("--connections-per-address", "1", "--edge", "twisted")
        server = self.startServer(*OPEN, *options, secure=authority())
        for way in WAYS:
            # The others differ in what is written alone.
            if way.name != "poll" and way.variant in (0, 4):
                self.takeAndLeave(server, way)

    def takeAndLeave(self, server: CometProcess, way: Way) -> None:
        """
        Take the only place, and leave it.
        """
        client = self.take(way, server.site)
        take(client)
        until(lambda: isFull(server), f"full with {way}")
        client.cut()
        until(lambda: not isFull(server), f"free after {way}")

    def test_publishRate(self) -> None:
        """
        Messages beyond the rate are 429, say when to come again, and are not stored.
        Those of a client behind a trusted proxy count for that client.
        """
        for server in self.edges("--publish-rate", "0.01", "--trust-proxy", "127.0.0.1"):
            site, path = server.site, "/channels/open/a"
            for address, stored in (("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::1", 3)):
                headers = {"X-Forwarded-For": f"203.0.113.9, {address}"}
                self.assertEqual(ask(site, "POST", path, headers, b"x").status, 201)
                answer = ask(site, "POST", path, headers, b"x")
                self.assertEqual(
                    problemOf(answer.status, answer.headers, answer.body), "tooMany", address
                )
                self.assertTrue(60 < int(answer.headers["retry-after"]) <= 100, answer)
                self.assertEqual(self.position(site), stored)
            for number in range(3):
                self.assertEqual(
                    ask(site, "POST", path, headersOf(site), b"%d" % number).status, 201
                )

    def test_commandRate(self) -> None:
        """
        One command may come however small the rate is, and one that cannot be carried out
        counts; the next is refused, and the connection stays.  Publications do not count,
        nor do other connections.
        """
        for server in self.edges("--command-rate", "0.01"):
            for kind in (*SPEAKERS, *SPEAKERS):
                speaker = SPEAKERS[kind](server.site)
                self.addCleanup(speaker.close)
                speaker.open([])
                self.assertEqual(speaker.errorOf('{"id":1}'), "badRequest")
                self.assertEqual(speaker.errorOf('{"id":2,"ping":1}'), "tooMany", kind)
                self.assertEqual(speaker.errorOf("no command"), "tooMany", kind)
                for number in range(5):
                    speaker.command(publish="open/b", data=number)

    def position(self, site: Site) -> int:
        """
        Return the position of the newest message.
        """
        tag = ask(site, "HEAD", "/channels/open/a").headers["etag"]
        return int(tag.strip('"').rpartition("-")[2])

    def test_unixSockets(self) -> None:
        """
        A proxy that connects to a UNIX socket is believed with C{--trust-proxy unix}
        alone.
        """
        for trusted, statuses in (("unix", [201, 201, 429]), ("127.0.0.1", [201, 429, 429])):
            server = self.startServer(
                *OPEN, "--publish-rate", "0.01", "--trust-proxy", trusted, "--listen", "unix:http"
            )
            heard = []
            for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(_PATIENCE)
                    client.connect(str(server.directory / "http"))
                    client.sendall(
                        b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: 1\r\nX-Forwarded-For: %b\r\n\r\nx" % address.encode()
                    )
                    heard.append(int(client.recv(4096).split()[1]))
            self.assertEqual(heard, statuses, trusted)
