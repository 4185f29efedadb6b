"""
Tests of L{comet.web.site}: the bounds on what is taken in.
"""

from __future__ import annotations

import base64
import json
import tracemalloc
from io import StringIO

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from twisted.web.static import Data

import comet.web.site
from comet.web.boundedrequest import DISCARD_FACTOR
from comet.web.heads import LINGER_TIME
from comet.web.resources import CometResource
from comet.web.site import IDLE_TIMEOUT, CometSite
from tests.transports.case import AUTH, KEY, HubTestCase, Response, get, post, readResponse
from tests.transports.wire import Wire

HEAD = b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"


def chunked(body: bytes, size: int) -> bytes:
    """
    Encode a body in chunks.
    """
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


class EndingCase(HubTestCase):
    """
    The base class of the tests of refused requests.
    """

    def assertEnds(self, wire: Wire) -> None:
        """
        Assert that the server has closed its side of a connection, and closes
        all of it when the client is silent.
        """
        self.assertTrue(wire.isOpen)
        self.assertTrue(wire.transport.isHalfClosed)
        self.turn(LINGER_TIME + 0.1)
        self.assertFalse(wire.isOpen)


class BodyTests(EndingCase):
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
        response = readResponse(wire.take())
        self.assertProblem(response, 413, "tooLarge")
        self.assertEqual((response.header("Connection"), response.rest), ("close", b""))
        self.assertEnds(wire)

    def test_refusesHugeLength(self) -> None:
        """
        A body with a huge declared length is refused before it arrives.
        """
        wire = self.connect()
        wire.send(HEAD + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 100)
        response = readResponse(wire.take())
        self.assertProblem(response, 413, "tooLarge")
        self.assertEqual(response.rest, b"")
        self.assertEnds(wire)

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
        self.assertEnds(wire)

    def test_answeredOnce(self) -> None:
        """
        A client that was refused early gets no second response.
        """
        wire = self.connect()
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


