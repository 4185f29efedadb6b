"""
Tests of L{comet.web.http2.connections}.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any
from weakref import ref

from h2.errors import ErrorCodes
from hyperframe.frame import PingFrame, RstStreamFrame, WindowUpdateFrame
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.web.http import Request

from comet.bus.memory.bus import MemoryBus
from comet.errors import Unavailable
from comet.fanout.streams import STALLED
from comet.model.messages import Published
from comet.web.http2 import framereceiver
from comet.web.http2.budgets import MAX_RESETS, RESETS_PER_SECOND
from comet.web.http2.connections import LAST_WORDS, HTTP2Connection
from comet.web.http2.connectionstates import ConnectionStates
from comet.web.http2.frames import Kind
from comet.web.http2.framesender import MAX_UNSENT_FRAMES
from comet.web.http2.http2stream import HIGH_WATER_MARK
from comet.web.site import IDLE_TIMEOUT
from tests.edge.connections import Ended, Silence
from tests.edge.envelopes import readPollBody
from tests.edge.h2client import Http2Stream
from tests.web.http2.case import Http2TestCase, RawTestCase
from tests.web.http2.rawclient import frame, request

POLL = "/channels/news?transport=poll&since=earliest"
HELD = "/channels/news?wait=300"
STREAM = "/channels/news?transport=stream"
EVERY = b"/channels/**?transport=poll&since=earliest"
KEY = {"Authorization": "Bearer 0123456789abcdef"}


class IdleTests(Http2TestCase):
    """
    When a connection is closed without a request of its client.
    """

    def test_closesIdleConnection(self) -> None:
        """
        A connection without a request is closed after a minute, without an
        error code.
        """
        http2, wire = self.open()
        self.turn(IDLE_TIMEOUT - 1)
        self.assertEqual(http2.send("GET", "/health").answer().status, 200)
        self.turn(IDLE_TIMEOUT - 1)
        self.assertTrue(wire.isOpen)
        self.turn(2)
        http2.untilEnd()
        self.assertEqual(http2.goodbye, ErrorCodes.NO_ERROR)
        self.assertNothingLeft()

    def test_keepsHeldPoll(self) -> None:
        """
        A poll may be held for longer than a connection may be idle; that long after
        its response
        the connection is closed.
        """
        http2, wire = self.open()
        held = http2.send("GET", HELD)
        self.assertRaises(Silence, held.head)
        for _ in range(4):
            self.turn(IDLE_TIMEOUT - 11)
        self.assertTrue(wire.isOpen)
        (cursor,) = self.publish("news", 1)
        self.assertEqual(str(readPollBody(held.answer().body).cursor), cursor)
        self.turn(IDLE_TIMEOUT - 1)
        self.assertTrue(wire.isOpen)
        self.turn(2)
        http2.untilEnd()
        self.assertNothingLeft()

    def test_keepsStream(self) -> None:
        """
        A stream may stay silent, or be unread, for longer than a minute.
        """
        self.patch(self.hub.fanout, "heartbeat", IDLE_TIMEOUT * 4)
        http2, wire = self.open()
        stream = http2.send("GET", STREAM)
        self.assertEqual(len(self.read(stream)), 1)
        for _ in range(3):
            self.turn(IDLE_TIMEOUT + 1)
        self.assertTrue(wire.isOpen)
        self.turn(IDLE_TIMEOUT * 2)
        self.assertEqual(len(self.read(stream)), 1)
        http2.reset(stream)
        self.turn(IDLE_TIMEOUT + 1)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_closesUnfinishedRequest(self) -> None:
        """
        A request that does not become complete does not keep the connection
        open, nor does a response that is not taken.
        """
        http2, wire = self.open()
        http2.send("POST", "/channels/news", KEY, isWhole=False)
        other, otherWire = self.open(window=1)
        self.publish("news", "x")
        other.send("GET", POLL).isOpenHanded = False
        self.turn(IDLE_TIMEOUT - 1)
        self.assertTrue(wire.isOpen and otherWire.isOpen)
        self.turn(2)
        self.assertFalse(wire.isOpen or otherWire.isOpen)
        self.assertNothingLeft()

    def test_cutsClientThatDoesNotRead(self) -> None:
        """
        A client that does not take the last frames is cut off.
        """
        _, wire = self.open()
        wire.transport.isStuck = True
        self.turn(IDLE_TIMEOUT + 1)
        self.turn(LAST_WORDS - 2)
        self.assertTrue(wire.isOpen)
        self.turn(2)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()


class ClientTests(Http2TestCase):
    """
    Clients that leave, reset streams or break the protocol.
    """

    def test_leavesNothing(self) -> None:
        """
        Nothing of a connection that is over is left to the garbage collector, with
        whatever it was busy: it runs so seldom over what is old that this grew without end.
        """
        gc.collect()
        self.addCleanup(gc.enable)
        gc.disable()
        kinds = HTTP2Connection | ConnectionStates | Request
        # Some tests keep theirs.
        others = [each for each in gc.get_objects() if isinstance(each, kinds)]
        kept = set(map(id, others))
        for path in ("/health", HELD, STREAM, POLL):
            http2, wire = self.open()
            http2.send("GET", path)
            http2.send("POST", "/channels/news", KEY, isWhole=False)
            self.turn(1)
            known = [
                ref(each)
                for each in gc.get_objects()
                if isinstance(each, kinds) and id(each) not in kept
            ]
            self.assertGreaterEqual(len(known), 2, path)
            wire.leave()
            self.wires.remove(wire)
            del http2, wire
            self.assertEqual([each() for each in known], [None] * len(known), path)

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves is forgotten with all its requests.
        """
        http2, wire = self.open()
        streams = [http2.send("GET", each) for each in (HELD, STREAM, STREAM)]
        self.assertEqual(len(self.hub.fanout.readers), 3)
        wire.take()
        wire.leave()
        self.assertRaises(Ended, streams[0].answer)
        self.assertEqual(len(self.hub.fanout.readers), 0)
        self.assertNothingLeft()

    def test_closesAfterGoodbye(self) -> None:
        """
        A client that sends GOAWAY without an error keeps its streams, and the
        connection is closed when all have ended.
        """
        for isBusy in (False, True):
            http2, wire = self.open()
            if isBusy:
                stream = http2.send("GET", STREAM)
                reset = RstStreamFrame(stream.ident).serialize()
            http2.h2.close_connection()
            http2.flush()
            self.assertEqual(wire.isOpen, isBusy)
            self.assertEqual(len(self.hub.fanout.readers), int(isBusy))
            if isBusy:
                wire.send(reset)
                self.assertFalse(wire.isOpen)
                self.assertEqual(len(self.hub.fanout.readers), 0)
        self.assertNothingLeft()

    def test_forgetsResetStream(self) -> None:
        """
        A stream that is reset is forgotten, also if the reset comes in the
        packet of its request, or together with a message for it.
        """
        http2, wire = self.open()
        stays = http2.send("GET", STREAM)
        for together in (False, True):
            gone = [http2.send("GET", each) for each in (HELD, STREAM)]
            if together:
                # Nothing is sent before all frames are made.
                send, sent = wire.send, bytearray()
                self.patch(wire, "send", sent.extend)
                gone += [http2.send("GET", each) for each in (HELD, STREAM, "/health")]
                http2.send("POST", "/channels/news", KEY, b"x")
            for stream in gone:
                http2.reset(stream)
            if together:
                self.patch(wire, "send", send)
                wire.send(bytes(sent))
            self.assertEqual(len(self.hub.fanout.readers), 1)
        self.turn()
        self.assertEqual([value.get("data") for value in self.read(stays)], [None, "x"])
        self.assertTrue(wire.isOpen)
        wire.leave()
        self.assertNothingLeft()

    def test_forgetsStreamResetEarly(self) -> None:
        """
        A stream is forgotten that is reset before the request is complete, or
        before the response is taken; late frames for it are ignored.
        """
        http2, wire = self.open(window=1)
        for n in range(60):
            self.publish("news", f"{n}" * 300)
        half = http2.send("POST", "/channels/news", KEY, b"x", isWhole=False)
        answered = http2.send("GET", POLL)
        answered.isOpenHanded = False
        answered.head()
        http2.reset(half)
        http2.reset(answered)
        wire.send(WindowUpdateFrame(answered.ident, window_increment=1000).serialize())
        self.assertEqual(http2.send("HEAD", "/channels/news").answer().status, 200)
        wire.leave()
        self.assertNothingLeft()

    def test_sendsAwayManyResets(self) -> None:
        """
        A client that resets streams more often than any browser is sent away;
        one that does so now and then is not.
        """
        http2, wire = self.open()
        for _ in range(int(MAX_RESETS * 2)):
            http2.reset(http2.send("GET", HELD))
            self.turn(1.1 / RESETS_PER_SECOND)
        self.assertTrue(wire.isOpen)
        for _ in range(int(MAX_RESETS) + 1):
            if wire.isOpen:
                http2.reset(http2.send("GET", HELD))
        self.assertFalse(wire.isOpen)
        http2.untilEnd()
        self.assertEqual(http2.goodbye, ErrorCodes.ENHANCE_YOUR_CALM)
        self.assertNothingLeft()

    def test_closesOnOtherData(self) -> None:
        """
        Data that is not HTTP/2 ends the connection, with all its streams.
        """
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100):
            http2, wire = self.open()
            stream = http2.send("GET", STREAM)
            self.assertEqual(len(self.read(stream)), 1)
            wire.send(garbage, b"more")
            http2.untilEnd()
            self.assertNotEqual(http2.goodbye, ErrorCodes.NO_ERROR)
        self.assertNothingLeft()

    def test_cutsFlood(self) -> None:
        """
        A client that does not read, and makes the server answer ever more
        frames, is cut off.
        """
        self.patch(framereceiver, "MAX_FRAMES", 1e9)
        _, wire = self.open()
        wire.transport.isStuck = True
        for _ in range(MAX_UNSENT_FRAMES // 17 + HIGH_WATER_MARK // 17 + 100):
            if wire.isOpen:
                wire.send(PingFrame(0, b"12345678").serialize())
        self.assertFalse(wire.isOpen)
        self.assertLess(len(wire.transport.unsent), MAX_UNSENT_FRAMES + HIGH_WATER_MARK + 1000)
        self.assertNothingLeft()

    def test_refusesConnect(self) -> None:
        """
        CONNECT is refused at once, though its client may leave the stream open
        for a tunnel.
        """
        for isEnd in (True, False):
            http2, wire = self.open()
            stream = Http2Stream(http2, http2.h2.get_next_available_stream_id())
            http2.streams[stream.ident] = stream
            fields = [(":method", "CONNECT"), (":authority", "example.org:443")]
            http2.h2.send_headers(stream.ident, fields, end_stream=isEnd)
            http2.flush()
            answer = stream.answer()
            self.assertEqual(answer.status, 405)
            self.assertEqual(answer.headers["allow"], "GET, HEAD, OPTIONS, POST")
            self.assertEqual(http2.send("GET", "/health").answer().status, 200)
            wire.leave()
        self.assertNothingLeft()


class EarlyResetTests(RawTestCase):
    """
    Clients that reset streams before their requests are begun.
    """

    def requests(self) -> list[Any]:
        """
        Return a list that is filled with the requests that the site makes.
        """
        made: list[Any] = []
        make = self.site.requestFactory

        def noting(channel: Any) -> Any:
            made.append(make(channel))
            return made[-1]

        self.patch(self.site, "requestFactory", noting)
        return made

    def test_servesNoneOfThem(self) -> None:
        """
        Streams that are opened and reset in one packet are not served, and no
        request is made for them; those between that are not reset are.
        """
        raw, made = self.raw(), self.requests()
        read = self.bus.read
        asked: list[Any] = []

        def reading(*args: Any) -> Any:
            asked.append(args)
            return read(*args)

        self.patch(self.bus, "read", reading)
        frames, stay = [], [203, 403, 603]
        for ident in range(3, 803, 2):
            frames.append(raw.headers(ident, request(b"GET", EVERY)))
            if ident not in stay:
                frames.append(frame(Kind.RST_STREAM, ident, bytes(4)))
        raw.send(*frames)
        self.turn()
        raw.read()
        self.assertEqual(raw.ended, set(stay))
        self.assertEqual(len(made), len(stay))
        self.assertLessEqual(len(asked), len(stay))
        self.assertEqual(raw.resets, {})
        self.assertGoesOn(raw, 805, "after")
        raw.wire.leave()
        self.assertNothingLeft()

    def test_servesNoneBeforeTheWholePacket(self) -> None:
        """
        A connection that ends in the packet of its requests has none of them
        served.
        """
        raw, made = self.raw(), self.requests()
        frames = [raw.headers(ident, request(b"GET", EVERY)) for ident in (3, 5, 7)]
        raw.send(*frames, frame(Kind.PING, 3, bytes(8)))
        self.assertEqual(raw.goodbye, ErrorCodes.PROTOCOL_ERROR)
        self.assertEqual(made, [])
        self.assertNothingLeft()

    def test_cancelsThoseUnderWay(self) -> None:
        """
        A stream that is reset while its request is under way has it cancelled:
        the resource is told, and nothing more is read for it.
        """
        raw, made = self.raw(), self.requests()
        self.publish("news", "x")
        waiting: Deferred[Any] = Deferred()
        self.patch(self.bus, "read", lambda *args: waiting)
        raw.send(raw.headers(3, request(b"GET", EVERY)))
        (asked,) = made
        gone = asked.notifyFinish()
        self.assertEqual(len(self.hub.fanout.readers), 2)
        raw.send(frame(Kind.RST_STREAM, 3, bytes(4)))
        self.failureResultOf(gone, ConnectionLost)
        self.assertEqual(len(self.hub.fanout.readers), 1)
        self.assertIsNone(raw.statuses.get(3))
        self.patch(self.bus, "read", MemoryBus.read.__get__(self.bus))
        self.assertGoesOn(raw, 5, "after")
        raw.wire.leave()
        # The bus answers in the end, which nobody waits for.
        waiting.errback(Unavailable("late"))
        self.assertNothingLeft()


class FlowTests(Http2TestCase):
    """
    Flow control.
    """

    def test_keepsLittleOfSlowStream(self) -> None:
        """
        Little is kept of a stream that its client does not take; other streams
        get all their data, and this one does when the client takes it.
        """
        http2, wire = self.open()
        slow, other = http2.send("GET", STREAM), http2.send("GET", STREAM)
        slow.isOpenHanded = False
        known = []
        for _ in range(500):
            known += self.publish("news", "x" * 900)
            http2.pump(1)
        self.assertEqual([v["cursor"] for v in self.read(other)][1:], known)
        (stream,) = (each for each in wire.transport.protocol.streams.values() if each.unsent)
        self.assertLess(stream.unsent, HIGH_WATER_MARK + 2000)
        http2.allow(slow, 10_000_000)
        http2.flush()
        self.turn()
        self.assertEqual([v["cursor"] for v in self.read(slow)][1:], known)
        wire.leave()
        self.assertNothingLeft()

    def test_resetsStalledStream(self) -> None:
        """
        A stream of which nothing is taken for long is reset, and the others go
        on.
        """
        http2, wire = self.open()
        slow, other = http2.send("GET", STREAM), http2.send("GET", STREAM)
        slow.isOpenHanded = False
        for _ in range(200):
            self.publish("news", "x" * 900)
            http2.pump(1)
        for _ in range(int(STALLED // 25) + 2):
            self.turn(25)
            http2.pump(1)
        self.assertEqual(slow.code, ErrorCodes.CANCEL)
        self.assertEqual(len(self.hub.fanout.readers), 1)
        self.assertEqual(len(self.read(other)), 200 + int(STALLED // 25) + 3)
        wire.leave()
        self.assertNothingLeft()

    def test_keepsLittleForSlowConnection(self) -> None:
        """
        Little is kept of a connection that the client does not read, however
        large its windows are.
        """
        http2, wire = self.open(window=2**31 - 1)
        streams = [http2.send("GET", STREAM) for _ in range(3)]
        http2.pump(1)
        wire.transport.isStuck = True
        known = []
        for _ in range(500):
            known += self.publish("news", "x" * 900)
        self.assertLess(len(wire.transport.unsent), 2 * HIGH_WATER_MARK)
        for stream in wire.transport.protocol.streams.values():
            self.assertLess(stream.unsent, HIGH_WATER_MARK + 2000)
        wire.transport.isStuck = False
        for _ in range(10):
            self.turn()
        for stream in streams:
            self.assertEqual([v["cursor"] for v in self.read(stream)][1:], known)
        wire.leave()
        self.assertNothingLeft()

    def test_waitsWithFurtherRequests(self) -> None:
        """
        While large responses wait for the client, its other requests are not
        begun, and do not keep the connection open.  Of those that are begun at once
        later, the first is whole, and the others are short.
        """
        for n in range(1000):
            self.publish("news", f"{n}" * 300)
        http2, wire = self.open(window=1)
        streams = [http2.send("GET", POLL) for _ in range(2)]
        self.turn()
        streams += [http2.send("GET", POLL) for _ in range(6)]
        for stream in streams:
            stream.isOpenHanded = False
        for stream in streams[:2]:
            self.assertEqual(stream.head().status, 200)
        for stream in streams[2:]:
            self.assertRaises(Silence, stream.head)
        http2.reset(streams[4])
        counts = []
        for stream in streams[:3] + streams[5:7]:
            http2.allow(stream, 2_000_000)
            http2.flush()
            self.turn()
            counts.append(len(readPollBody(stream.answer().body).events))
        self.assertEqual(counts[:3], [1001] * 3)
        self.assertLess(max(counts[3:]), 100)
        self.turn()
        self.turn(IDLE_TIMEOUT + 1)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()


class DrainTests(Http2TestCase):
    """
    Closing connections when the server drains.
    """

    def test_closesAfterResponses(self) -> None:
        """
        A connection is closed once all requests are answered; at once, if there
        is none.
        """
        idle, idleWire = self.open()
        http2, wire = self.open()
        stored: Deferred[Sequence[Published]] = Deferred()
        publish = self.bus.publish
        self.patch(self.bus, "publish", lambda publications: stored)
        posted = http2.send("POST", "/channels/news", KEY, b"x")
        stream, held = http2.send("GET", STREAM), http2.send("GET", HELD)
        drained, closed = self.hub.drain(10), self.site.drain()
        self.turn()
        self.assertFalse(idleWire.isOpen)
        self.assertEqual([list(v)[1:] for v in self.read(stream)], [[], ["close"]])
        self.assertEqual(stream.piece(), b"")
        self.assertIn(b"draining", held.answer().body)
        self.assertTrue(wire.isOpen)
        self.assertNoResult(drained)
        self.assertNoResult(closed)
        publish([]).chainDeferred(stored)
        stored.addErrback(lambda failure: None)
        self.turn()
        posted.head()
        http2.untilEnd()
        idle.untilEnd()
        self.assertEqual((http2.goodbye, idle.goodbye), (0, 0))
        self.successResultOf(drained)
        self.successResultOf(closed)
        self.flushLoggedErrors()
