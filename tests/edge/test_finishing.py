"""
Tests that a server that gets SIGTERM finishes the requests under way, and tells its
clients that their connections end.  On both edges.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

from tests.edge.case import EdgeTestCase
from tests.edge.connections import Ended, TcpConnection, ask
from tests.edge.server import CometProcess

HEAD = b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
POLL = b"GET /channels/open/a?transport=%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class FinishTests(EdgeTestCase):
    """
    A server that gets SIGTERM.
    """

    def edges(self, *options: str) -> Iterator[CometProcess]:
        """
        Start a server with each edge.
        """
        for edge in ("lean", "twisted"):
            yield self.startServer("--open", "open/**", "--edge", edge, *options)

    def connect(self, server: CometProcess, *said: bytes) -> TcpConnection:
        """
        Connect, and send bytes.
        """
        tcp = TcpConnection(server.port)
        self.addCleanup(tcp.close)
        for each in said:
            tcp.send(each)
        return tcp

    def hear(self, tcp: TcpConnection) -> bytes:
        """
        Receive one response with a body.
        """
        heard = b""
        while b"\r\n\r\n" not in heard or heard.endswith(b"\r\n\r\n"):
            data = tcp.receive(10.0)
            self.assertTrue(data, heard)
            heard += data
        return heard

    def assertLast(self, tcp: TcpConnection, status: bytes) -> None:
        """
        Check that a response comes that ends its connection.
        """
        heard = self.hear(tcp)
        self.assertTrue(heard.startswith(b"HTTP/1.1 " + status), heard)
        self.assertEqual(heard.count(b"\r\nConnection: close\r\n"), 1, heard)
        self.assertEqual(tcp.receive(10.0), b"")

    def test_half(self) -> None:
        """
        A request of which a part has come at SIGTERM is finished, wherever it was
        cut, and the server ends then.
        """
        for server in self.edges():
            parts = [self.connect(server, (HEAD + b"0123456789")[:cut]) for cut in (9, 60, -7, -1)]
            idle = self.connect(server, HEALTH)
            self.assertIn(b'{"ready":true}', self.hear(idle))
            time.sleep(0.3)
            server.terminate()
            time.sleep(1.0)
            self.assertTrue(server.isRunning)
            for part, cut in zip(parts, (9, 60, -7, -1), strict=True):
                part.send((HEAD + b"0123456789")[cut:])
                self.assertLast(part, b"201")
            self.assertIn(server.wait(5), (0, -signal.SIGTERM))

    def test_kept(self) -> None:
        """
        A kept connection whose server drains is told that it ends, by the
        response to a held poll and by that to the next request.
        """
        for server in self.edges():
            self.connect(server, HEAD)
            held = self.connect(server, POLL % b"longpoll")
            kept = self.connect(server, POLL % b"poll")
            self.hear(kept)
            time.sleep(0.3)
            server.terminate()
            self.assertLast(held, b"200")
            kept.send(HEALTH)
            self.assertLast(kept, b"503")

    def test_silent(self) -> None:
        """
        A request whose rest does not come is waited for no longer than the time
        to drain.
        """
        for server in self.edges("--drain", "1"):
            self.connect(server, HEAD)
            time.sleep(0.3)
            server.terminate()
            self.assertIn(server.wait(6), (0, -signal.SIGTERM))

    def test_notice(self) -> None:
        """
        For the time of the notice the server is not ready, but does everything
        else.
        """
        for server in self.edges("--drain-notice", "2"):
            self.assertEqual(ask(server.site, "GET", "/health/ready").status, 200)
            server.terminate()
            deadline = time.monotonic() + 10
            while (answer := ask(server.site, "GET", "/health/ready")).status != 503:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
            self.assertEqual(json.loads(answer.body), {"ready": False, "reason": "draining"})
            self.assertEqual(ask(server.site, "GET", "/health/live").status, 200)
            tcp = self.connect(server, HEAD + b"0123456789")
            self.assertIn(b" 201 ", self.hear(tcp))
            stream = self.client("stream", server.site)
            stream.open(["open/a"], "earliest")
            self.assertEqual(stream.messages(1)[0].data, "0123456789")
            self.assertEqual(stream.untilClose().code, "draining")
            self.assertIn(server.wait(5), (0, -signal.SIGTERM))
            self.assertRaises((OSError, Ended), ask, server.site, "GET", "/health")
