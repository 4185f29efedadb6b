"""
Tests of L{comet.transports.exchange}: what is the same for every request.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory, Request

from comet.access.rights import Access
from comet.errors import CometError, Unauthorized
from comet.http.credentials import Credentials
from comet.http.responses import Response
from comet.model.clients import KEY_HOLDER, Client
from comet.transports.channel import ChannelResource
from comet.transports.exchange import Exchange
from comet.transports.poll import PollResource
from comet.transports.resource import HubResource
from comet.transports.stream import StreamResource
from tests.transports.case import COMMON, HubTestCase, get, post, readHead, readResponse, request
from tests.transports.frames import UPGRADE, text
from tests.transports.wire import Wire

OWN = "Origin: http://localhost"
FRIEND = "Origin: https://friend.example"
STRANGER = "Origin: https://stranger.example"


class Dressed(Resource):
    """
    An application that sets headers and a cookie on each request before the
    resource below it renders.
    """

    def __init__(self, inner: Resource, *headers: tuple[bytes, bytes]) -> None:
        super().__init__()
        self.inner = inner
        self.headers = headers

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """
        Set the headers, and go on.
        """
        for name, value in self.headers:
            request.responseHeaders.addRawHeader(name, value)
        request.addCookie(b"session", b"of-the-application")
        return self.inner.getChildWithDefault(path, request)


class CheckTests(HubTestCase):
    """
    The checks of every request.
    """

    def test_refusesOtherHost(self) -> None:
        """
        A request for the host of another server is refused, and the error names
        the option that would allow it.
        """
        wire = self.connect()
        wire.send(b"GET /channels/news?wait=0 HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        response = readResponse(wire.take())
        self.assertProblem(response, 421, "wrongHost")
        self.assertIn("--public-url", response.json["detail"])

    def test_demandsHostInHTTP11(self) -> None:
        """
        HTTP/1.1 demands the header C{Host}, HTTP/1.0 does not.
        """
        wire = self.connect()
        wire.send(b"GET /health HTTP/1.1\r\n\r\n")
        self.assertProblem(readResponse(wire.take()), 400, "badRequest")
        wire = self.connect()
        wire.send(b"GET /health HTTP/1.0\r\n\r\n")
        self.assertEqual(readResponse(wire.take()).status, 200)

    def test_refusesControlCharacters(self) -> None:
        """
        A control character in a header value is refused.
        """
        for byte in (0x01, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F, 0x7F):
            wire = self.connect()
            wire.send(get("/channels/news?wait=0", f"X-A: foo{chr(byte)}X-B: bar"))
            self.assertProblem(readResponse(wire.take()), 400, "badRequest")

    def test_refusesBadKey(self) -> None:
        """
        A bad key is refused, also where no key is needed.
        """
        response = self.ask(get("/channels/news?wait=0", "Authorization: Bearer wrong"))
        self.assertProblem(response, 401, "unauthorized")
        self.assertEqual(response.header("WWW-Authenticate"), 'Bearer error="invalid_token"')

    def test_namesKnownMethods(self) -> None:
        """
        The response to an unknown method names the known ones, also for
        C{HEAD}.
        """
        response = self.ask(get("/channels/news", method="BREW"))
        self.assertProblem(response, 405, "methodNotAllowed")
        self.assertEqual(response.header("Allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS")
        response = self.ask(get("/publish", method="HEAD"))
        self.assertEqual(response.status, 405)
        self.assertEqual(response.header("Allow"), "POST, OPTIONS")

    def test_hidesOtherMethods(self) -> None:
        """
        The name of an HTTP method reaches only methods of the resource that are
        meant for it.
        """
        for method in ("__init__", "get", "GeT", "OPTION"):
            self.assertEqual(self.ask(get("/channels/news", method=method)).status, 405)

    def test_hidesCauseOfFailure(self) -> None:
        """
        An unexpected exception is logged, and the client is told nothing of its
        cause.
        """

        class Faulty(HubResource):
            def answer_GET(self, exchange: Exchange) -> None:
                raise ZeroDivisionError("a secret")

        response = self.ask(get("/"), self.makeSite(Faulty(self.hub)))
        self.assertProblem(response, 500, "internal")
        self.assertNotIn(b"secret", response.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_hidesCauseOfLateFailure(self) -> None:
        """
        An unexpected exception that comes late is logged, and the client is
        told nothing of its cause.
        """
        asked: Deferred[None] = Deferred()

        class Faulty(HubResource):
            def answer_GET(self, exchange: Exchange) -> None:
                exchange.respondWhen(asked, lambda _: Response(200, (), b""))

        wire = self.connect(self.makeSite(Faulty(self.hub)))
        wire.send(get("/"))
        self.assertEqual(wire.take(), b"")
        asked.errback(ZeroDivisionError("a secret"))
        self.assertProblem(readResponse(wire.take()), 500, "internal")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CORSTests(HubTestCase):
    """
    What a page of another origin may do and see.
    """

    def test_answersPreflight(self) -> None:
        """
        A page of an allowed origin is told what it may do, valid for a day.
        """
        response = self.ask(
            get(
                "/channels/news",
                FRIEND,
                "Access-Control-Request-Method: POST",
                method="OPTIONS",
            )
        )
        self.assertEqual((response.status, response.body), (204, b""))
        allow = response.header("Access-Control-Allow-Origin")
        self.assertEqual(allow, "https://friend.example")
        self.assertEqual(response.header("Access-Control-Max-Age"), "86400")
        self.assertIn("POST", response.header("Access-Control-Allow-Methods") or "")
        named = (response.header("Access-Control-Allow-Headers") or "").split(", ")
        for name in ("Authorization", "Comet-Event", "Idempotency-Key", "Last-Event-ID"):
            self.assertIn(name, named)
        self.assertEqual(response.header("Allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS")
        self.assertEqual(response.header("Content-Type"), None)

    def test_answersPreflightOfOtherOrigin(self) -> None:
        """
        A page of another origin gets no CORS headers.
        """
        response = self.ask(get("/channels/news", STRANGER, method="OPTIONS"))
        self.assertEqual(response.status, 204)
        self.assertEqual([n for n in response.headers if n.startswith("access-control")], [])

    def test_letsAllowedPagesRead(self) -> None:
        """
        A page of an allowed origin may read the response and its tag, for
        success, error and 304.  For other origins there is no header.
        """
        head = str(self.hub.end)
        for path, *more in (
            ("/channels/news?transport=poll",),
            ("/channels/a*b",),
            ("/channels/news?transport=poll", f'If-None-Match: "{head}"'),
            ("/nowhere",),
        ):
            response = self.ask(get(path, FRIEND, *more))
            allow = response.headers["access-control-allow-origin"]
            self.assertEqual(allow, ["https://friend.example"])
            exposed = response.header("Access-Control-Expose-Headers")
            self.assertEqual(exposed, "ETag, Retry-After")
            stranger = self.ask(get(path, STRANGER, *more))
            self.assertNotIn("access-control-allow-origin", stranger.headers)

    def test_refusesWritesOfOtherOrigins(self) -> None:
        """
        A page whose origin is not allowed can neither publish nor delete, even
        with the key; the server's own pages can.
        """
        for method in ("POST", "PUT", "DELETE"):
            for origin, status in ((STRANGER, 403), ("Origin: null", 403)):
                raw = request(method, "/channels/open/a", origin, body=b"x")
                self.assertProblem(self.ask(raw), status, "forbidden")
        self.assertEqual(self.ask(post("/channels/open/a", b"x", OWN)).status, 201)


class OwnHeadersTests(HubTestCase):
    """
    Headers that an application sets on Twisted's request are in the response,
    in all ways in which a response is written.
    """

    def dress(self, *headers: tuple[bytes, bytes]) -> None:
        """
        Serve the hub below an application that sets headers.
        """
        inner = Resource()
        inner.putChild(b"channels", ChannelResource(self.hub))
        self.site = self.makeSite(Dressed(inner, *headers))

    def answers(self) -> list[dict[str, list[str]]]:
        """
        Return the headers of one response of each kind.
        """
        found = []
        for path in (
            "/channels/a?transport=poll",
            "/channels/a?transport=longpoll&wait=0",
            "/channels/*b",
            "/channels/a?transport=sse",
            "/channels/a?transport=stream",
        ):
            wire = self.connect()
            wire.send(get(path, FRIEND))
            head, _, _ = wire.take().partition(b"\r\n\r\n")
            pairs: dict[str, list[str]] = {}
            for line in head.decode().split("\r\n")[1:]:
                name, _, value = line.partition(": ")
                pairs.setdefault(name.lower(), []).append(value)
            found.append(pairs)
        return found

    def test_keepsHeadersOfApplication(self) -> None:
        """
        Headers and cookies are in the response unchanged, also several of one
        name.
        """
        self.dress((b"X-Frame-Options", b"DENY"), (b"Link", b"<a>"), (b"Link", b"<b>"))
        for headers in self.answers():
            self.assertEqual(headers["x-frame-options"], ["DENY"])
            self.assertEqual(headers["link"], ["<a>", "<b>"])
            self.assertEqual(headers["set-cookie"], ["session=of-the-application"])

    def test_replacesHeadersOfApplication(self) -> None:
        """
        A header of the response replaces the application's of the same name.
        The application cannot change the framing or the content type.
        """
        self.dress(
            (b"Cache-Control", b"public"),
            (b"Content-Type", b"text/html"),
            (b"ETag", b'"x"'),
            (b"Access-Control-Allow-Origin", b"*"),
        )
        for headers in self.answers():
            self.assertEqual(headers["cache-control"], COMMON["cache-control"])
            self.assertEqual(len(headers["content-type"]), 1)
            self.assertNotEqual(headers["content-type"], ["text/html"])
            self.assertEqual(len(headers["date"]), 1)
            self.assertNotIn("server", headers)
            self.assertEqual(headers["access-control-allow-origin"], ["https://friend.example"])
        self.assertNotIn('"x"', str(self.answers()[0]["etag"]))


class SubclassTests(HubTestCase):
    """
    Subclasses that take names and rights from elsewhere.
    """

    def test_subclassChoosesNames(self) -> None:
        """
        A subclass chooses the names of a request.
        """

        class Mine(PollResource):
            def names(self, exchange: Exchange) -> tuple[str, ...]:
                return ("private/" + exchange.request.getCookie(b"user").decode(),)

        cursor = str(self.hub.end)
        self.publish("private/ann", "for ann")
        self.publish("private/bob", "for bob")
        site = self.makeSite(Mine(self.hub))
        response = self.ask(get(f"/?since={cursor}", "Cookie: user=ann"), site)
        self.assertEqual([m["data"] for m in response.json["messages"]], ["for ann"])

    def test_accessIdentifiesClient(self) -> None:
        """
        An access object identifies the client by its cookie, for every method and
        transport.
        """
        asked: list[str] = []

        class Mine(Access):
            def identify(self, credentials: Credentials) -> Client:
                asked.append(credentials.transport)
                if credentials.cookies.get("user") != "admin":
                    raise Unauthorized("log in first")
                return KEY_HOLDER

        self.hub.access = Mine()
        site = self.makeSite(ChannelResource(self.hub))
        admin = "Cookie: user=admin"
        self.assertEqual(self.ask(request("POST", "/news", admin, body=b"x"), site).status, 201)
        refused = request("POST", "/news", body=b"x")
        self.assertProblem(self.ask(refused, site), 401, "unauthorized")
        for transport in ("poll", "longpoll", "stream", "sse"):
            path = f"/news?transport={transport}"
            self.assertProblem(self.ask(get(path), site), 401, "unauthorized")
            wire = Wire(site)
            wire.send(get(path + "&since=-1", admin))
            self.assertIn(b"HTTP/1.1 200 OK", wire.take())
            wire.leave()
        reads = [each for each in ("poll", "longpoll", "stream", "sse") for _ in range(2)]
        self.assertEqual(asked, ["publish"] * 2 + reads)
        wire = Wire(site)
        wire.send(get("/news", *UPGRADE, admin) + text({"publish": "news", "data": 1}))
        self.turn()
        self.assertIn(b'{"ok":{"cursor":', wire.take())

    def test_clientFails(self) -> None:
        """
        A comet error that an access object raises is told to the client.
        """

        class Mine(Access):
            def identify(self, credentials: Credentials) -> Client:
                raise CometError("the sessions are out", 3.0)

        self.hub.access = Mine()
        response = self.ask(get("/news"), self.makeSite(PollResource(self.hub)))
        self.assertEqual((response.status, response.header("Retry-After")), (500, "3"))


class CompressionTests(HubTestCase):
    """
    Resources wrapped in Twisted's compression.
    """

    def test_notCompressed(self) -> None:
        """
        The response is neither compressed, which would hold it back, nor
        declared so.
        """
        self.publish("news", "hello")
        for kind in (PollResource, StreamResource):
            resource = EncodingResourceWrapper(kind(self.hub), [GzipEncoderFactory()])
            wire = self.connect(self.makePlainSite(resource))
            wire.send(get("/news?since=-1", "Accept-Encoding: gzip"))
            response = readHead(wire.take())
            self.assertIsNone(response.header("Content-Encoding"))
            self.assertIn(b'"data":"hello"', response.body)
            self.assertTrue(response.body.endswith((b"}\n", b"\r\n")))
