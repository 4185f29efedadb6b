"""
Tests of all requests over HTTP/2.
"""

from __future__ import annotations

import json
import signal
import time

from h2.errors import ErrorCodes
from hyperframe.frame import (
    GoAwayFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from comet.web.http2.budgets import MAX_FRAMES
from tests.edge.connections import PATIENCE, Ended, HttpConnection, Silence, Site, TcpConnection
from tests.edge.envelopes import (
    BareCursor,
    Close,
    Message,
    problemOf,
    readPollBody,
)
from tests.edge.h2case import Http2TestCase, ask, linesOf
from tests.edge.h2client import OVER_HTTP2
from tests.edge.publisher import Publisher, headersOf, publish, readPublished


class ReadingTests(Http2TestCase):
    """
    Readers on all transports except WebSocket and raw TCP.
    """

    def test_transports(self) -> None:
        """
        Each transport delivers held and live messages, small and large; the
        cursor of one transport is the start of the next.
        """
        site = self.startTls().site
        held = [publish(site, "news", {"n": n, "filler": "x" * 60000}) for n in range(10)]
        for kind in OVER_HTTP2.values():
            for variant in (0, 1):
                client = kind(site, variant=variant)
                self.addCleanup(client.close)
                client.open(["news"], str(held[0].cursor))
                self.assertHeard(client.messages(len(held) - 1), held[1:])
                held.append(publish(site, "news", {"n": len(held)}))
                self.assertHeard(client.messages(1), held[-1:])
                client.cut()

    def test_publishing(self) -> None:
        """
        Each transport delivers all messages that are published meanwhile, in
        every way to publish.
        """
        site = self.startTls().site
        start = publish(site, "open/a", 0)
        clients = [kind(site) for kind in OVER_HTTP2.values()]
        for client in clients:
            self.addCleanup(client.close)
            client.open(["open/*"], str(start.cursor))
        publisher = Publisher(site, ["open/a", "open/b"])
        publisher.start()
        try:
            heard = [client.messages(60) for client in clients]
        finally:
            published = publisher.stop()
        for messages in heard:
            self.assertHeard(messages, published[:60])

    def test_webSocket(self) -> None:
        """
        A request for a WebSocket is refused with a reason, and the connection
        goes on.
        """
        site = self.startTls().site
        connection = self.connect(site)
        version = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AQIDBAUGBwgJCgsMDQ4PEA=="}
        for target in ("/socket", "/channels/news?transport=websocket"):
            for headers in ({}, version):
                answer = connection.send("GET", target, headers).answer()
                code = problemOf(answer.status, answer.headers, answer.body)
                self.assertEqual((answer.status, code), (400, "badRequest"))
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def test_clientWithoutHTTP2(self) -> None:
        """
        A client that does not offer HTTP/2 is served over HTTP/1.1.
        """
        site = self.startTls().site
        connection = HttpConnection(TcpConnection(site.port, site.tls))
        self.addCleanup(connection.tcp.close)
        connection.send("GET", "/health")
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(self.connect(site).send("GET", "/health").answer().status, 200)


class PublishingTests(Http2TestCase):
    """
    Publications and other single requests.
    """

    def test_answers(self) -> None:
        """
        Publications of one message and of many, C{HEAD}, C{304}, C{OPTIONS},
        C{DELETE} and errors are answered as over HTTP/1.1.
        """
        site = self.startTls().site
        connection = self.connect(site)
        headers = headersOf(site)
        answer = connection.send("POST", "/channels/a,b", headers, b'{"n":1}').answer()
        cursor = max(readPublished(answer, ["a", "b"]).values())
        lines = b"".join(b'{"channel":"a","data":%d}\n' % n for n in range(500))
        batch = {**headers, "Content-Type": "application/x-ndjson"}
        answer = connection.send("POST", "/publish", batch, lines).answer()
        self.assertEqual(answer.status, 201)
        self.assertEqual(len(json.loads(answer.body)["cursors"]), 500)
        tag = f'"{json.loads(answer.body)["cursor"]}"'
        answer = connection.send("HEAD", "/channels/a").answer()
        self.assertEqual((answer.status, answer.headers["etag"], answer.body), (200, tag, b""))
        same = {"If-None-Match": tag}
        answer = connection.send("GET", "/channels/a?transport=poll", same).answer()
        self.assertEqual((answer.status, answer.headers["etag"], answer.body), (304, tag, b""))
        answer = connection.send("OPTIONS", "/channels/a", {"Origin": "https://x.example"}).answer()
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(connection.send("DELETE", "/channels/b", headers).answer().status, 204)
        answer = connection.send("GET", f"/channels/b?transport=poll&since={cursor}").answer()
        self.assertEqual(len(readPollBody(answer.body).events), 1)

    def test_errors(self) -> None:
        """
        An error is answered on its stream, and the connection goes on.
        """
        site = self.startTls().site
        connection = self.connect(site)
        headers = headersOf(site)
        wrong = {"Host": "evil.example"}
        foreign = {**headers, "Origin": "https://evil.example"}
        for expected, method, target, given, body in (
            ((400, "badChannel"), "GET", "/channels/a**", {}, None),
            ((400, "badCursor"), "GET", "/channels/a?since=x!&transport=stream", {}, None),
            ((400, "badMessage"), "POST", "/channels/a", headers, b"{"),
            ((401, "unauthorized"), "GET", "/channels/a", {"Authorization": "Bearer x"}, None),
            ((401, "unauthorized"), "POST", "/channels/a", {}, b"x"),
            ((403, "forbidden"), "POST", "/channels/a", foreign, b"x"),
            ((404, "notFound"), "GET", "/nothing", {}, None),
            ((405, "methodNotAllowed"), "PATCH", "/channels/a", headers, b"x"),
            ((413, "tooLarge"), "POST", "/channels/a", headers, b'"%b"' % (b"x" * 100_000)),
            ((421, "wrongHost"), "GET", "/channels/a", wrong, None),
        ):
            answer = connection.send(method, target, given, body).answer()
            code = problemOf(answer.status, answer.headers, answer.body)
            self.assertEqual((answer.status, code), expected)
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def test_bodies(self) -> None:
        """
        A body may come in pieces, without a length, or after a 100.  A body that
        is too large is refused before or after it has come, and the connection
        goes on.
        """
        site = self.startTls().site
        connection = self.connect(site)
        headers = headersOf(site)
        stream = connection.send("POST", "/channels/a", headers, b'["', isWhole=False)
        for _ in range(60):
            connection.sendBody(stream, b"x" * 1000, isWhole=False)
        connection.sendBody(stream, b'"]')
        readPublished(stream.answer(), ["a"])
        asking = {**headers, "Expect": "100-continue"}
        stream = connection.send("POST", "/channels/a", asking, isWhole=False)
        while not stream.isContinued:
            connection.pump(5)
        connection.sendBody(stream, b"7")
        readPublished(stream.answer(), ["a"])
        for more in ({}, {"Expect": "100-continue"}):
            given = {**headers, **more, "Content-Length": str(10**9)}
            stream = connection.send("POST", "/channels/a", given, isWhole=False)
            answer = stream.answer()
            self.assertFalse(stream.isContinued)
            code = problemOf(answer.status, answer.headers, answer.body)
            self.assertEqual((answer.status, code), (413, "tooLarge"))
        batch = {**headers, "Content-Type": "application/x-ndjson"}
        stream = connection.send("POST", "/publish", batch, isWhole=False)
        connection.sendBody(stream, b" " * 5_000_000)
        self.assertEqual(stream.answer().status, 413)
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def test_bodiesWithoutRight(self) -> None:
        """
        Bodies of a client that may not publish what they say cost the server no
        memory; the client is told with the first line.
        """
        server = self.startTls()
        connection = self.connect(server.site)
        before = server.resident()
        kind = {"Content-Type": "application/x-ndjson"}
        streams = [connection.send("POST", "/publish", kind, isWhole=False) for _ in range(20)]
        lines = b'{"channel":"a","data":"%b"}\n' % (b"x" * 3000) * 990
        for stream in streams:
            connection.sendBody(stream, lines, isWhole=False)
            self.assertEqual(stream.answer().status, 401)
        self.assertLess(server.resident() - before, 8_000_000)
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def test_manyBodies(self) -> None:
        """
        Bodies that never end take a bounded amount of memory together: the
        server refuses some, which the client may send again.
        """
        server = self.startTls()
        connection = self.connect(server.site)
        before = server.resident()
        headers = {**headersOf(server.site), "Content-Type": "application/x-ndjson"}
        streams = [connection.send("POST", "/publish", headers, isWhole=False) for _ in range(20)]
        lines = b'{"channel":"a","data":"%b"}\n' % (b"x" * 3000) * 990
        for stream in streams:
            connection.sendBody(stream, lines, isWhole=False)
        self.assertIn(7, {stream.code for stream in streams})
        self.assertLess(server.resident() - before, 40_000_000)
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)


