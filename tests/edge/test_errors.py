"""
Tests of requests that cannot be served: each is answered with a status and a
code, and is not logged.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client, Refused
from tests.edge.connections import HttpConnection, Response, TcpConnection, ask
from tests.edge.envelopes import problemOf
from tests.edge.publisher import publish

ORIGIN = "http://evil.example"


class ErrorCase(EdgeTestCase):
    """
    The base class of the tests of errors.
    """

    def assertProblem(self, answer: Response, status: int, codes: str, label: object = "") -> None:
        """
        Check that a response is a problem with this status and one of these
        codes.
        """
        self.assertEqual(answer.status, status, f"{label}: {answer}")
        code = problemOf(answer.status, answer.headers, answer.body)
        self.assertIn(code, codes.split(), f"{label}: {answer}")

    def raw(self, data: bytes, method: str = "GET") -> Response:
        """
        Send bytes, and read a response.
        """
        tcp = TcpConnection(self.site.port)
        try:
            tcp.send(data)
            connection = HttpConnection(tcp)
            connection.expect(method)
            return connection.answer()
        finally:
            tcp.close()


class NameErrorTests(ErrorCase):
    """
    Wrong names and wrong start positions.
    """

    names = (
        "a//b",
        "/a",
        "a/",
        "a/./b",
        "a/../b",
        "..",
        "a%2Fb",
        "a%2fb",
        "a%2Cb",
        "a%00b",
        "a%0Ab",
        "a%7Fb",
        "a%C2%85b",
        "a%3Fb",
        "a%23b",
        "a*b",
        "**/a",
        "a/**/b",
        "a%ffb",
        "a,",
        ",a",
        "a,,b",
        "%ED%A0%80",
        "x" * 256,
        "%C3%A9" * 128,
    )

    def test_names(self) -> None:
        """
        To read or publish with a name that is not well formed is C{badChannel}.
        """
        headers = {"Authorization": f"Bearer {self.site.key}"}
        for name in self.names:
            for method, body in (("GET", None), ("POST", b"x"), ("PUT", b"x")):
                answer = ask(self.site, method, f"/channels/{name}", headers, body)
                self.assertProblem(answer, 400, "badChannel", (method, name))

    def test_everyTransport(self) -> None:
        """
        A name that is not well formed is C{badChannel} on every transport.
        """
        for client in self.each():
            error = self.assertRaises(Refused, self.begin, client, ["fine", "a//b"])
            self.assertEqual(error.code, "badChannel", client.name)

    def begin(self, client: Client, names: list[str]) -> None:
        """
        Open a client, and wait for its first event.
        """
        client.open(names)
        client.next()

    def test_patterns(self) -> None:
        """
        To publish to a pattern is refused, also with the key.
        """
        headers = {"Authorization": f"Bearer {self.site.key}"}
        for name in ("chat/*", "**", "*", "a,chat/*"):
            answer = ask(self.site, "POST", f"/channels/{name}", headers, b"x")
            self.assertProblem(answer, 400, "badChannel", name)

    def test_serversOwn(self) -> None:
        """
        To publish to the server's own channels is refused.
        """
        headers = {"Authorization": f"Bearer {self.site.key}"}
        for name in ("$stats", "$presence/a", "a/$b", "%24stats"):
            answer = ask(self.site, "POST", f"/channels/{name}", headers, b"x")
            self.assertProblem(answer, 403, "forbidden", name)

    def test_tooMany(self) -> None:
        """
        A request with more names than a reader may have is C{badRequest}; with
        the allowed number it is served.
        """
        names = [f"c{number}" for number in range(101)]
        for query in ("?transport=poll", "?transport=sse", "?transport=stream", ""):
            answer = ask(self.site, "GET", "/channels/" + ",".join(names) + query)
            self.assertProblem(answer, 400, "badRequest", query)
        answer = ask(self.site, "GET", "/channels/" + ",".join(names[1:]) + "?transport=poll")
        self.assertEqual(answer.status, 200)

    def test_cursors(self) -> None:
        """
        A start position that is not well formed is C{badCursor}.
        """
        for since in ("rubbish", "-0", "-", "--1", "-1.5", "x-", "-x", "a-01", "a-1-2", "a%20-1"):
            for transport in ("poll", "longpoll", "stream", "sse", "multipart", "iframe", "jsonp"):
                path = f"/channels/a?transport={transport}&callback=cb&since={since}"
                self.assertProblem(ask(self.site, "GET", path), 400, "badCursor", path)
            path = f"/channels/a?transport=poll&since.a={since}"
            self.assertProblem(ask(self.site, "GET", path), 400, "badCursor", path)


class RequestErrorTests(ErrorCase):
    """
    Other errors of a request.
    """

    def test_transport(self) -> None:
        """
        An unknown transport is refused.
        """
        for transport in ("carrier-pigeon", "SSE", "%00"):
            answer = ask(self.site, "GET", f"/channels/a?transport={transport}")
            self.assertProblem(answer, 400, "badRequest", transport)

    def test_methods(self) -> None:
        """
        A method that a path does not have is refused, and C{Allow} lists the
        methods that it has; an unknown path is not found.
        """
        for method, path in (
            ("PATCH", "/channels/a"),
            ("BREW", "/channels/a"),
            ("GET", "/publish"),
            ("DELETE", "/publish"),
            ("POST", "/health"),
        ):
            answer = ask(self.site, method, path, None, b"")
            self.assertProblem(answer, 405, "methodNotAllowed", (method, path))
            self.assertTrue(answer.headers["allow"], (method, path))
        for path in ("/nowhere", "/channel/a", "/health/x", "/%00", "/../etc/passwd"):
            self.assertProblem(ask(self.site, "GET", path), 404, "notFound", path)

    def test_parameters(self) -> None:
        """
        A C{wait} or a C{limit} that is not a number is C{badRequest}.
        """
        for query in ("wait=x", "wait=-1", "limit=x", "limit=-1", "wait=nan", "wait=1e999"):
            answer = ask(self.site, "GET", f"/channels/a?{query}")
            self.assertProblem(answer, 400, "badRequest", query)

    def test_unknownParameters(self) -> None:
        """
        Unknown parameters are ignored.
        """
        answer = ask(self.site, "GET", "/channels/a?transport=poll&colour=red&x")
        self.assertEqual(answer.status, 200)

    def test_host(self) -> None:
        """
        A request for a host that the server does not know is refused; the
        detail names the option that adds hosts.
        """
        port = self.site.port
        evil = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80")
        for host in evil:
            for path in ("/channels/a?transport=poll", "/channels/a?transport=sse", "/publish"):
                answer = ask(self.site, "GET", path, {"Host": host})
                self.assertProblem(answer, 421, "wrongHost", host)
                self.assertIn(b"--public-url", answer.body)
        for headers, status in (
            ({}, 421),
            ({"Authorization": "Bearer not-the-key-of-this"}, 421),
            ({"Authorization": f"Bearer {self.site.key}"}, 201),
            ({"Authorization": f"Bearer {self.site.key}", "Origin": "http://comet:8080"}, 403),
        ):
            # Twice: what the first request came to may be remembered.
            for _ in range(2):
                named = {"Host": "comet:8080", **headers}
                answer = ask(self.site, "POST", "/channels/a", named, b"x")
                self.assertEqual(answer.status, status, headers)
        for path in ("/health", "/health/live", "/health/ready"):
            self.assertEqual(ask(self.site, "GET", path, {"Host": "comet:8080"}).status, 200)
        good = (
            *("localhost", "LOCALHOST", f"localhost:{port}", "localhost.", f"localhost.:{port}"),
            *("127.0.0.1", "127.0.0.1:", "[::1]", "10.1.2.3:99"),
        )
        for host in good:
            answer = ask(self.site, "GET", "/channels/a?transport=poll", {"Host": host})
            self.assertEqual(answer.status, 200, host)

    def test_badHost(self) -> None:
        """
        A request without C{Host}, or with two, is refused.
        """
        for lines in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
            data = b"GET /channels/a?transport=poll HTTP/1.1\r\n" + lines + b"\r\n"
            self.assertIn(self.raw(data).status, (400, 421), lines)

    def test_controlCharacters(self) -> None:
        """
        A control character in the value of any header is C{badRequest}.
        """
        for name in (b"X-Anything", b"Comet-Event", b"Last-Event-ID", b"If-None-Match"):
            for byte in (b"\x01", b"\x1f", b"\x7f", b"\x0b"):
                data = (
                    b"GET /channels/a?transport=poll HTTP/1.1\r\nHost: localhost\r\n"
                    + name
                    + b": a"
                    + byte
                    + b"b\r\n\r\n"
                )
                self.assertProblem(self.raw(data), 400, "badRequest", (name, byte))

    def test_origin(self) -> None:
        """
        A request that changes something is refused from a foreign origin, also
        with the key.  A request that reads is served without CORS headers.
        """
        site, good = self.site, f"http://127.0.0.1:{self.site.port}"
        headers = {"Authorization": f"Bearer {site.key}"}
        name = self.channel("c")
        for origin in (ORIGIN, "null", f"http://127.0.0.1:{site.port}.evil.example", "rubbish"):
            for method, path in (
                ("POST", f"/channels/{name}"),
                ("PUT", f"/channels/{name}"),
                ("DELETE", f"/channels/{name}"),
                ("POST", "/publish"),
            ):
                given = {**headers, "Origin": origin}
                answer = ask(site, method, path, given, b"x")
                self.assertProblem(answer, 403, "forbidden", (method, origin))
            answer = ask(site, "GET", f"/channels/{name}?transport=poll", {"Origin": origin})
            self.assertNotIn("access-control-allow-origin", answer.headers, origin)
        self.assertEqual(publish(site, name, 1, {"Origin": good}).data, 1)
        answer = ask(site, "GET", f"/channels/{name}?transport=poll", {"Origin": good})
        self.assertEqual(answer.headers["access-control-allow-origin"], good)

    def test_originOfWebSockets(self) -> None:
        """
        A WebSocket of a foreign origin is refused.
        """
        for names in ([], ["a"]):
            client = self.client("websocket")
            error = self.assertRaises(Refused, client.open, names, origin=ORIGIN)
            self.assertEqual((error.status, error.code), (403, "forbidden"))
            client.close()
            client.open(names, origin=f"http://127.0.0.1:{self.site.port}")

    def test_preflight(self) -> None:
        """
        A preflight is answered with 204, which names the origin only if it is
        allowed.
        """
        good = f"http://127.0.0.1:{self.site.port}"
        for origin in (good, ORIGIN):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = ask(self.site, "OPTIONS", "/channels/a", headers)
            self.assertEqual((answer.status, answer.body), (204, b""))
            allowed = answer.headers.get("access-control-allow-origin")
            self.assertEqual(allowed, good if origin == good else None)

    def test_broken(self) -> None:
        """
        Bytes that are not HTTP are answered with 400, or the connection is
        closed.
        """
        for data in (
            b"\0\1\2\3\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
            b"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
            b"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /channels/a HTTP/1.1\r\n" + b"X-Long: " + b"x" * 100000 + b"\r\n\r\n",
            b"GET /channels/" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
        ):
            self.assertRefused(data)
        self.assertEqual(ask(self.site, "GET", "/health").status, 200)

    def assertRefused(self, data: bytes) -> None:
        """
        Check that bytes are answered with a status from 400 to 499, or that the
        connection is closed.
        """
        tcp = TcpConnection(self.site.port)
        try:
            tcp.send(data)
            first = tcp.receive(5)
            if first:
                self.assertRegex(first, rb"^HTTP/1\.[01] 4[0-9][0-9] ")
        finally:
            tcp.close()


class OptionTests(ErrorCase):
    """
    Options that change which requests are served.
    """

    options = (
        "--public-url",
        "https://push.example.com",
        "--allow-origin",
        "https://app.example.com",
        "--max-channels",
        "2",
    )

    def get(self, path: str, headers: Mapping[str, str]) -> Response:
        """
        Send one C{GET} request.
        """
        return ask(self.site, "GET", path, headers)

    def test_publicUrl(self) -> None:
        """
        Requests for the host of C{--public-url} are served.
        """
        path = "/channels/a?transport=poll"
        self.assertEqual(self.get(path, {"Host": "push.example.com"}).status, 200)
        self.assertProblem(self.get(path, {"Host": "example.com"}), 421, "wrongHost")

    def test_allowOrigin(self) -> None:
        """
        A page of an allowed origin may read, and may see C{ETag} and
        C{Retry-After}.
        """
        answer = self.get("/channels/a?transport=poll", {"Origin": "https://app.example.com"})
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example.com")
        exposed = answer.headers["access-control-expose-headers"].lower()
        self.assertEqual(set(exposed.replace(" ", "").split(",")), {"etag", "retry-after"})

    def test_maxChannels(self) -> None:
        """
        C{--max-channels} bounds the names of a reader.
        """
        self.assertProblem(self.get("/channels/a,b,c", {}), 400, "badRequest")
