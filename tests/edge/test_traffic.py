"""
Tests of the server's traffic figures, compared byte for byte with what a client
sends and receives.
"""

from __future__ import annotations

import json
from typing import Any

from tests.edge.case import EdgeTestCase
from tests.edge.connections import TcpConnection
from tests.edge.publisher import publish

HEAD = "GET /channels/{} HTTP/1.1\r\nHost: localhost\r\nX-Long:   some space  \r\n\r\n"


class TrafficTests(EdgeTestCase):
    """
    C{$stats}, read by raw TCP.
    """

    def figures(self, name: str, channel: str = "$stats") -> dict[str, int]:
        """
        Return the server's figures of a transport, from the next report on.
        """
        tcp = TcpConnection(self.own.site.tcpPort)
        self.addCleanup(tcp.close)
        tcp.send(b'{"token":"%s"}\n' % self.own.site.key.encode())
        tcp.send(b'{"subscribe":["%s"]}\n' % channel.encode())
        data = tcp.receiveUntil(b'"transports"')
        if not data.endswith(b"\n"):
            data += tcp.receiveUntil(b"\n")
        tcp.close()
        line: Any = json.loads(data.strip().splitlines()[-1])
        found: dict[str, int] = line["data"]["transports"].get(name, {})
        return found

    def setUp(self) -> None:
        """
        Start a server that only this test uses.
        """
        super().setUp()
        self.own = self.startServer()

    def test_poll(self) -> None:
        """
        A poll counts the head of its request, and the head and the body of its
        response.
        """
        tcp = TcpConnection(self.own.port)
        self.addCleanup(tcp.close)
        request = HEAD.format("a?transport=poll").encode()
        tcp.send(request * 2)
        data = tcp.receiveUntil(b"]}\n", 2)
        figures = self.figures("poll")
        self.assertEqual(figures["requests"], 2)
        self.assertEqual(figures["headIn"], 2 * len(request))
        self.assertEqual(figures["dataIn"], 0)
        self.assertEqual(figures["headOut"] + figures["dataOut"], len(data))
        body = data[data.rindex(b"\r\n\r\n") + 4 :]
        self.assertEqual(figures["dataOut"], 2 * len(body))

    def test_stream(self) -> None:
        """
        A stream counts the head of its response and all that follows, while it
        is open, after the client has ended its side, and after it is closed.
        """
        tcp = TcpConnection(self.own.port)
        self.addCleanup(tcp.close)
        request = HEAD.format("a?transport=stream").encode()
        tcp.send(request)
        data = tcp.receiveUntil(b"}\n\r\n")
        publish(self.own.site, "a", "x" * 1000)
        data += tcp.receiveUntil(b"}\n\r\n")
        self.assertStream(1, request, data)
        tcp.halfClose()
        # The server says twice where the reader stands, to learn whether the client
        # has left.
        data += tcp.receiveUntil(b"}\n\r\n", 2)
        self.assertStream(1, request, data)
        tcp.cut()
        if self.figures("stream")["open"]:
            self.figures("stream")
        self.assertStream(0, request, data)

    def assertStream(self, isOpen: int, request: bytes, data: bytes) -> None:
        """
        Check the figures of one stream, of which the client has got these bytes.
        """
        head, _, body = data.partition(b"\r\n\r\n")
        expected = {
            "open": isOpen,
            "requests": 1,
            "headIn": len(request),
            "dataIn": 0,
            "headOut": len(head) + 4,
            "dataOut": len(body),
        }
        self.assertEqual(self.figures("stream"), expected)

    def test_publish(self) -> None:
        """
        A publication counts the body of its request.
        """
        publish(self.own.site, "a", "hello")
        figures = self.figures("publish")
        self.assertEqual((figures["requests"], figures["dataIn"]), (1, len('"hello"')))

    def test_account(self) -> None:
        """
        Requests that name an account count in its figures, too, and other
        requests do not.
        """
        for path in ("a?transport=poll&account=me", "a?transport=poll"):
            tcp = TcpConnection(self.own.port)
            self.addCleanup(tcp.close)
            tcp.send(HEAD.format(path).encode())
            tcp.receiveUntil(b"]}\n")
        self.assertEqual(self.figures("poll")["requests"], 2)
        self.assertEqual(self.figures("poll", "$stats/me")["requests"], 1)