class FloodTests(Http2TestCase):
    """
    Many frames that carry nothing.
    """

    def test_floods(self) -> None:
        """
        A client that sends them without end is told to calm down, and the others
        are served.
        """
        site = self.startTls().site
        for made in (
            PingFrame(0, b"12345678"),
            SettingsFrame(0, {0x7777: 1}),
            WindowUpdateFrame(0, window_increment=1),
            PriorityFrame(1),
        ):
            connection, other = self.connect(site), self.connect(site)
            stream = ask(connection, ["news"], "stream")
            linesOf(stream, 1)
            connection.pipe.send(made.serialize() * (int(MAX_FRAMES) * 3))
            connection.untilEnd()
            self.assertEqual(connection.goodbye, ErrorCodes.ENHANCE_YOUR_CALM)
            self.assertEqual(other.send("GET", "/health").answer().status, 200)

    def test_download(self) -> None:
        """
        A client whose windows are small opens both of them many thousand times
        while it reads.
        """
        site = self.startTls().site
        for _ in range(4):
            last = publish(site, "news", "x" * 60_000)
        connection = self.connect(site, window=100)
        stream = ask(connection, ["news"], "poll", since="earliest")
        stream.isOpenHanded = False
        read = 0
        while not stream.isEnded:
            connection.pump(PATIENCE)
            while read < stream.received:
                size = min(stream.received - read, 100)
                connection.allow(stream, size)
                connection.h2.increment_flow_control_window(1)
                read += size
            connection.flush()
        self.assertGreater(len(connection.frames), 2 * MAX_FRAMES)
        body = readPollBody(stream.answer().body)
        self.assertEqual((body.cursor, len(body.events)), (last.cursor, 5))


