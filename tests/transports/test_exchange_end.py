"""
Tests of L{comet.transports.exchange}: responses that cannot be made, or that
clients do not read.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from comet.http.pace import LEAST_RATE, UNSENT_TIMEOUT
from comet.http.responses import Response
from comet.transports.channel import ChannelResource
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource
from comet.web.resources import CometResource
from comet.web.site import IDLE_TIMEOUT
from tests.transports.case import HubTestCase, get, post, readResponse
from tests.transports.test_exchange import Dressed
from tests.transports.wire import FULL, Wire
from tests.web.http2.case import Http2TestCase


class UnmadeTests(HubTestCase):
    """
    An application has set a header that cannot be sent.
    """

    def setUp(self) -> None:
        """
        Serve the hub below an application with such a header.
        """
        super().setUp()
        inner = Resource()
        inner.putChild(b"channels", ChannelResource(self.hub))
        self.site = self.makeSite(Dressed(inner, (b"X-A", b"a\0b")))

    def assertNotWaiting(self, wire: Wire) -> None:
        """
        Assert that the client got an internal error or its connection was
        closed, that the failure was logged, and that no reader is left.
        """
        self.turn()
        answer = wire.take()
        if answer:
            self.assertEqual(readResponse(answer).status, 500)
        else:
            self.assertFalse(wire.isOpen)
        self.assertTrue(self.flushLoggedErrors(ValueError))
        wire.leave()
        self.assertNothingLeft()

    def test_publisherDoesNotWait(self) -> None:
        """
        A publisher is answered or cut off, and does not wait.
        """
        wire = self.connect()
        wire.send(post("/channels/open/a", b"x"))
        self.turn()
        self.assertFalse(wire.isOpen)
        self.assertEqual(wire.take(), b"")
        self.assertNotWaiting(wire)

    def test_pollDoesNotWait(self) -> None:
        """
        A poll is answered or cut off, with messages held, with a message to
        come, and without.
        """
        for transport in ("poll", "longpoll&wait=0", "longpoll&wait=5", "jsonp&callback=f&wait=5"):
            for query in ("&since=-1", ""):
                self.setUp()
                self.publish("a", 1)
                wire = self.connect()
                wire.send(get(f"/channels/a?transport={transport}{query}"))
                self.turn(5.2)
                self.assertNotWaiting(wire)

    def test_heldPollDoesNotWait(self) -> None:
        """
        A held poll is answered or cut off when a message comes.
        """
        for transport in ("longpoll&wait=5", "jsonp&callback=f&wait=5"):
            self.setUp()
            wire = self.connect()
            wire.send(get(f"/channels/a?transport={transport}"))
            self.publish("a", 1)
            self.assertNotWaiting(wire)

    def test_closesAfterLateFailure(self) -> None:
        """
        The connection is closed if the response fails late; a connection that
        is closed already is left alone.
        """
        for hasLeft in (False, True):
            asked: Deferred[None] = Deferred()

            class Late(HubResource):
                def answer_GET(self, exchange: Exchange, asked: Deferred[None] = asked) -> None:
                    exchange.respondWhen(asked, lambda _: Response(204, (), b"too much"))

            wire = self.connect(self.makeSite(Late(self.hub)))
            wire.send(get("/"))
            if hasLeft:
                wire.leave()
            asked.callback(None)
            wire.settle()
            self.assertEqual((wire.isOpen, wire.take()), (False, b""))
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 0 if hasLeft else 1)


class UnreadTests(HubTestCase):
    """
    A client that does not read the response.
    """

    def askMuch(self, size: int = FULL) -> Wire:
        """
        Ask for more than the transport's high-water mark, and read nothing.

        @param size: How many bytes the response has at least.
        """
        for number in range(size // 900 + 20):
            self.publish("a", f"{number} " + "x" * 900)
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(get("/channels/a?transport=poll&since=earliest"))
        self.turn()
        self.assertGreater(len(wire.transport.unsent), FULL)
        return wire

    def test_cutsAfterTimeout(self) -> None:
        """
        After a timeout the connection is cut: waiting for the client to read
        could take for ever.
        """
        wire = self.askMuch()
        self.turn(UNSENT_TIMEOUT - 1)
        self.assertTrue(wire.isOpen)
        self.turn(1.2)
        self.assertFalse(wire.isOpen)
        self.assertTrue(wire.transport.aborted)
        self.assertNothingLeft()

    def test_keepsClientThatReads(self) -> None:
        """
        A client that reads in time is served further; the timeout has no
        effect.
        """
        wire = self.askMuch()
        self.turn(UNSENT_TIMEOUT - 1)
        wire.transport.isStuck = False
        self.assertEqual(readResponse(wire.take()).status, 200)
        self.turn(UNSENT_TIMEOUT - 20)
        wire.send(get("/channels/a?transport=poll"))
        self.assertEqual(readResponse(wire.take()).status, 200)
        wire.leave()
        self.assertNothingLeft()

    def readSlowly(self, wire: Wire, rate: int, most: int) -> int:
        """
        Read a little in each second, until the server cuts the connection, or the
        response has come, or the time is over.

        @return: After how many seconds that was.
        """
        for second in range(most):
            if not (wire.isOpen and wire.transport.unsent):
                return second
            self.turn(1)
            wire.transport.takes(rate)
        return most

    def test_keepsClientThatReadsSlowly(self) -> None:
        """
        A client gets all of a response that it reads at the least rate, however
        long that takes.
        """
        wire = self.askMuch(400_000)
        self.assertGreater(self.readSlowly(wire, int(LEAST_RATE) + 10, 1000), 5 * UNSENT_TIMEOUT)
        self.assertTrue(wire.isOpen)
        wire.transport.isStuck = False
        self.assertGreater(len(readResponse(wire.take()).body), 400_000)
        wire.leave()
        self.assertNothingLeft()

    def test_cutsClientThatReadsTooSlowly(self) -> None:
        """
        A client that reads a little now and then is cut soon; what it has read fast
        before does not matter.
        """
        for first in (0, 300_000):
            self.setUp()
            wire = self.askMuch(500_000)
            for _ in range(first // FULL):
                wire.transport.takes(2 * FULL)
            seconds = self.readSlowly(wire, int(LEAST_RATE) // 10, 1000)
            self.assertFalse(wire.isOpen)
            self.assertGreater(seconds, UNSENT_TIMEOUT)
            self.assertLessEqual(seconds, 2 * IDLE_TIMEOUT)
            self.assertNothingLeft()

    def test_forgetsClientThatLeaves(self) -> None:
        """
        When such a client leaves, nothing is left of it.
        """
        wire = self.askMuch()
        wire.leave()
        self.assertNothingLeft()


class HeadTests(Http2TestCase):
    """
    Responses to C{HEAD}.
    """

    def test_givesNoWrongLength(self) -> None:
        """
        The length in a response to C{HEAD} is that of the response to C{GET},
        or is left out if it is unknown.
        """
        for path, isKnown in (
            ("/channels/a?transport=poll", False),
            ("/channels/a?transport=sse", False),
            ("/channels/a?transport=longpoll", False),
            ("/health", True),
            ("/nowhere", True),
        ):
            response = self.ask(get(path, method="HEAD"))
            self.assertEqual((response.body, response.rest), (b"", b""))
            self.assertEqual("content-length" in response.headers, isKnown)
            if isKnown:
                got = self.ask(get(path)).header("Content-Length")
                self.assertEqual(response.header("Content-Length"), got)

    def test_givesNoWrongLengthElsewhere(self) -> None:
        """
        HTTP/2, and a site of Twisted's, give no wrong length on C{HEAD}.
        """
        http2, _ = self.open()
        for path, isKnown in (("/channels/a?transport=poll", False), ("/health", True)):
            stream = http2.send("HEAD", path)
            self.turn()
            answer = stream.answer()
            self.assertEqual(answer.status, 200)
            self.assertEqual("content-length" in answer.headers, isKnown)
        site = self.makePlainSite(CometResource(self.hub))
        response = self.ask(get("/channels/a?transport=poll", method="HEAD"), site)
        self.assertNotIn("content-length", response.headers)
