"""
Tests of L{comet.web.site}: the bounds on what is taken in.
"""

from __future__ import annotations

import base64
import tracemalloc
from io import StringIO

from twisted.web.resource import IResource

import comet.web.site
from comet.web.site import DISCARD_FACTOR, IDLE_TIMEOUT, CometSite
from tests.transports.case import AUTH, KEY, HubTestCase, get, post, readResponse

HEAD = b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"


def chunked(body: bytes, size: int) -> bytes:
    """
    Encode a body in chunks.
    """
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


class BodyTests(HubTestCase):
    """
    The bound on a body.
    """

    @property
    def most(self) -> int:
        """
        How many bytes a body may have.
        """
        return self.site.maxBody

    def test_anySplit(self) -> None:
        """
        A body arrives whole, however TCP cuts it, in chunks or with a length.
        """
        body = bytes(range(256))
        for request in (
            HEAD + b"Content-Length: 256\r\n\r\n" + body,
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 100),
        ):
            for size in (1, 2, 3, 7, 50, 300):
                wire = self.connect()
                wire.sendIn(size, request)
                self.turn()
                self.assertEqual(readResponse(wire.take()).status, 201)
                held = self.ask(get("/channels/open/a?transport=poll&since=-1"))
                data = base64.b64decode(held.json["messages"][0]["data"])
                self.assertEqual(data, body)

    def test_refusesTooLarge(self) -> None:
        """
        A body that is too large is discarded as it arrives, and the client is
        told; the connection serves on.
        """
        size = self.most + 1
        body = b"x" * size
        for request in (
            HEAD + b"Content-Length: %d\r\n\r\n" % size + body,
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 5000),
        ):
            wire = self.connect()
            wire.sendIn(30000, request + get("/health"))
            response = readResponse(wire.take())
            self.assertProblem(response, 413, "tooLarge")
            self.assertEqual(readResponse(response.rest).json, {"ready": True})

    def test_takesLargest(self) -> None:
        """
        A body of just the allowed size is taken.
        """
        line = b'{"channel":"open/a","data":""}\n'
        body = line + b" " * (self.most - len(line) - 1) + b"\n"
        request = post("/publish", body, "Content-Type: application/x-ndjson")
        self.assertEqual(self.ask(request).status, 201)

    def test_keepsNothingDiscarded(self) -> None:
        """
        Nothing of a discarded body is kept.
        """
        wire = self.connect()
        wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        count = self.most * (DISCARD_FACTOR - 1) // 0x8000
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(count):
            wire.send(piece)
        kept, _ = tracemalloc.get_traced_memory()
        self.assertLess(kept, 2 * self.most)
        self.assertGreater(count * 0x8000, 10 * self.most)

    def test_cutsEndlessBody(self) -> None:
        """
        A client that sends a body without end is told, and cut off.
        """
        wire = self.connect()
        wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        for _ in range(self.most * DISCARD_FACTOR // 0x8000 + 2):
            wire.send(piece)
        self.assertFalse(wire.isOpen)
        response = readResponse(wire.take())
        self.assertProblem(response, 413, "tooLarge")
        self.assertEqual((response.header("Connection"), response.rest), ("close", b""))

    def test_refusesHugeLength(self) -> None:
        """
        A body with a huge declared length is refused before it arrives.
        """
        wire = self.connect()
        wire.send(HEAD + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 100)
        response = readResponse(wire.take())
        self.assertProblem(response, 413, "tooLarge")
        self.assertEqual(response.rest, b"")
        self.assertFalse(wire.isOpen)

    def test_tellsToContinue(self) -> None:
        """
        A client that expects 100 is told to continue.
        """
        wire = self.connect()
        wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(wire.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.send(b"hello")
        self.turn()
        self.assertEqual(readResponse(wire.take()).status, 201)

    def test_refusesInsteadOfContinue(self) -> None:
        """
        A client that expects 100 for a body that is too large is told so, and
        the connection ends: the server cannot know whether the client still
        sends the body.
        """
        wire = self.connect()
        head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (self.most + 1)
        wire.send(head + b"x" * (self.most + 1))
        response = readResponse(wire.take())
        self.assertProblem(response, 413, "tooLarge")
        self.assertEqual((response.header("Connection"), response.rest), ("close", b""))
        self.assertFalse(wire.isOpen)

    def test_answeredOnce(self) -> None:
        """
        A client that was refused early gets no second response, also if its
        connection closes slowly.
        """
        wire = self.connect()
        self.patch(wire.transport, "loseConnection", lambda: None)
        head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (self.most + 1)
        wire.send(head, b"x" * (self.most + 1), get("/health"))
        self.assertEqual(wire.take().count(b"HTTP/1.1"), 1)

    def test_refusesOnPlainSite(self) -> None:
        """
        On an application's own site a body that is too large is refused after
        it has arrived.
        """
        site = self.makePlainSite(self.site.resource)
        request = post("/channels/open/a", b"x" * (self.most + 1))
        self.assertProblem(self.ask(request, site), 413, "tooLarge")

    def test_ignoresUnreadBody(self) -> None:
        """
        A body that no resource reads does no harm.
        """
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        wire = self.connect()
        wire.send(request + get("/health"))
        response = readResponse(wire.take())
        self.assertEqual(readResponse(response.rest).json, {"ready": True})

    def test_forgetsClientThatLeavesInBody(self) -> None:
        """
        A client that leaves in the middle of its body is forgotten.
        """
        wire = self.connect()
        wire.send(HEAD + AUTH + b"Content-Length: 100\r\n\r\nabc")
        wire.leave()
        self.assertNothingLeft()


class ChannelBodyTests(HubTestCase):
    """
    The bound on a body that can be one message only.
    """

    def makeSite(self, resource: IResource) -> CometSite:
        """
        Make a site that knows how large a message may be.
        """
        limits = self.settings.limits
        return CometSite(resource, limits.maxBatchBytes, limits.maxMessage, reactor=self.clock)

    def test_refusesTooLarge(self) -> None:
        """
        A body published to a channel may have the size of a message; the error
        says that size, at once to a client that expects 100.
        """
        most = self.settings.limits.maxMessage
        for path in (
            "/channels/open/a",
            "/channels/open/a?x=1",
            "http://localhost/channels/open/a",
        ):
            for expect in ((), ("Expect: 100-continue",)):
                response = self.ask(post(path, b"x" * (most + 1), "Content-Type: a/b", *expect))
                self.assertProblem(response, 413, "tooLarge")
                self.assertIn(f"more than {most} bytes", response.json["detail"])
        head = b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\n"
        body = chunked(b"x" * (most + 1), 100)
        response = self.ask(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        self.assertProblem(response, 413, "tooLarge")
        self.assertIn(f"more than {most} bytes", response.json["detail"])

    def test_takesLargest(self) -> None:
        """
        A body of just the allowed size is taken.
        """
        body = b'"' + b"x" * (self.settings.limits.maxMessage - 2) + b'"'
        answer = self.ask(post("/channels/open/a", body, "Content-Type: application/json"))
        self.assertEqual(answer.status, 201)

    def test_cutsEndlessMessage(self) -> None:
        """
        A body without end is cut off at the lower bound.
        """
        most = self.settings.limits.maxMessage
        wire = self.connect()
        wire.send(b"POST /channels/a HTTP/1.1\r\nHost: localhost\r\n")
        wire.send(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(DISCARD_FACTOR + 1):
            wire.send(b"%x\r\n" % most + b"x" * most + b"\r\n")
        self.assertFalse(wire.isOpen)
        self.assertProblem(readResponse(wire.take()), 413, "tooLarge")

    def test_allowsBatchElsewhere(self) -> None:
        """
        At other paths a body may be as large as a batch, and the error says
        that size.
        """
        limits = self.settings.limits
        kind = "Content-Type: application/x-ndjson"
        line = b'{"channel":"open/a","data":""}\n'
        body = line + b" " * limits.maxMessage * 2 + b"\n"
        self.assertEqual(self.ask(post("/publish", body, kind)).status, 201)
        response = self.ask(post("/publish", b"x" * (limits.maxBatchBytes + 1), kind))
        self.assertProblem(response, 413, "tooLarge")
        self.assertIn(f"more than {limits.maxBatchBytes} bytes", response.json["detail"])


class SiteTests(HubTestCase):
    """
    Other behaviour of the site.
    """

    def test_closesIdleConnection(self) -> None:
        """
        A connection without a request is closed after a timeout, one with a
        hold is not.
        """
        idle, held = self.connect(), self.connect()
        held.send(get("/channels/a?wait=300"))
        self.turn(IDLE_TIMEOUT + 1)
        self.assertFalse(idle.isOpen)
        self.assertTrue(held.isOpen)

    def test_formIsNoParameters(self) -> None:
        """
        The fields of a form are not parameters.
        """
        kind = "Content-Type: application/x-www-form-urlencoded"
        response = self.ask(post("/channels/a", b"transport=poll", kind))
        self.assertEqual(response.status, 201)
        response = self.ask(get("/channels/a?transport=poll&since=-1"))
        self.assertEqual(response.json["messages"][0]["data"], "transport=poll")

    def test_takesAbsoluteURL(self) -> None:
        """
        A request may have the absolute URL; its host overrides the header.
        """
        self.publish("a", 1)
        path = "http://localhost/channels/a?transport=poll&since=-1"
        self.assertEqual(self.ask(get(path)).json["messages"][0]["data"], 1)
        for root in ("HTTPS://127.0.0.1", "http://127.0.0.1?x"):
            response = self.ask(get(root))
            self.assertEqual(response.status, 200)
            self.assertIn("text/html", response.header("Content-Type") or "")
        self.assertProblem(self.ask(get("http://evil.example/health")), 421, "wrongHost")
        self.assertProblem(self.ask(get("http:///health")), 421, "wrongHost")

    def test_writesNoAccessLog(self) -> None:
        """
        No access log is written, since URLs may carry a key.
        """
        self.site.logFile = StringIO()
        self.ask(get(f"/health?{KEY}"))
        self.assertEqual(self.site.logFile.getvalue(), "")

    def test_negotiatesProtocol(self) -> None:
        """
        TLS may negotiate HTTP/2, where h2 is installed, or HTTP/1.1; without a
        choice it is HTTP/1.1.
        """
        self.assertEqual(self.site.acceptableProtocols(), [b"h2", b"http/1.1"])
        self.patch(comet.web.site, "HAS_HTTP2", False)
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])
        for chosen in (None, b"http/1.1"):
            wire = self.connect()
            self.patch(wire.transport, "negotiatedProtocol", chosen)
            wire.transport.protocol.handshakeCompleted()
            wire.send(get("/health"))
            self.assertEqual(readResponse(wire.take()).status, 200)
