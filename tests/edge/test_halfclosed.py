"""
Tests of clients that close their writing side, as C{nc -N} does, with a bus that
answers later.
"""

from __future__ import annotations

import json

from tests.edge.case import EdgeTestCase
from tests.edge.connections import PATIENCE, HttpConnection, TcpConnection
from tests.edge.publisher import publish

OPTIONS = ("--open", "open/**", "--bus", "sqlite:comet.db", "--edge")

HELD = ("longpoll", "jsonp", "stream", "multipart", "sse", "iframe", "websocket", "tcp")


class HalfClosedTests(EdgeTestCase):
    """
    Clients that have closed their writing side.
    """

    options = (*OPTIONS, "lean")

    def say(self, said: bytes, port: int) -> bytes:
        """
        Send some bytes, close the writing side, and read until the server closes.
        """
        connection = TcpConnection(port)
        self.addCleanup(connection.close)
        connection.send(said)
        connection.halfClose()
        heard = b""
        while piece := connection.receive(PATIENCE):
            heard += piece
        return heard

    def test_linesAreAnswered(self) -> None:
        """
        All of 200 lines are answered, also the last one, which has no terminator.
        """
        lines = [{"id": n, "publish": "open/a", "data": n} for n in range(200)]
        said = "\n".join(json.dumps(line) for line in lines).encode()
        for count in (1, 200):
            part = b"\n".join(said.splitlines()[:count])
            answers = [json.loads(line) for line in self.say(part, self.site.tcpPort).splitlines()]
            self.assertEqual([answer["id"] for answer in answers], list(range(count)))
            self.assertTrue(all("cursor" in answer["ok"] for answer in answers), answers)

    def test_requestsAreAnswered(self) -> None:
        """
        Pipelined publications are answered, and the connection is closed then.
        """
        connection = HttpConnection(TcpConnection(self.site.port))
        self.addCleanup(connection.tcp.close)
        for n in range(20):
            connection.send("POST", "/channels/open/a", body=b"%d" % n)
        connection.tcp.halfClose()
        self.assertEqual([connection.answer().status for _ in range(20)], [201] * 20)
        self.assertEqual(connection.tcp.receive(PATIENCE), b"")

    def test_readersReadOn(self) -> None:
        """
        A reader on any transport hears what is published.
        """
        for kind in HELD:
            name = self.channel(kind)
            client = self.client(kind)
            client.open([name], "now")
            if client.endless:
                client.next()
            client.tcp.halfClose()
            known = publish(self.site, name, {"n": 1})
            self.assertHeard(client.messages(1), [known])


class TwistedHalfClosedTests(HalfClosedTests):
    """
    The same on Twisted's edge.
    """

    options = (*OPTIONS, "twisted")
