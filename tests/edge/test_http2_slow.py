"""
Tests of clients that do not read, over HTTP/2.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.edge.connections import Silence, Site
from tests.edge.envelopes import (
    BareCursor,
    Gap,
    Message,
    readPollBody,
)
from tests.edge.h2case import Http2TestCase, ask, linesOf
from tests.edge.publisher import headersOf, publish


class SlowTests(Http2TestCase):
    """
    Streams whose client does not open their windows.
    """

    timeout = 180

    def flood(self, site: Site, count: int) -> None:
        """
        Publish so many messages of 60 KB each, over one connection.
        """
        connection, headers = self.connect(site), headersOf(site)
        for n in range(count):
            body = json.dumps({"n": n, "filler": "x" * 60_000}).encode()
            self.assertEqual(
                connection.send("POST", "/channels/news", headers, body).answer().status, 201
            )

    def test_slow(self) -> None:
        """
        A stream with a closed window falls behind alone, and costs the server
        neither processor time nor memory.  When its window opens, it gets every
        message once, in order.
        """
        history = ("--history-messages", "3000", "--history-bytes", "100000000")
        server = self.startTls(*history)
        site = server.site
        connection = self.connect(site)
        slow = ask(connection, ["news"], "stream")
        slow.isOpenHanded = False
        others = [ask(connection, ["news"], "stream") for _ in range(5)]
        for stream in others:
            linesOf(stream, 1)
        known = [publish(site, "news", {"n": n, "filler": "x" * 9900}) for n in range(400)]
        for stream in others:
            heard = [event for event in linesOf(stream, 400) if isinstance(event, Message)]
            self.assertHeard(heard, known)
        self.assertLess(slow.received, 70_000)
        before = server.processor()
        time.sleep(1)
        self.assertLess(server.processor() - before, 0.3)
        connection.allow(slow, 10_000_000)
        connection.flush()
        first, *rest = linesOf(slow, 401)
        self.assertIsInstance(first, BareCursor)
        self.assertHeard(rest, known)
        known = [publish(site, "news", {"n": n}) for n in range(5)]
        self.assertHeard(linesOf(slow, 5), known)

    def test_lost(self) -> None:
        """
        A stream that has not taken messages before they fell off the log gets a
        gap.
        """
        server = self.startTls("--history-messages", "10")
        site = server.site
        connection = self.connect(site)
        slow = ask(connection, ["news"], "stream")
        slow.isOpenHanded = False
        slow.head()
        before = server.resident()
        self.flood(site, 300)
        self.assertLess(server.resident() - before, 20_000_000)
        connection.allow(slow, 10_000_000)
        connection.flush()
        events: list[Any] = []
        while not events or getattr(events[-1], "data", {}).get("n") != 299:
            events += linesOf(slow, 1)
        gaps = [place for place, event in enumerate(events) if isinstance(event, Gap)]
        self.assertEqual(len(gaps), 1)
        after = [event.data["n"] for event in events[gaps[0] + 1 :] if isinstance(event, Message)]
        self.assertEqual(after, list(range(290, 300)))

    def test_smaller(self) -> None:
        """
        A client may make all windows smaller than what the server has sent
        already, and larger again.
        """
        site = self.startTls().site
        connection = self.connect(site)
        streams = [ask(connection, ["news"], "stream") for _ in range(3)]
        for stream in streams:
            stream.isOpenHanded = False
            linesOf(stream, 1)
        known = [publish(site, "news", {"n": n, "filler": "x" * 9900}) for n in range(2)]
        for stream in streams:
            self.assertHeard(linesOf(stream, 2), known)
        for size in (10, 1_000_000):
            connection.h2.update_settings({4: size})
            connection.flush()
            self.assertEqual(connection.send("GET", "/health").head().status, 200)
            if size == 10:
                known = [publish(site, "news", {"n": n, "filler": "x" * 9900}) for n in range(20)]
                self.assertRaises(Silence, streams[0].piece, 0.3)
        for stream in streams:
            self.assertHeard(linesOf(stream, 20), known)

    def test_answers(self) -> None:
        """
        The server makes a bounded number of responses that the client does not
        take, and they are short.  When the client takes them, all come, and what was
        left out comes with their cursors.
        """
        server = self.startTls()
        site = server.site
        known = [publish(site, "news", "x" * 60_000) for _ in range(16)]
        connection, other = self.connect(site, window=1), self.connect(site)
        before = server.resident()
        streams = [ask(connection, ["news"], "poll", since="earliest") for _ in range(90)]
        for stream in streams:
            stream.isOpenHanded = False
        self.assertRaises(Silence, streams[-1].head, 1)
        self.assertLess(server.resident() - before, 20_000_000)
        for stream in streams:
            connection.allow(stream, 2_000_000)
        connection.flush()
        for stream in streams:
            heard = []
            body = readPollBody(stream.answer().body)
            while True:
                heard += [event for event in body.events if isinstance(event, Message)]
                self.assertEqual(body.cursor, heard[-1].cursor)
                if not body.more:
                    break
                rest = ask(other, ["news"], "poll", since=str(body.cursor))
                body = readPollBody(rest.answer().body)
            self.assertHeard(heard, known)

    def test_deaf(self) -> None:
        """
        The server keeps little for a client that does not read its socket,
        however large the windows are that the client has announced.
        """
        server = self.startTls("--history-messages", "10")
        site = server.site
        connections = [self.connect(site, 2**31 - 1, 8192) for _ in range(5)]
        for connection in connections:
            for _ in range(10):
                ask(connection, ["news"], "stream")
        self.flood(site, 20)
        before = server.resident()
        self.flood(site, 300)
        self.assertLess(server.resident() - before, 20_000_000)
        self.assertEqual(self.connect(site).send("GET", "/health").answer().status, 200)
