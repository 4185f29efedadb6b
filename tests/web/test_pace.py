"""
Tests of requests that come too slowly, on Twisted's edge: each head and each body
has its time, however often a little more of it comes.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from twisted.web.resource import IResource, Resource

from comet.http.pace import BODY_TIME, HEAD_TIME, LEAST_RATE, UNSENT_TIMEOUT
from comet.web.site import IDLE_TIMEOUT, CometSite
from tests.edge.connections import Ended
from tests.edge.h2client import Http2Connection, Http2Stream
from tests.transports.case import HubTestCase, get, readResponse, request
from tests.transports.wire import Wire
from tests.web.http2.case import Http2TestCase

POLL = get("/channels/a?transport=poll")
SIZE = int(LEAST_RATE) * 200
HEAD = request("POST", "/channels/open/a", f"Content-Length: {SIZE}")
CHUNKED = request("POST", "/channels/open/a", "Transfer-Encoding: chunked")


class PaceCase(HubTestCase):
    """
    The base class of the tests with HTTP/1.
    """

    def assertTooSlow(self, wire: Wire, pieces: bytes, seconds: float) -> None:
        """
        Assert that a client which goes on to send a byte now and then is given up
        at a time, and not before.
        """
        step = seconds / (len(pieces) + 1)
        for n in range(len(pieces)):
            self.turn(step)
            wire.send(pieces[n : n + 1])
        self.turn(step - 1)
        self.assertFalse(wire.transport.disconnecting)
        self.turn(1.2)
        self.assertTrue(wire.transport.disconnecting or not wire.isOpen)


class PaceTests(PaceCase):
    """
    Connections of HTTP/1.
    """

    def makeSite(self, resource: IResource) -> CometSite:
        """
        Make a site that takes such bodies.
        """
        return CometSite(resource, 10 * SIZE, reactor=self.clock)

    def test_head(self) -> None:
        """
        A head has its time from its first byte, also one that follows another
        request, with it or later.
        """
        for before in (0.0, IDLE_TIMEOUT - 1):
            for first in (b"", POLL):
                wire = self.connect()
                self.turn(before)
                wire.send(first + POLL[:1])
                self.turn()
                self.assertTooSlow(wire, POLL[1:7], HEAD_TIME)
                self.assertEqual(wire.take().count(b"200 OK"), len(first) // len(POLL))

    def test_headTooLarge(self) -> None:
        """
        A head that is too large, and is waited for only to tell that, has no more.
        """
        wire = self.connect()
        wire.send(b"GET /channels/a?" + b"x" * 300_000)
        self.assertTooSlow(wire, b"xxxxx", HEAD_TIME)

    def test_headBehindHeldPoll(self) -> None:
        """
        The time of a head that is behind a held poll begins with the answer.
        """
        wire = self.connect()
        wire.send(get("/channels/a?transport=longpoll&wait=200") + POLL[:1])
        self.turn(200)
        self.turn(0.2)
        self.assertEqual(wire.take().count(b"200 OK"), 1)
        self.assertTooSlow(wire, POLL[1:7], HEAD_TIME)

    def test_body(self) -> None:
        """
        A body has to go on at a rate, however fast a part of it has come, with a
        length or in chunks.
        """
        for said in (HEAD, HEAD + b"x" * (SIZE - 100), CHUNKED, CHUNKED + b"5\r\nhello\r\n"):
            wire = self.connect()
            wire.send(said)
            self.assertTooSlow(wire, b"0000000000", BODY_TIME)
        self.assertEqual(self.hub.uploads.kept, 0)

    def test_steadyBody(self) -> None:
        """
        A body that comes at the rate may take longer.
        """
        wire = self.connect()
        wire.send(HEAD)
        for _ in range(20):
            self.turn(10)
            wire.send(b"x" * (SIZE // 20))
        self.turn()
        self.assertEqual(readResponse(wire.take()).status, 413)

    def test_idleTimeoutIsLess(self) -> None:
        """
        A shorter idle timeout counts for heads and bodies, too.
        """
        self.site = CometSite(self.site.resource, SIZE, reactor=self.clock, idleTimeout=7.0)
        for said in (POLL[:5], HEAD):
            wire = self.connect()
            wire.send(said)
            self.assertTooSlow(wire, b"xxx", 7.0)

    def test_application(self) -> None:
        """
        The same holds on a site without resources of comet's at its root.
        """
        self.site = CometSite(Resource(), SIZE, reactor=self.clock)
        wire = self.connect()
        wire.send(HEAD)
        self.assertTooSlow(wire, b"xxxxx", BODY_TIME)

    def test_leavesNoTimer(self) -> None:
        """
        Nothing is left of a head or a body that was whole, or whose client has
        left.
        """
        wheel = self.hub.fanout.wheel
        wire = self.connect()
        wire.sendIn(7, request("POST", "/channels/open/a", body=b"hello"))
        self.turn()
        self.assertEqual(readResponse(wire.take()).status, 201)
        self.assertEqual(len(wheel), 0)
        wire.send(POLL[:5])
        self.assertEqual(len(wheel), 1)
        wire.leave()
        self.assertEqual(len(wheel), 0)


class Http2PaceTests(Http2TestCase):
    """
    Connections of HTTP/2.
    """

    def makeSite(self, resource: IResource) -> CometSite:
        """
        Make a site that takes such bodies.
        """
        return CometSite(resource, 10 * SIZE, reactor=self.clock)

    def test_body(self) -> None:
        """
        A stream whose body comes too slowly is reset; others go on, and a steady
        body may take longer.
        """
        http2, wire = self.open()
        slow = http2.send("POST", "/channels/open/a", {}, b"x" * 30_000, isWhole=False)
        steady = http2.send("POST", "/channels/open/a", {}, b"x", isWhole=False)
        for _ in range(6):
            self.turn(BODY_TIME / 6 - 0.1)
            http2.sendBody(slow, b"x", isWhole=False)
            http2.sendBody(steady, b"x" * int(LEAST_RATE * BODY_TIME / 6), isWhole=False)
        self.assertIsNone(slow.code)
        self.turn(1)
        http2.pump(0)
        self.assertEqual(slow.code, ErrorCodes.CANCEL)
        http2.sendBody(steady, b"x")
        self.assertEqual(steady.answer().status, 413)
        self.assertEqual(http2.send("GET", "/health").answer().status, 200)
        self.assertTrue(wire.isOpen)
        wire.leave()
        self.assertEqual(self.hub.uploads.kept, 0)
        self.assertNothingLeft()

    def askMuch(self) -> tuple[Http2Connection, Http2Stream]:
        """
        Ask for a large response in a small window.
        """
        http2, _ = self.open(window=1)
        stream = http2.send("GET", "/channels/a?transport=poll&since=earliest")
        stream.isOpenHanded = False
        stream.head()
        self.assertGreater(self.hub.fanout.unsent.kept, 100_000)
        return http2, stream

    def test_responseTakenTooSlowly(self) -> None:
        """
        Streams are reset whose responses the client takes too slowly, however busy it
        keeps the connection; what is not finished goes on.
        """
        for n in range(150):
            self.publish("a", f"{n} " + "x" * 900)
        for first in (1, 50_000):
            http2, stream = self.askMuch()
            held = http2.send("GET", "/channels/b?transport=longpoll&wait=300")
            http2.allow(stream, first)
            for _ in range(int(UNSENT_TIMEOUT) // 10 - 1):
                self.turn(10)
                http2.allow(stream, 1)
                http2.h2.ping(b"12345678")
                http2.flush()
                http2.pump(0)
                self.assertIsNone(stream.code)
            for _ in range(7):
                self.turn(10)
                http2.h2.ping(b"12345678")
                http2.flush()
                http2.pump(0)
            self.assertEqual(stream.code, ErrorCodes.CANCEL)
            self.assertEqual(self.hub.fanout.unsent.kept, 0)
            self.publish("b", 1)
            self.assertEqual(held.answer().status, 200)
            self.assertFalse(http2.isEnded)
            http2.close()

    def test_responseTakenSteadily(self) -> None:
        """
        A response that is taken at the rate may take longer; and the client has all
        of its time for another one after it.
        """
        for n in range(150):
            self.publish("a", f"{n} " + "x" * 900)
        http2, stream = self.askMuch()
        for _ in range(2):
            for _ in range(13):
                self.turn(10)
                http2.allow(stream, int(LEAST_RATE) * 10 + 100)
                http2.h2.ping(b"12345678")
                http2.flush()
                http2.pump(0)
            http2.allow(stream, 1 << 20)
            http2.flush()
            self.assertEqual(stream.answer().status, 200)
            self.assertEqual(self.hub.fanout.unsent.kept, 0)
            stream = http2.send("GET", "/channels/a?transport=poll&since=earliest")
            stream.isOpenHanded = False
        http2.close()
        self.assertNothingLeft()

    def test_frame(self) -> None:
        """
        A connection ends whose frame, or field block, comes byte by byte.
        """
        for block in (False, True):
            http2, wire = self.open()
            http2.flush()
            if block:
                # HEADERS of stream 1 that are not the end of the block.
                wire.send(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82")
            else:
                wire.send(b"\x00\x00\x30\x01\x04\x00\x00\x00\x01")
            for _ in range(5):
                self.turn(HEAD_TIME / 6)
                wire.send(b"\x00")
            self.assertTrue(wire.isOpen)
            self.assertFalse(wire.transport.disconnecting)
            self.turn(HEAD_TIME / 6 + 0.3)
            self.assertTrue(wire.transport.disconnecting or not wire.isOpen)
            self.assertRaises(Ended, http2.send("GET", "/health").head)
            wire.leave()
        self.assertNothingLeft()
