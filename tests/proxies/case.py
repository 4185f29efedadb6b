"""
The tests that each proxy must pass.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import TestCase

from tests.edge.clients import Client, Refused
from tests.edge.connections import HttpConnection, Response, TcpConnection, ask
from tests.edge.envelopes import BareCursor, problemOf, readAnswer
from tests.edge.publisher import headersOf, publish, publishBatch
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS, SPEAKERS, TcpClient, WebSocketClient
from tests.proxies.programs import HOST, Proxy

# A message arrives at once if it takes less than this, in seconds.
AT_ONCE = 1.0

# The interval of the server's heartbeats, in seconds.
HEARTBEAT = 1.0

OURS = f"https://{HOST}"
LISTED = "https://www.example.com"
STRANGE = "https://evil.example"


class ProxyTestCase(TestCase):
    """
    The tests; each subclass is one proxy.

    @cvar proxyType: The proxy.

    @cvar withTcp: Whether raw TCP passes it, too.
    """

    proxyType: ClassVar[type[Proxy]]
    withTcp: ClassVar[bool] = False
    timeout = 120

    def setUp(self) -> None:
        """
        Start the server and the proxy.
        """
        directory = Path(tempfile.mkdtemp(prefix=f"comet-{self.proxyType.name}-"))
        self.addCleanup(shutil.rmtree, directory, True)
        self.comet = CometProcess(
            *("--public-url", OURS, "--allow-origin", LISTED, "--open", "open/**"),
            *("--heartbeat", str(HEARTBEAT), "--drain", "2"),
        )
        self.addCleanup(self.comet.remove)
        self.proxy = self.proxyType(self.comet, directory)
        self.proxy.start()
        self.addCleanup(self.proxy.stop)
        self.site = self.proxy.site

    def tearDown(self) -> None:
        """
        Check that the server has logged no unexpected error.
        """
        self.comet.assertNoTracebacks()

    def client(self, kind: type[Client]) -> Client:
        """
        Make a client that is closed when the test is over.
        """
        # With an odd variant a frame calls a function, which needs no origin.
        client = kind(self.site, variant=int(kind.name == "iframe"))
        self.addCleanup(client.close)
        return client

    def kinds(self) -> list[type[Client]]:
        """
        The clients of the transports that pass this proxy.
        """
        return [kind for name, kind in CLIENTS.items() if name != "tcp" or self.withTcp]

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Response:
        """
        Send a request through the proxy; underscores in the names of headers
        stand for hyphens.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.site, method, target, named, body)

    def test_atOnce(self) -> None:
        """
        On every transport the held messages come first; then each live message
        arrives at once, while the stream stays open.
        """
        for number, kind in enumerate(self.kinds()):
            channel = f"news/{kind.name}"
            held = publish(self.site, channel, {"held": "é<"})
            client = self.client(kind)
            client.open([channel], "earliest")
            self.assertEqual([each.cursor for each in client.messages(1)], [held.cursor])
            for count in range(4):
                data = {"n": number, "count": count, "filler": "x" * 3000 * count}
                published = publish(self.site, channel, data)
                (message,) = client.messages(1, AT_ONCE)
                self.assertEqual((message.cursor, message.data), (published.cursor, data))

    def test_heartbeats(self) -> None:
        """
        Heartbeats pass in time on every endless transport.
        """
        clients = [self.client(kind) for kind in self.kinds() if kind.endless]
        for client in clients:
            client.open(["silent"])
            self.assertIsInstance(client.next(AT_ONCE), BareCursor)
        # All of them have their heartbeats within the same second.
        for _ in range(2):
            for client in clients:
                self.assertIsInstance(client.next(HEARTBEAT + AT_ONCE), BareCursor, client.name)

    def test_longPoll(self) -> None:
        """
        A long poll is held for the time that it asks for, and is then answered.
        """
        began = time.monotonic()
        answer = self.ask("GET", "/channels/silent?transport=longpoll&wait=2")
        self.assertEqual((answer.status, readAnswer(answer.body)["messages"]), (200, []))
        self.assertGreater(time.monotonic() - began, 1.5)

    def test_commands(self) -> None:
        """
        Commands pass in both directions: to subscribe, to publish, and pings.
        """
        for name, kind in SPEAKERS.items():
            if name == "tcp" and not self.withTcp:
                continue
            client = self.client(kind)
            client.open([])
            assert isinstance(client, WebSocketClient | TcpClient)
            client.command(subscribe=["open/a"])
            answer = client.command(publish="open/a", data=["x"])
            (message,) = client.messages(1, AT_ONCE)
            self.assertEqual((str(message.cursor), message.data), (answer["cursor"], ["x"]))
            self.assertTrue(client.isOpen())

    def test_publishing(self) -> None:
        """
        Publications pass: single, large, with a key, in a batch.  A refusal has
        the server's own text.
        """
        publish(self.site, "news", "x" * 65000)
        again = {"Idempotency-Key": "k1"}
        first = publish(self.site, "news", 1, again)
        self.assertEqual(publish(self.site, "news", 1, again), first)
        connection = HttpConnection(TcpConnection(self.site.port, self.site.tls), HOST)
        lines = [("news", "x" * 60000), *(("other", n) for n in range(500))]
        self.assertEqual(len(publishBatch(connection, self.site, lines)), 501)
        connection.tcp.close()
        # A batch of nearly 4 MiB, the most that the server accepts.
        body = b'{"channel":"news","data":"%s"}\n' % (b"x" * 65000)
        headers = headersOf(self.site, {"Content-Type": "application/x-ndjson"})
        self.assertEqual(ask(self.site, "POST", "/publish", headers, body * 64).status, 201)
        for answer, code in (
            (self.ask("POST", "/channels/news", b"x"), "unauthorized"),
            (self.ask("GET", "/channels/a,,b"), "badChannel"),
            (self.ask("GET", "/channels/a%2Fb"), "badChannel"),
            (self.ask("POST", "/channels/open/a", b"x" * 70000), "tooLarge"),
        ):
            self.assertEqual(problemOf(answer.status, answer.headers, answer.body), code)

    def test_names(self) -> None:
        """
        Names pass unchanged: escapes, commas, patterns.
        """
        channel = "open/für +alle;x=1"
        client = self.client(CLIENTS["sse"])
        client.open([channel, "open/*"])
        publish(self.site, channel, 1)
        (message,) = client.messages(1, AT_ONCE)
        self.assertEqual(message.channel, channel)

    def test_origins(self) -> None:
        """
        The allowed origins are those of the public URL and of the option, to
        publish, to read, and by WebSocket.  Forwarding headers of a client do
        not count.
        """
        lies = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
        for origin, isAllowed in ((OURS, True), (LISTED, True), (STRANGE, False)):
            for more in ({}, lies):
                self.assertOrigin(origin, isAllowed, more)
        # By default a frame posts to a page of the public URL.
        connection = HttpConnection(TcpConnection(self.site.port, self.site.tls), HOST)
        self.addCleanup(connection.tcp.close)
        connection.send("GET", "/channels/open/a?transport=iframe")
        self.assertEqual(connection.head().status, 200)
        page = b""
        while b"</script>" not in page:
            piece = connection.piece()
            self.assertTrue(piece, page)
            page += piece
        self.assertIn(f',"{OURS}");</script>'.encode(), page)

    def assertOrigin(self, origin: str, isAllowed: bool, more: Mapping[str, str]) -> None:
        """
        Check whether a page of this origin is allowed.
        """
        headers = {"Origin": origin, **more}
        answer = ask(self.site, "POST", "/channels/open/a", headers, b"x")
        self.assertEqual(answer.status, 201 if isAllowed else 403, origin)
        answer = ask(self.site, "GET", "/channels/open/a?transport=poll", headers)
        expected = origin if isAllowed else None
        self.assertEqual(answer.headers.get("access-control-allow-origin"), expected)
        client = WebSocketClient(self.site)
        self.addCleanup(client.close)
        try:
            client.open(["open/a"], origin=origin)
        except Refused as refused:
            self.assertEqual((refused.code, isAllowed), ("forbidden", False))
        else:
            self.assertTrue(isAllowed)

    def test_host(self) -> None:
        """
        A request for another host is refused by the proxy, or by the server, to
        which the proxy passes the name.
        """
        tcp = TcpConnection(self.site.port, self.site.tls)
        self.addCleanup(tcp.close)
        connection = HttpConnection(tcp, "evil.example")
        connection.send("GET", "/channels/open/a?transport=poll")
        answer = connection.answer()
        self.assertNotIn(b'"messages"', answer.body)
        if answer.body:
            self.assertEqual(problemOf(421, answer.headers, answer.body), "wrongHost")

    def test_leaving(self) -> None:
        """
        When a reader leaves, with a reset or in the ordinary way, its place in
        the server becomes free; that of a long poll before its time is over.
        """
        before = self.established()
        clients = [self.client(kind) for kind in self.kinds() * 2 if kind.endless]
        for client in clients:
            client.open(["silent"])
        polling = HttpConnection(TcpConnection(self.site.port, self.site.tls), HOST)
        polling.send("GET", "/channels/silent?transport=longpoll&wait=100")
        self.awaitEstablished(lambda count: count > len(clients))
        polling.tcp.close()
        for number, client in enumerate(clients):
            client.cut() if number * 2 < len(clients) else client.close()
        self.awaitEstablished(lambda count: count <= before + 1)

    def awaitEstablished(self, condition: Callable[[int], bool]) -> None:
        """
        Wait until the number of the server's connections meets a condition.
        """
        deadline = time.monotonic() + 10
        while not condition(count := self.established()):
            self.assertLess(time.monotonic(), deadline, f"{count} connections")
            time.sleep(0.05)

    def established(self) -> int:
        """
        Return the number of connections that the server has.
        """
        ports = {f"{port:04X}" for port in (self.comet.port, self.comet.tcpPort)}
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        found = [line.split() for line in lines]
        # The server's ends of the connections in state 1, which is established.
        return sum(1 for each in found if each[1].partition(":")[2] in ports and each[3] == "01")

    def test_draining(self) -> None:
        """
        When the server goes down, its close reaches readers through the proxy.
        """
        client = self.client(CLIENTS["stream"])
        client.open(["silent"])
        self.comet.terminate()
        self.assertEqual(client.untilClose().code, "draining")
        self.assertIn(self.comet.wait(), (0, -15))
