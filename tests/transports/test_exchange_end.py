"""
Tests of L{comet.transports.exchange}: answers that cannot be made, or that
nobody reads.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from comet.http.responses import Response
from comet.transports.channel import ChannelResource
from comet.transports.detach import UNSENT_TIMEOUT
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource
from comet.web.resources import CometResource
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
        Serve the hub dressed with it.
        """
        super().setUp()
        inner = Resource()
        inner.putChild(b"channels", ChannelResource(self.hub))
        self.site = self.makeSite(Dressed(inner, (b"X-A", b"a\0b")))

    def assertNotWaiting(self, wire: Wire) -> None:
        """
        The client was answered that there is a fault, or its connection was
        closed; the fault was logged, and nobody is remembered.
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

    def test_published(self) -> None:
        """
        Who publishes does not wait for an answer for ever.
        """
        wire = self.connect()
        wire.send(post("/channels/open/a", b"x"))
        self.assertFalse(wire.isOpen)
        self.assertEqual(wire.take(), b"")
        self.assertNotWaiting(wire)

    def test_polls(self) -> None:
        """
        Nor does who polls, whether there is something, something comes, or
        nothing does.
        """
        for transport in ("poll", "longpoll&wait=0", "longpoll&wait=5", "jsonp&callback=f&wait=5"):
            for query in ("&since=-1", ""):
                self.setUp()
                self.publish("a", 1)
                wire = self.connect()
                wire.send(get(f"/channels/a?transport={transport}{query}"))
                self.turn(5.2)
                self.assertNotWaiting(wire)

    def test_comes(self) -> None:
        """
        Also where the message comes later.
        """
        for transport in ("longpoll&wait=5", "jsonp&callback=f&wait=5"):
            self.setUp()
            wire = self.connect()
            wire.send(get(f"/channels/a?transport={transport}"))
            self.publish("a", 1)
            self.assertNotWaiting(wire)

    def test_late(self) -> None:
        """
        The connection is closed where the answer cannot be made late; one that
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
    A client that asks, and does not read the answer.
    """

    def askMuch(self) -> Wire:
        """
        Ask for more than a transport likes to keep, and take nothing.
        """
        for number in range(FULL // 900 + 20):
            self.publish("a", f"{number} " + "x" * 900)
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(get("/channels/a?transport=poll&since=earliest"))
        self.turn()
        self.assertGreater(len(wire.transport.unsent), FULL)
        return wire

    def test_givenUp(self) -> None:
        """
        The answer is given up after a time, and the connection is cut: to wait
        until all was taken would be for ever.
        """
        wire = self.askMuch()
        self.turn(UNSENT_TIMEOUT - 1)
        self.assertTrue(wire.isOpen)
        self.turn(1.2)
        self.assertFalse(wire.isOpen)
        self.assertTrue(wire.transport.aborted)
        self.assertNothingLeft()

    def test_taken(self) -> None:
        """
        One that was taken in time is not, and the connection serves on, for as
        long as it does without it.
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

    def test_leaves(self) -> None:
        """
        Of a client that leaves meanwhile, nothing is left.
        """
        wire = self.askMuch()
        wire.leave()
        self.assertNothingLeft()


class HeadTests(Http2TestCase):
    """
    What C{HEAD} is answered.
    """

    def test_length(self) -> None:
        """
        No length is told that is not that of the answer to C{GET}: none at all
        where that is not known.
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

    def test_http2(self) -> None:
        """
        So with HTTP/2, and on a site of Twisted's.
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
