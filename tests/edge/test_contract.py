"""
Tests of what every transport promises, in every way to use it.  Start positions
and heartbeats are tested in L{tests.edge.test_starts}.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tests.edge.awkward import asText, awkwardLines
from tests.edge.capacity import isFull, take, until
from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import HttpConnection, TcpConnection, ask
from tests.edge.envelopes import BareCursor, Close, Gap, Message
from tests.edge.publisher import Published, publish, publishBatch, publishLines
from tests.edge.tls import authority
from tests.edge.ways import WAYS


class AwkwardTests(EdgeTestCase):
    """
    Awkward messages arrive unchanged.
    """

    def test_awkward(self) -> None:
        """
        Two hundred messages that contain the ends of lines, events, chunks,
        parts, scripts, pages and frames arrive in order, 150 of them held and
        50 live.
        """
        name = self.channel("c")
        connection = HttpConnection(TcpConnection(self.site.port, self.site.tls))
        self.addCleanup(connection.tcp.close)
        lines = awkwardLines(name, 200)
        start = publish(self.site, name, "start").cursor
        held = publishLines(connection, self.site, lines[:150])
        for client in self.each():
            inEnvelopes = client.name != "sse" or bool(client.variant % 2)
            own = [{**line, "channel": f"{name}{client.label}"} for line in lines[150:]]
            names = [name, own[0]["channel"]]
            if client.name == "sse" and inEnvelopes:
                client.open(names, str(start), envelope="1")
            else:
                client.open(names, str(start))
            heard = client.messages(150)
            live = publishLines(connection, self.site, own)
            heard += client.messages(50)
            sent = [*lines[:150], *own]
            self.assertAwkward(client, heard, held + live, sent, inEnvelopes)
            client.close()

    def assertAwkward(
        self,
        client: Client,
        heard: Sequence[Message],
        published: Sequence[Published],
        lines: Sequence[dict[str, Any]],
        inEnvelopes: bool,
    ) -> None:
        """
        Check that a reader heard exactly these lines.
        """
        for message, one, line in zip(heard, published, lines, strict=True):
            found = (message.cursor, message.data, message.event, message.encoding)
            event, encoding = line.get("event"), line.get("encoding")
            expected = (one.cursor, one.data, event, encoding)
            if client.name == "sse":
                # The type of an event is the message's event name, or else its
                # channel.
                event = event or line["channel"]
                expected = (one.cursor, one.data, message.event, encoding)
                if not inEnvelopes:
                    expected = (one.cursor, asText(one.data), event, None)
            self.assertEqual(found, expected, client.label)
            self.assertEqual(type(found[1]), type(expected[1]), client.label)


class GapTests(EdgeTestCase):
    """
    Readers that resume too late.
    """

    options: Sequence[str] = ("--open", "open/**", "--history-messages", "5")

    def test_gap(self) -> None:
        """
        A reader below the floor of one of its names gets one gap, before the
        held messages.
        """
        for client in self.each():
            a, b = (self.channel(end, of=client.label) for end in "ab")
            all_ = self.publish(a, 8)
            other = self.publish(b, 2)
            client.open([a, b], str(all_[0].cursor))
            gap = client.next()
            assert isinstance(gap, Gap), f"{client.label} begins with {gap}"
            self.assertEqual(gap.names, (a,), client.label)
            self.assertHeard(client.messages(7), all_[3:] + other)
            live = self.publish(b, 1)
            self.assertHeard(client.messages(1), live)
            client.close()


class SlowTests(EdgeTestCase):
    """
    Readers that do not read for a while.
    """

    options: Sequence[str] = ("--history-messages", "1000", "--history-bytes", "100000000")

    def test_behind(self) -> None:
        """
        A reader that takes nothing of 6 MB falls behind.  When it reads, it gets
        every message once and in order, and then the live ones.
        """
        clients = [
            self.take(way, receiveBuffer=8192, appetite=2**20) for way in WAYS if way.kind.endless
        ]
        name = self.channel("c")
        for client in clients:
            client.open([name])
            self.assertIsInstance(client.next(), BareCursor)
        connection = HttpConnection(TcpConnection(self.site.port, self.site.tls))
        self.addCleanup(connection.tcp.close)
        published: list[Published] = []
        for first in range(0, 100, 20):
            lines = [(name, [n, "x" * 60_000]) for n in range(first, first + 20)]
            published += publishBatch(connection, self.site, lines)
        for client in clients:
            self.assertHeard(client.messages(100, timeout=30), published)
        live = publishBatch(connection, self.site, [(name, n) for n in range(3)])
        for client in clients:
            self.assertHeard(client.messages(3), live)


class EndTests(EdgeTestCase):
    """
    The end of a reader.
    """

    def test_cutReaderIsForgotten(self) -> None:
        """
        A reader whose connection is cut is forgotten, and its place is free.
        """
        server = self.startServer("--max-connections", "1", secure=authority())
        for way in WAYS:
            if way.name != "poll":
                client = self.take(way, server.site)
                take(client)
                until(lambda: isFull(server), f"full with {way}")
                client.cut()
                until(lambda: not isFull(server), f"free after {way}")

    def test_serverGoesDown(self) -> None:
        """
        When the server goes down, each reader is told why and when to come
        back, and then its connection or stream is closed.
        """
        server = self.startServer("--drain", "3", secure=authority())
        clients = [self.take(way, server.site) for way in WAYS if way.name != "poll"]
        for client in clients:
            if client.endless:
                client.open(["news"])
                self.assertIsInstance(client.next(), BareCursor)
            else:
                client.open(["news"], wait="60")
        # The server answers this after it has read the requests before it.
        self.assertEqual(ask(server.site, "GET", "/health").status, 200)
        time.sleep(0.2)
        server.terminate()
        for client in clients:
            close = client.untilClose()
            assert isinstance(close, Close)
            self.assertEqual(close.code, "draining", client.label)
            assert close.retry is not None
            self.assertTrue(0 < close.retry <= 3, client.label)
            if client.endless:
                client.untilEnd()
            client.close()


class TwistedAwkwardTests(AwkwardTests):
    """
    Awkward messages arrive unchanged, on Twisted's edge alone.
    """

    options = (*AwkwardTests.options, "--edge", "twisted")


class TwistedGapTests(GapTests):
    """
    Readers that resume too late, on Twisted's edge alone.
    """

    options = (*GapTests.options, "--edge", "twisted")


class TwistedSlowTests(SlowTests):
    """
    Readers that do not read for a while, on Twisted's edge alone.
    """

    options = (*SlowTests.options, "--edge", "twisted")


class SecureAwkwardTests(AwkwardTests):
    """
    Awkward messages arrive unchanged, through TLS.
    """

    isSecure = True


class SecureGapTests(GapTests):
    """
    Readers that resume too late, through TLS.
    """

    isSecure = True


class SecureSlowTests(SlowTests):
    """
    Readers that do not read for a while, through TLS.
    """

    isSecure = True
