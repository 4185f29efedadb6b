"""
Tests of the drain: a server that gets SIGTERM dismisses its readers, and ends in
time.
"""

from __future__ import annotations

import json
import signal
import socket
import time

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client, Refused
from tests.edge.connections import Ended, HttpConnection, Silence, TcpConnection, ask
from tests.edge.envelopes import BareCursor, Close
from tests.edge.publisher import publish
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS

DRAIN = 2.0
HELD = ("longpoll", "jsonp", "stream", "multipart", "sse", "iframe", "websocket", "tcp")


class DrainTests(EdgeTestCase):
    """
    A server that gets SIGTERM.
    """

    def readers(self, server: CometProcess) -> list[Client]:
        """
        Open four readers of each transport, and wait until they read.
        """
        head = publish(server.site, "news", {"n": 0}).cursor
        clients = []
        for kind in HELD * 4:
            client = self.client(kind, server.site)
            client.open(["news"], str(head))
            if client.endless:
                client.next()
            clients.append(client)
        marker = publish(server.site, "news", {"n": 1})
        for client in clients:
            self.assertHeard(client.messages(1), [marker])
        for client in clients:
            if not client.endless:
                self.hold(client)
        return clients

    def hold(self, client: Client) -> None:
        """
        Wait for the end of the last response, poll again, and check that the
        poll is held.
        """
        self.assertIsInstance(client.next(), BareCursor)
        self.assertRaises(Silence, client.next, 0.2)

    def assertEndedWell(self, server: CometProcess) -> None:
        """
        Check that the server ends in time, with the exit status of C{twistd},
        and without a traceback.
        """
        self.assertIn(server.wait(DRAIN + 8), (0, -signal.SIGTERM))
        server.assertNoTracebacks()

    def test_twice(self) -> None:
        """
        A signal that comes again during the drain changes nothing: the readers are sent
        away in time, and the log has no traceback.
        """
        server = self.startServer("--drain", str(int(DRAIN)), "--drain-notice", "3")
        server.terminate()
        # The server is not ready once it has had the first one.
        deadline = time.monotonic() + 5
        while ask(server.site, "GET", "/health").status == 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        server.terminate()
        self.assertIn(server.wait(DRAIN + 8), (0, -signal.SIGTERM))
        server.assertNoTracebacks()
        self.assertIn("SIGTERM came again", server.log())

    def test_told(self) -> None:
        """
        Readers of each transport get a close C{draining} with a retry, which is
        short for so few.
        """
        server = self.startServer("--drain", str(int(DRAIN)))
        clients = self.readers(server)
        began = time.monotonic()
        server.terminate()
        retries = []
        for client in clients:
            close = self.closeOf(client, began)
            self.assertEqual(close.code, "draining", client.name)
            assert close.retry is not None, client.name
            self.assertLessEqual(close.retry, DRAIN, client.name)
            retries.append(close.retry)
        self.assertLess(time.monotonic() - began, DRAIN + 3)
        self.assertTrue(all(0 < retry <= 0.1 for retry in retries), retries)
        self.assertEndedWell(server)

    def closeOf(self, client: Client, began: float) -> Close:
        """
        Return the close that a reader gets; the connection must end behind it.
        """
        left = began + DRAIN + 3 - time.monotonic()
        close = client.untilClose(left)
        if client.endless:
            client.untilEnd(left)
        return close

    def test_health(self) -> None:
        """
        During the drain C{/health} answers 503, if it can be reached, and no new
        reader is held.
        """
        server = self.startServer("--drain", str(int(DRAIN)))
        self.readers(server)
        connection = HttpConnection(TcpConnection(server.port))
        self.addCleanup(connection.tcp.close)
        connection.send("GET", "/health")
        self.assertEqual(connection.answer().status, 200)
        first = self.client("stream", server.site)
        first.open(["news"])
        server.terminate()
        self.assertEqual(first.untilClose().code, "draining")
        try:
            connection.send("GET", "/health")
            self.assertEqual(connection.answer().status, 503)
        except Ended:
            pass
        for kind in CLIENTS:
            self.assertNotHeld(kind, server)
        self.assertEndedWell(server)

    def assertNotHeld(self, kind: str, server: CometProcess) -> None:
        """
        Check that a new reader cannot connect, or gets a close.
        """
        client = self.client(kind, server.site)
        try:
            client.open(["news"], "earliest")
            while not isinstance(client.next(), Close):
                pass
        except Refused as error:
            self.assertIn(error.code, ("unavailable", "draining"), kind)
        except (OSError, Ended):
            pass

    def test_idle(self) -> None:
        """
        A server without readers ends at once, also with idle connections open.
        """
        server = self.startServer("--drain", "10")
        connection = HttpConnection(TcpConnection(server.port))
        self.addCleanup(connection.tcp.close)
        connection.send("GET", "/health")
        connection.answer()
        began = time.monotonic()
        self.assertIn(server.stop(), (0, -signal.SIGTERM))
        self.assertLess(time.monotonic() - began, 14)

    def test_slow(self) -> None:
        """
        A client that has not taken all of a large response when the server ends gets the
        rest of it, from either edge.
        """
        for edge in ("lean", "twisted"):
            server = self.startServer("--edge", edge, "--drain", "10")
            for number in range(10):
                publish(server.site, "news", {"n": number, "filler": "x" * 60000})
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", server.port))
                client.settimeout(20)
                line = b"GET /channels/news?transport=poll&since=earliest HTTP/1.1\r\n"
                client.sendall(line + b"Host: localhost\r\n\r\n")
                said = client.recv(1)
                server.terminate()
                time.sleep(0.5)
                while not said.endswith(b"]}\n"):
                    piece = client.recv(65536)
                    self.assertTrue(piece)
                    said += piece
            body = json.loads(said.partition(b"\r\n\r\n")[2])
            self.assertEqual(len(body["messages"]), 10)
            self.assertIn(server.wait(12), (0, -signal.SIGTERM))

    def test_deaf(self) -> None:
        """
        Readers that do not read, or do not close, cannot keep the server from
        ending in time.
        """
        server = self.startServer("--drain", "1")
        for kind in ("stream", "multipart", "sse", "iframe", "websocket", "tcp"):
            client = self.client(kind, server.site, receiveBuffer=8192)
            client.open(["news"])
        for number in range(200):
            publish(server.site, "news", {"n": number, "filler": "x" * 60000})
        server.terminate()
        self.assertIn(server.wait(12), (0, -signal.SIGTERM))
