"""
Tests of L{comet.transports.stream}.
"""

from __future__ import annotations

from comet.transports.stream import StreamResource
from tests.framing.readers import ChunkReader, LinesReader
from tests.transports.case import HubTestCase, get, readHead


class StreamTests(HubTestCase):
    """
    One response, an envelope a line.
    """

    def test_writesLines(self) -> None:
        """
        The first line has the reader's cursor, then come the messages that are
        held, then new ones.
        """
        start = str(self.hub.end)
        held = self.publish("news", {"a": "<b>"}, "line\nbreak")
        for query, accept in (("&transport=stream", "*/*"), ("", "application/x-ndjson")):
            wire = self.connect()
            wire.send(get(f"/channels/news?since={start}{query}", f"Accept: {accept}"))
            self.turn()
            response = readHead(wire.take())
            self.assertEqual(response.header("Content-Type"), "application/x-ndjson")
            live = self.publish("news", 3)
            chunks, lines = ChunkReader(), LinesReader()
            chunks.feed(response.body + wire.take())
            lines.feed(chunks.body)
            told = [value["cursor"] for value in lines.values]
            self.assertEqual(told, [start, *held, *live])
            self.assertEqual(lines.values[0], {"cursor": start})
            self.assertEqual([v["data"] for v in lines.values[1:3]], [{"a": "<b>"}, "line\nbreak"])
            held += live

    def test_tellsTimeOnRequest(self) -> None:
        """
        Readers with and without C{time} each get what they asked for.
        """
        wires = [self.connect(), self.connect()]
        for wire, query in zip(wires, ("time=0", "time=1"), strict=True):
            wire.send(get(f"/channels/news?transport=stream&{query}"))
            wire.take()
        self.publish("news", 1)
        plain, timed = (wire.take() for wire in wires)
        self.assertNotIn(b"time", plain)
        self.assertIn(b'"time":1000', timed)

    def test_writesProbe(self) -> None:
        """
        A client that asks for a probe is told its cursor once more, half a
        second after the beginning; other clients are not.
        """
        wires = [self.connect(), self.connect()]
        for wire, query in zip(wires, ("probe=1", "probe=0"), strict=True):
            wire.send(get(f"/channels/news?transport=stream&{query}"))
            self.turn()
            wire.take()
        self.clock.advance(0.25)
        self.assertEqual(wires[0].take(), b"")
        self.clock.advance(0.5)
        told = wires[0].take()
        self.assertIn(b'{"cursor":"%s"}' % str(self.hub.end).encode(), told)
        self.assertEqual(told.count(b"cursor"), 1)
        self.assertEqual(wires[1].take(), b"")
        self.clock.advance(1)
        self.assertEqual(wires[0].take(), b"")

    def test_reportsGapFirst(self) -> None:
        """
        A gap at the start position is reported first.
        """
        known = self.publish("news", 1)
        wire = self.connect()
        wire.send(get("/channels/news?transport=stream&since=zzzzzz-9"))
        chunks, lines = ChunkReader(), LinesReader()
        chunks.feed(readHead(wire.take()).body)
        lines.feed(chunks.body)
        self.assertEqual(lines.values[0]["gap"], ["news"])
        self.assertEqual([v["cursor"] for v in lines.values[1:]], known)

    def test_servesAtAnyPath(self) -> None:
        """
        The resource serves alone, and answers only C{GET}.
        """
        site = self.makePlainSite(StreamResource(self.hub))
        wire = self.connect(site)
        wire.send(get("/a,b/*"))
        self.assertEqual(readHead(wire.take()).status, 200)
        response = self.ask(get("/a", method="HEAD"), site)
        self.assertEqual((response.status, response.header("Allow")), (405, "GET, OPTIONS"))
