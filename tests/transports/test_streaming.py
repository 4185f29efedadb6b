"""
Tests of L{comet.transports.streaming}: what all streams over HTTP share.
"""

from __future__ import annotations

import gc
import re
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.web.http import HTTPChannel

from comet.fanout.streams import LAST_WORDS, STALLED
from comet.http.responses import ENDLESS
from comet.web.boundedrequest import BoundedRequest
from tests.framing.readers import ChunkReader, LinesReader
from tests.transports.case import HubTestCase, get, readHead, readResponse
from tests.transports.wire import Wire


class StreamingTests(HubTestCase):
    """
    A response that does not end, here that of C{stream}.
    """

    def open(self, query: str = "", *headers: str, version: str = "1.1") -> Wire:
        """
        Begin to read.
        """
        wire = self.connect()
        wire.send(get(f"/channels/news?transport=stream&{query}", *headers, version=version))
        return wire

    def read(self, wire: Wire) -> list[Any]:
        """
        Return what has arrived after the head.
        """
        lines, chunks = LinesReader(), ChunkReader()
        chunks.feed(wire.take())
        lines.feed(chunks.body)
        self.assertEqual(lines.rest, b"")
        return lines.values

    def test_writesHead(self) -> None:
        """
        The head keeps proxies from buffering, and says that the connection is
        used up.
        """
        wire = self.open()
        response = readHead(wire.take())
        self.assertEqual(response.status, 200)
        for name, value in ENDLESS:
            self.assertEqual(response.header(name.decode()), value.decode())
        self.assertEqual(response.header("Content-Type"), "application/x-ndjson")
        self.assertEqual(response.header("Transfer-Encoding"), "chunked")
        self.assertEqual(response.header("Connection"), "close")
        self.assertEqual(response.header("Content-Length"), None)
        self.assertRegex(response.header("Date") or "", r"^\w{3}, \d\d \w{3} \d{4} .* GMT$")

    def test_anySplit(self) -> None:
        """
        The response does not depend on how TCP cuts the request.
        """
        self.publish("news", 1)
        request = get("/channels/news?transport=stream&since=-1", "Accept: */*")
        answers = set()
        for size in range(1, len(request)):
            wire = self.connect()
            wire.sendIn(size, request)
            # The date may change between two requests.
            answers.add(re.sub(rb"\r\nDate: [^\r]*", b"", wire.take()))
        self.assertEqual(len(answers), 1)

    def test_joinsHeadAndTurn(self) -> None:
        """
        The head is sent together with the reader's cursor; messages of one turn
        are sent in one chunk.
        """
        wire = self.open()
        body = readHead(wire.take()).body
        self.assertEqual(body.count(b"\r\n"), 2)
        self.publish("news", 1, 2, 3)
        chunks = ChunkReader()
        chunks.feed(wire.take())
        self.assertEqual(len(chunks.sizes), 1)

    def test_doesNotChunkHTTP10(self) -> None:
        """
        For HTTP/1.0 the response is not chunked, and ends with the connection.
        """
        wire = self.open(version="1.0")
        response = readHead(wire.take())
        self.assertEqual(response.header("Transfer-Encoding"), None)
        self.publish("news", "hello")
        self.hub.drain(10)
        lines = LinesReader()
        lines.feed(response.body + wire.take())
        self.assertEqual([list(value) for value in lines.values][-1], ["cursor", "close"])
        self.assertEqual(lines.values[1]["data"], "hello")
        self.assertFalse(wire.isOpen)

    def test_writesHeartbeat(self) -> None:
        """
        A heartbeat with the reader's cursor is sent after some seconds of
        silence.
        """
        wire = self.open()
        wire.take()
        self.turn(24.8)
        self.assertEqual(wire.take(), b"")
        self.publish("other", 1)
        self.turn(0.4)
        self.assertEqual(self.read(wire), [{"cursor": str(self.hub.end)}])
        self.turn(20)
        self.publish("news", 1)
        wire.take()
        self.turn(20)
        self.assertEqual(wire.take(), b"")
        self.turn(6)
        self.assertEqual(self.read(wire), [{"cursor": str(self.hub.end)}])

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves is forgotten.
        """
        wire = self.open()
        self.assertEqual(len(self.hub.fanout.readers), 1)
        wire.leave()
        self.assertNothingLeft()

    def test_discardsInput(self) -> None:
        """
        What the client sends later is discarded and not answered, however much
        it is; its leaving is noticed.
        """
        for packets in (1, 100):
            wire = self.open()
            wire.take()
            wire.send(*[get("/health") * 100] * packets)
            self.assertEqual(wire.take(), b"")
            self.assertTrue(wire.transport.isReading)
            wire.leave()
        self.assertNothingLeft()

    def test_discardsInputWithRequest(self) -> None:
        """
        What the client sends together with its request is discarded.
        """
        wire = self.connect()
        wire.send(get("/channels/news?transport=stream") + b"x" * 60000)
        self.assertEqual(readHead(wire.take()).status, 200)
        self.assertTrue(wire.transport.isReading)
        wire.leave()
        self.assertNothingLeft()

    def test_streamsAfterOtherRequests(self) -> None:
        """
        A connection that has served other requests, or still has a hold, may
        end in a stream.
        """
        wire = self.connect()
        wire.send(get("/health") + get("/channels/a") + get("/channels/b?transport=stream"))
        first = readResponse(wire.take())
        self.assertEqual((first.json, first.rest), ({"ready": True}, b""))
        self.publish("a", 1)
        second = readResponse(wire.take())
        self.assertEqual(readHead(second.rest).header("Content-Type"), "application/x-ndjson")
        self.publish("b", 2)
        self.assertEqual([v["data"] for v in self.read(wire)], [2])
        self.turn(100)
        self.assertTrue(wire.isOpen)
        wire.leave()
        self.assertNothingLeft()

    def test_slowClientCatchesUp(self) -> None:
        """
        For a client that does not read, nothing is kept but what was written
        already; when it reads again it gets all messages once, in order.
        """
        wire = self.open()
        wire.take()
        wire.transport.isStuck = True
        known = []
        for _ in range(500):
            known += self.publish("news", "x" * 900)
        self.assertLess(len(wire.transport.unsent), 256 * 1024)
        wire.transport.isStuck = False
        for _ in range(10):
            self.turn()
        values = self.read(wire)
        self.assertEqual([value["cursor"] for value in values], known)

    def test_cutsStalledClient(self) -> None:
        """
        A client that takes nothing for long is cut off.
        """
        wire = self.open()
        wire.take()
        wire.transport.isStuck = True
        for _ in range(100):
            self.publish("news", "x" * 900)
        for _ in range(int(STALLED // 25) + 2):
            self.turn(25)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_endsWhenDraining(self) -> None:
        """
        When the server drains, the response ends as HTTP demands; a client that
        does not take that is cut off.
        """
        wire, stuck = self.open(), self.open()
        wire.take()
        stuck.transport.isStuck = True
        done = self.hub.drain(20)
        chunks, lines = ChunkReader(), LinesReader()
        chunks.feed(wire.take())
        self.assertTrue(chunks.ended)
        lines.feed(chunks.body)
        (value,) = lines.values
        self.assertEqual((value["cursor"], value["close"]["code"]), (str(self.hub.end), "draining"))
        self.assertFalse(wire.isOpen)
        self.assertNoResult(done)
        self.assertTrue(stuck.isOpen)
        self.turn(LAST_WORDS + 0.2)
        self.assertFalse(stuck.isOpen)
        self.successResultOf(done)
        self.assertNothingLeft()

    def test_reportsErrorBeforeHead(self) -> None:
        """
        An error before the head is an error response, and the connection serves
        on.
        """
        wire = self.open("since=rubbish")
        self.assertProblem(readResponse(wire.take()), 400, "badCursor")
        wire.send(get("/health"))
        self.assertEqual(readResponse(wire.take()).status, 200)
        self.hub.drain(10)
        self.assertProblem(readResponse(self.open().take()), 503, "unavailable")

    def test_reportsErrorInStream(self) -> None:
        """
        An error after the connection was detached is reported in the stream,
        which ends.
        """
        located: Deferred[Any] = Deferred()
        self.patch(self.bus, "resolve", lambda names: located)
        wire = self.open()
        self.assertEqual(wire.take(), b"")
        located.errback(ZeroDivisionError("a secret"))
        wire.settle()
        response = readResponse(wire.take())
        close = LinesReader()
        close.feed(response.body)
        self.assertEqual(close.values[0]["close"]["code"], "internal")
        self.assertNotIn(b"secret", response.body)
        self.assertFalse(wire.isOpen)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertNothingLeft()

    def test_forgetsClientThatLeavesEarly(self) -> None:
        """
        A client that leaves before its start position is resolved is forgotten.
        """
        located: Deferred[Any] = Deferred()
        resolve = self.bus.resolve
        self.patch(self.bus, "resolve", lambda names: located)
        wire = self.open()
        wire.leave()
        located.callback(self.successResultOf(resolve({})))
        self.assertNothingLeft()


class ForgottenTests(HubTestCase):
    """
    What is kept after the head was sent.
    """

    def test_freesRequest(self) -> None:
        """
        The request and its channel are freed at once, without the collector.
        """
        kept: list[ref[Any]] = []

        class Watched(BoundedRequest):
            def __init__(self, channel: HTTPChannel, *args: Any) -> None:
                super().__init__(channel, *args)
                kept.extend([ref(self), ref(channel)])

        self.patch(self.site, "requestFactory", Watched)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for transport in ("stream", "sse"):
            for more in (b"", b"GET / HTTP"):
                wire = self.connect()
                wire.send(get(f"/channels/news?transport={transport}") + more)
                self.assertEqual(readHead(wire.take()).status, 200)
        self.assertEqual([each() for each in kept], [None] * 8)