class StreamsTests(Http2TestCase):
    """
    Many streams on one connection.
    """

    def test_manyPolls(self) -> None:
        """
        Twenty polls are held at once on one connection.  A message answers those
        of its channel; those of other channels stay held.
        """
        site = self.startTls().site
        connection = self.connect(site)
        held = [ask(connection, [f"c/{n % 2}"], "longpoll", wait="60") for n in range(20)]
        self.assertRaises(Silence, held[0].head, 0.3)
        for channel in (0, 1):
            one = publish(site, f"c/{channel}", {"n": channel})
            for stream in held[channel::2]:
                events = readPollBody(stream.answer().body).events
                heard = [event for event in events if isinstance(event, Message)]
                self.assertHeard(heard, [one])
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def test_reset(self) -> None:
        """
        A stream that its client resets is forgotten, be it a held poll or an
        endless response, and the others go on.
        """
        server = self.startTls("--max-connections", "3")
        site = server.site
        connection = self.connect(site)
        stays = ask(connection, ["news"], "stream")
        linesOf(stays, 1)
        for transport in ("stream", "sse", "longpoll", "multipart", "iframe", "jsonp") * 5:
            extra = {"callback": "f"} if transport == "jsonp" else {}
            pair = [ask(connection, ["news"], transport, wait="60", **extra) for _ in range(2)]
            full = ask(connection, ["news"], "stream").answer()
            self.assertEqual(full.status, 429)
            for stream in pair:
                connection.reset(stream)
        published = [publish(site, "news", {"n": n}) for n in range(3)]
        heard = [event for event in linesOf(stays, 3) if isinstance(event, Message)]
        self.assertHeard(heard, published)

    def test_leaving(self) -> None:
        """
        When a connection is lost, all its readers are forgotten.
        """
        server = self.startTls("--max-connections", "5")
        site = server.site
        for way in ("cut", "close") * 3:
            connection = self.connect(site)
            streams = [ask(connection, ["news"], "sse") for _ in range(3)]
            streams += [ask(connection, ["news"], "longpoll", wait="60") for _ in range(2)]
            for stream in streams[:3]:
                # The server may not have noticed that the last one left.
                self.assertEqual(stream.head().status, 200)
                self.assertNotIn(b"$close", stream.piece())
            (connection.pipe.cut if way == "cut" else connection.pipe.close)()
            self.untilFree(site)
        connection = self.connect(site)
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def untilFree(self, site: Site) -> None:
        """
        Wait until the server has no reader.
        """
        connection = self.connect(site)
        deadline = time.monotonic() + 5
        while True:
            streams = [ask(connection, ["x"], "stream") for _ in range(5)]
            found = [stream.head().status for stream in streams]
            for stream in streams:
                connection.reset(stream) if not stream.isEnded else None
            if found == [200] * 5:
                connection.pipe.close()
                time.sleep(0.1)
                return
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_faults(self) -> None:
        """
        A malformed request and a body of another length than declared end their
        own streams only, and nothing of them is published.
        """
        site = self.startTls().site
        connection = self.connect(site)
        stays = ask(connection, ["news"], "stream")
        linesOf(stays, 1)
        # Let this client send what h2 would refuse to.
        connection.h2.config.validate_outbound_headers = False
        connection.h2.config.normalize_outbound_headers = False
        headers = {**headersOf(site), "content-length": "9"}
        for n in range(10):
            bad = [
                connection.send("GET", "/health", {"connection": "keep-alive"}),
                connection.send("GET", "/health", {"te": "gzip"}),
                connection.send("GET", "/health", {":bad": "1"}),
                connection.send("POST", "/channels/news", headers),
            ]
            for stream in bad:
                self.assertRaises(Ended, stream.answer)
                self.assertEqual(stream.code, 1)
            one = publish(site, "news", {"n": n})
            heard = [event for event in linesOf(stays, 1) if isinstance(event, Message)]
            self.assertHeard(heard, [one])
        self.assertEqual(connection.send("GET", "/health").answer().status, 200)

    def test_goodbye(self) -> None:
        """
        A client that says that it begins no more streams gets the response that
        it waits for; then the connection is closed.
        """
        site = self.startTls().site
        connection = self.connect(site)
        held = ask(connection, ["news"], "longpoll", wait="60")
        self.assertRaises(Silence, held.head, 0.3)
        # h2 itself would read no response after its own GOAWAY.
        connection.pipe.send(GoAwayFrame(0).serialize())
        self.assertRaises(Silence, held.head, 0.3)
        one = publish(site, "news", 1)
        events = readPollBody(held.answer().body).events
        self.assertHeard([event for event in events if isinstance(event, Message)], [one])
        connection.untilEnd()
        self.assertEqual(connection.goodbye, 0)

    def test_heartbeats(self) -> None:
        """
        Each stream gets heartbeats of its own.
        """
        server = self.startTls("--heartbeat", "1")
        connection = self.connect(server.site)
        streams = [ask(connection, ["news"], "stream") for _ in range(3)]
        for stream in streams:
            for event in linesOf(stream, 3):
                self.assertIsInstance(event, BareCursor)

    def test_drain(self) -> None:
        """
        When the server goes down, each stream gets a close and ends; then the
        connection is closed without an error.
        """
        server = self.startTls("--drain", "8")
        connection = self.connect(server.site)
        idle = self.connect(server.site)
        self.assertEqual(idle.send("GET", "/health").answer().status, 200)
        streams = [ask(connection, ["news"], "stream") for _ in range(10)]
        polls = [ask(connection, ["news"], "longpoll", wait="60") for _ in range(10)]
        for stream in streams:
            linesOf(stream, 1)
        publish(server.site, "other", 1)
        server.terminate()
        for stream in streams:
            (event,) = linesOf(stream, 1)
            assert isinstance(event, Close)
            self.assertEqual(event.code, "draining")
            self.assertEqual(stream.piece(), b"")
        for stream in polls:
            found = readPollBody(stream.answer().body).events[-1]
            assert isinstance(found, Close)
            self.assertEqual(found.code, "draining")
        for each in (connection, idle):
            each.untilEnd()
            self.assertEqual(each.goodbye, 0)
            each.close()
        self.assertIn(server.wait(2), (0, -signal.SIGTERM))

    def test_drainDeaf(self) -> None:
        """
        A client that reads nothing cannot keep the server from ending.
        """
        server = self.startTls("--drain", "1")
        connection = self.connect(server.site, window=1)
        for _ in range(5):
            ask(connection, ["news"], "stream").isOpenHanded = False
        publish(server.site, "news", "x" * 60000)
        server.terminate()
        self.assertIn(server.wait(8), (0, -signal.SIGTERM))
