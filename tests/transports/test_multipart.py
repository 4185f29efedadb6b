"""
Tests of L{comet.transports.multipart}.
"""

from __future__ import annotations

import json

from twisted.web.resource import Resource

from comet.framing.multipart import BOUNDARY
from comet.transports.multipart import MultipartResource
from tests.framing.browsers import HOSTILE, PartsReader
from tests.framing.readers import ChunkReader
from tests.transports.case import COMMON, HubTestCase, cursors, get, readHead

TYPE = "multipart/x-mixed-replace; boundary=" + BOUNDARY.decode("ascii")


class MultipartTests(HubTestCase):
    """
    One response, an envelope a part.
    """

    def test_writesParts(self) -> None:
        """
        The first part has the reader's cursor, then come the messages that are
        held, then new ones.  Each part is complete at once, until the stream
        ends.
        """
        start = str(self.hub.end)
        held = self.publish("news", {"a": "<b>"}, *HOSTILE)
        wires = []
        for query, accept in (
            ("transport=multipart", "*/*"),
            ("", "multipart/x-mixed-replace"),
            ("", "text/html, multipart/mixed;q=0.5"),
        ):
            wire = self.connect()
            wire.send(get(f"/channels/news?since={start}&{query}", f"Accept: {accept}"))
            wires.append(wire)
        self.turn()
        for wire in wires:
            response = readHead(wire.take())
            self.assertEqual(response.header("Content-Type"), TYPE)
            self.assertEqual(response.header("X-Accel-Buffering"), "no")
            for name, values in COMMON.items():
                self.assertEqual(response.headers[name], values)
            live = self.publish("news", 3)
            chunks, parts = ChunkReader(), PartsReader(BOUNDARY)
            chunks.feed(response.body + wire.take())
            parts.feed(chunks.body)
            told = [json.loads(part.body) for part in parts.parts]
            self.assertEqual(cursors(told), [start, *held, *live])
            held += live
            self.assertEqual(told[1]["data"], {"a": "<b>"})
            self.assertFalse(parts.ended)
            wire.leave()
        self.assertNothingLeft()

    def test_saysWhyItEnds(self) -> None:
        """
        The last part says why the stream ends.
        """
        wire = self.connect()
        wire.send(get("/channels/news?transport=multipart", version="1.0"))
        self.hub.drain(10)
        parts = PartsReader(BOUNDARY)
        parts.feed(readHead(wire.take()).body)
        first, last = (json.loads(part.body) for part in parts.parts)
        self.assertEqual((list(first), last["close"]["code"]), (["cursor"], "draining"))
        self.assertTrue(parts.ended)
        self.assertFalse(wire.isOpen)

    def test_sharesBytes(self) -> None:
        """
        Readers of one group are written the same bytes object.
        """
        root = Resource()
        root.putChild(b"parts", MultipartResource(self.hub))
        wires = [self.connect(self.makeSite(root)) for _ in range(3)]
        for wire, query in zip(wires, ("", "", "?time=1"), strict=True):
            wire.send(get(f"/parts/a{query}"))
            wire.take()
        self.publish("a", 1)
        first, second, timed = (wire.take() for wire in wires)
        self.assertEqual(first, second)
        self.assertIn(b'"time":', timed)
        self.assertNotIn(b'"time":', first)
