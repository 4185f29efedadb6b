"""
Tests of readers that leave, of readers for which there is no place, and of
pipelined requests.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.edge.capacity import begin, isFull, take, until
from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client, Refused, SseClient
from tests.edge.connections import Ended, HttpConnection, TcpConnection, ask
from tests.edge.envelopes import Message, readPollBody
from tests.edge.publisher import headersOf, publish
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS

HELD = ("longpoll", "jsonp", "stream", "multipart", "sse", "iframe", "websocket", "tcp")


def leaveAfterMore(client: Client) -> None:
    """
    Send 20 KB of stray bytes, and leave.
    """
    try:
        if not client.endless:
            more = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500
        else:
            more = b"x" * 20000
        client.tcp.send(more)
    except Ended:
        pass
    client.close()


WAYS: dict[str, Callable[[Client], None]] = {
    "close": Client.close,
    "reset": Client.cut,
    "more": leaveAfterMore,
}


class LeavingTests(EdgeTestCase):
    """
    A server with two places: one reader stays, another leaves.
    """

    def test_leaving(self) -> None:
        """
        When a reader leaves, in any way, its place becomes free, and the other
        reader hears the next message.
        """
        server = self.startServer("--max-connections", "2")
        for stays in HELD:
            for kind in HELD:
                if kind != stays and stays != "stream":
                    continue
                for label, leave in WAYS.items():
                    self.leaveOne(server, stays, kind, label, leave)

    def leaveOne(
        self,
        server: CometProcess,
        stays: str,
        kind: str,
        label: str,
        leave: Callable[[Client], None],
    ) -> None:
        """
        Fill both places, let one reader leave, and wait until its place is
        free.
        """
        what = f"{kind}, {label}, beside {stays}"
        staying = self.client(stays, server.site)
        take(staying)
        leaving = self.client(kind, server.site)
        take(leaving)
        until(lambda: isFull(server), f"full with {what}")
        leave(leaving)
        self.assertTrue(server.isRunning)
        until(lambda: not isFull(server), f"free after {what}")
        headers = headersOf(server.site)
        path = "/channels/held"
        until(lambda: ask(server.site, "POST", path, headers, b'"x"').status == 201, "published")
        self.assertEqual(staying.messages(1)[0].data, "x", what)
        leaving.close()
        staying.close()

    def test_manyLeave(self) -> None:
        """
        After a thousand readers came and left, there are as many places as at
        first.
        """
        server = self.startServer("--max-connections", "3")
        for number in range(200):
            for kind in HELD:
                client = CLIENTS[kind](server.site)
                try:
                    begin(client)
                except Refused as error:
                    # The server may not have noticed yet that the last one left.
                    self.assertEqual(error.code, "tooMany")
                (client.cut if number % 2 else client.close)()
        clients = [self.client(kind, server.site) for kind in ("sse", "tcp", "websocket")]
        for client in clients:
            take(client)
        until(lambda: isFull(server), "full")


class FullTests(EdgeTestCase):
    """
    A server without a free place.
    """

    def test_refused(self) -> None:
        """
        A reader too many gets C{tooMany}: 429 with C{Retry-After}; over C{sse},
        where an EventSource would not retry after that, 200 with C{retry} and
        C{$close}.
        """
        server = self.startServer("--max-connections", "1")
        take(self.client("stream", server.site))
        for kind in ("longpoll", "jsonp", "stream", "multipart", "iframe", "websocket"):
            for variant in (0, 1):
                client = self.client(kind, server.site, variant=variant)
                error = self.assertRaises(Refused, self.hear, client)
                self.assertEqual((error.status, error.code), (429, "tooMany"), kind)
                self.assertGreaterEqual(int(error.headers["retry-after"]), 1)
        client = SseClient(server.site)
        self.addCleanup(client.close)
        client.open(["held"])
        close = client.untilClose()
        self.assertEqual(close.code, "tooMany")
        assert close.retry is not None
        client.untilEnd()
        self.assertGreater(client.retries[-1], 0)
        self.assertEqual(self.hearTcp(server), "tooMany")
        self.assertTrue(isFull(server))

    def hear(self, client: Client) -> None:
        """
        Open a client, and wait for an event.
        """
        client.open(["held"])
        client.next()

    def hearTcp(self, server: CometProcess) -> str:
        """
        Subscribe over raw TCP, and return the code of the error or of the close
        that refuses it.
        """
        client = self.client("tcp", server.site)
        try:
            client.open(["held"])
        except Refused as error:
            return error.code
        code = client.untilClose().code
        client.untilEnd()
        return code


class PipelineTests(EdgeTestCase):
    """
    Requests that come while a poll is held.
    """

    def test_requestBehindHeldPoll(self) -> None:
        """
        A request behind a held poll is answered after it, and both responses
        are complete.
        """
        name = self.channel("c")
        connection = HttpConnection(TcpConnection(self.site.port))
        self.addCleanup(connection.tcp.close)
        connection.send("GET", f"/channels/{name}?wait=20&since=earliest")
        connection.send("GET", "/health")
        connection.send("GET", f"/channels/{name}?transport=poll&since=earliest")
        one = publish(self.site, name, {"n": 1})
        first, health, second = (connection.answer() for _ in range(3))
        self.assertEqual(health.status, 200)
        for answer in (first, second):
            events = readPollBody(answer.body).events
            heard = [event for event in events if isinstance(event, Message)]
            self.assertHeard(heard, [one])

    def test_many(self) -> None:
        """
        A thousand requests on one connection are answered in their order, also
        if each is sent before the one before it is answered.
        """
        name = self.channel("c")
        held = self.publish(name, 3)
        connection = HttpConnection(TcpConnection(self.site.port))
        self.addCleanup(connection.tcp.close)
        for start in range(0, 1000, 50):
            for number in range(start, start + 50):
                since = held[number % 3].cursor
                connection.send("GET", f"/channels/{name}?transport=poll&since={since}")
            for number in range(start, start + 50):
                events = readPollBody(connection.answer().body).events
                self.assertEqual(len(events), 3 - number % 3)