class ChannelBodyTests(EndingCase):
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
        wire.send(b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\n")
        wire.send(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(DISCARD_FACTOR + 1):
            wire.send(b"%x\r\n" % most + b"x" * most + b"\r\n")
        self.assertProblem(readResponse(wire.take()), 413, "tooLarge")
        self.assertEnds(wire)

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


class EarlyTests(EndingCase):
    """
    Responses that are sent before all of a request has arrived.
    """

    def refusal(self, origin: str = "https://friend.example", path: str = "/publish") -> Response:
        """
        Send a request with a body that is refused before it arrives.
        """
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Origin: {origin}"]
        head = "\r\n".join([*lines, "Content-Length: 99999999999", "", ""])
        return self.ask(head.encode("ascii"))

    def test_tellsPageOfAllowedOrigin(self) -> None:
        """
        A page of an allowed origin may read an error that is told early, another
        page may not.
        """
        for origin, allowed in (
            ("https://friend.example", "https://friend.example"),
            ("http://localhost", "http://localhost"),
            ("https://evil.example", None),
        ):
            for path, status, code in (
                ("/publish", 413, "tooLarge"),
                ("/channels/open/a", 413, "tooLarge"),
                ("/channels/a", 401, "unauthorized"),
                ("/nothing", 404, "notFound"),
                ("/health", 405, "methodNotAllowed"),
                ("http://localhost/publish", 413, "tooLarge"),
            ):
                response = self.refusal(origin, path)
                if origin == "https://evil.example" and status in (401, 413):
                    status, code = 403, "forbidden"
                self.assertProblem(response, status, code)
                self.assertEqual(response.header("Access-Control-Allow-Origin"), allowed)

    def test_tellsPageWhereEmbedded(self) -> None:
        """
        In an application's tree the page is told if the path leads to comet's
        resources, and is told nothing elsewhere.
        """
        root = Resource()
        root.putChild(b"push", CometResource(self.hub))
        root.putChild(b"own", Data(b"own", "text/plain"))
        self.site = CometSite(root, 100, reactor=self.clock)
        for path, allowed in (
            ("/push/channels/open/a", "https://friend.example"),
            ("/own", None),
            ("/", None),
        ):
            response = self.refusal(path=path)
            self.assertProblem(response, 413, "tooLarge")
            self.assertEqual(response.header("Access-Control-Allow-Origin"), allowed, path)

    def test_survivesBrokenTree(self) -> None:
        """
        A client is told also where the application cannot say which resource it
        meant.
        """

        class Broken(Resource):
            def getChild(self, path: bytes, request: Request) -> Resource:
                raise RuntimeError("broken")

        self.site = CometSite(Broken(), 100, reactor=self.clock)
        self.assertProblem(self.refusal(path="/a/b"), 413, "tooLarge")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_readsOnAfterRefusal(self) -> None:
        """
        After an early response the server discards what the client still sends,
        so that the client gets to read it, but not for long, however much the
        client sends.
        """
        wire = self.connect()
        wire.send(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        self.assertProblem(readResponse(wire.take()), 413, "tooLarge")
        for _ in range(4):
            wire.send(b"x" * 10000)
            self.turn(LINGER_TIME / 4 - 0.1)
            self.assertTrue(wire.isOpen)
        wire.send(b"x")
        self.turn(1)
        self.assertFalse(wire.isOpen)
        self.assertEqual(bytes(wire.transport.sent), b"")

    def test_forgetsClientThatReadsTheRefusal(self) -> None:
        """
        A client that closes after an early response is forgotten at once.
        """
        wire = self.connect()
        wire.send(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        wire.leave()
        self.assertNothingLeft()

    def test_tellsPageWhatIsWrongWithTheRequest(self) -> None:
        """
        A page of a listed origin may read also the errors of the first checks:
        a host that is not the server's, a header that cannot be.  No origin is
        the server's own by a host that is not.
        """
        wrong = b"GET /channels/a HTTP/1.1\r\nHost: evil.example\r\nOrigin: %b\r\n\r\n"
        for origin, allowed in (
            ("https://friend.example", "https://friend.example"),
            ("http://evil.example", None),
        ):
            response = self.ask(wrong % origin.encode("ascii"))
            self.assertProblem(response, 421, "wrongHost")
            self.assertEqual(response.header("Access-Control-Allow-Origin"), allowed)
        response = self.ask(get("/channels/a", "Origin: https://friend.example", "X: \x01"))
        self.assertProblem(response, 400, "badRequest")
        self.assertTrue(response.header("Access-Control-Allow-Origin"))


class Fields(Resource):
    """
    A resource of an application, which answers with the fields of its requests.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """
        Answer with the fields, and with the body.
        """
        assert request.content is not None and request.args is not None
        fields = {name.decode(): [v.decode() for v in vs] for name, vs in request.args.items()}
        return json.dumps([fields, request.content.read().decode()]).encode("ascii")


class LongPathTests(EndingCase):
    """
    Paths that would take long to look up.
    """

    def test_refusesLongPaths(self) -> None:
        """
        A path has half of the bytes of a request line at most, and one that is long has no
        percent sign that encodes nothing.  A request with a body is refused at its head.
        """
        half = self.site.maxLine // 2
        for path, status, code in (
            ("/" + "a" * half, 414, "tooLarge"),
            ("/channels/" + "%" * 5000, 400, "badRequest"),
            ("/channels/" + "%" * 50, 400, "badChannel"),
            ("/nowhere/" + "%41" * 5000, 404, "notFound"),
        ):
            for method in ("GET", "POST"):
                head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
                body = "Content-Length: 1000000\r\n" if method == "POST" else ""
                if code in ("badChannel", "notFound") and body:
                    continue
                response = self.ask(f"{head}{body}\r\n".encode("ascii"))
                self.assertProblem(response, status, code)


class FormTests(EndingCase):
    """
    Forms that are posted to an application's resources.
    """

    FORM = "Content-Type: application/x-www-form-urlencoded"
    PARTS = "Content-Type: multipart/form-data; boundary=b"

    def makeSite(self, resource: IResource) -> CometSite:
        """
        Make a site of an application with comet in it.
        """
        root = Resource()
        root.putChild(b"push", resource)
        root.putChild(b"fields", Fields())
        root.putChild(b"channels", Fields())
        limits = self.settings.limits
        return CometSite(root, limits.maxBatchBytes, limits.maxMessage, reactor=self.clock)

    def test_applicationGetsFields(self) -> None:
        """
        A resource of the application finds the fields of a form in the request's
        C{args}, with those of the query, and the body is there, too.
        """
        response = self.ask(post("/fields?x=1&b=2", b"a=3&b=4&c=", self.FORM))
        expected = {"x": ["1"], "b": ["4"], "a": ["3"], "c": [""]}
        self.assertEqual(response.json, [expected, "a=3&b=4&c="])
        body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n--b--\r\n'
        response = self.ask(post("/fields?x=1", body, self.PARTS))
        self.assertEqual(response.json, [{"x": ["1"], "a": ["hello"]}, body.decode()])

    def test_asOnTwistedsSite(self) -> None:
        """
        The application's resource gets just what it gets on a site of Twisted's.
        """
        plain = self.makePlainSite(self.site.resource)
        for request in (
            post("/fields?a=1", b"a=2", self.FORM),
            post("/fields?a=1", b"a=2", self.FORM + "; charset=utf-8"),
            post("/fields?a=1", b"a=2", "Content-Type: text/plain"),
            post("/fields?a=1", b"a=2"),
            post("/fields?a=1", b"", self.FORM),
            post("/fields?a=1", b"a=2", self.FORM).replace(b"POST", b"PUT", 1),
            get("/fields?a=1&a=2&b"),
        ):
            self.assertEqual(self.ask(request).body, self.ask(request, plain).body)

    def test_siteMayLeaveForms(self) -> None:
        """
        A site that was told to parse no forms parses none.
        """
        site = CometSite(Fields(), 1000, reactor=self.clock, parsePOSTFormSubmission=False)
        response = self.ask(post("/?x=1", b"a=2", self.FORM), site)
        self.assertEqual(response.json, [{"x": ["1"]}, "a=2"])

    def test_tellsBadForm(self) -> None:
        """
        A body that is not the form that its type says is refused when the
        application asks for its fields, and the connection serves on.
        """
        wire = self.connect()
        wire.send(post("/fields", b"x", "Content-Type: multipart/form-data") + get("/fields"))
        response = readResponse(wire.take())
        self.assertProblem(response, 400, "badRequest")
        self.assertEqual(readResponse(response.rest).status, 200)

    def test_applicationIsToldOfNoEmptyBody(self) -> None:
        """
        A body that is too large is refused in the place of the application's
        resource, which would see an empty body.
        """
        response = self.ask(post("/fields", b"a=" + b"x" * self.site.maxBody, self.FORM))
        self.assertProblem(response, 413, "tooLarge")

    def test_ownBodyIsNoForm(self) -> None:
        """
        Below comet's resources a body is a message, whatever its type, and is
        parsed as no form.
        """
        for kind, body in ((self.FORM, b"transport=poll"), (self.PARTS, b"no parts")):
            self.assertEqual(self.ask(post("/push/channels/a", body, kind)).status, 201)
        response = self.ask(get("/push/channels/a?transport=poll&since=-2"))
        self.assertEqual(response.json["messages"][0]["data"], "transport=poll")

    def test_boundOfMessageIsComets(self) -> None:
        """
        Only below comet's channels is a body bounded by the size of a message.
        """
        body = b"a=" + b"x" * self.settings.limits.maxMessage
        self.assertEqual(self.ask(post("/channels/a", body, self.FORM)).status, 200)
        self.assertProblem(self.ask(post("/push/channels/a", body, self.FORM)), 413, "tooLarge")


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
        pages = self.makeSite(CometResource(self.hub, hasPages=True))
        for root in ("HTTPS://127.0.0.1", "http://127.0.0.1?x"):
            response = self.ask(get(root), pages)
            self.assertEqual(response.status, 200)
            self.assertIn("text/html", response.header("Content-Type") or "")
        self.assertProblem(self.ask(get("http://evil.example/socket")), 421, "wrongHost")
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
