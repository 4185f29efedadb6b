"""
Requests that cannot be served: each is told by its status and its code, and
leaves no trace in the log.
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
    What the tests of errors have in common.
    """

    def assertProblem(self, answer: Response, status: int, codes: str, label: object = "") -> None:
        """
        An answer is a problem of this status, and has one of these codes.
        """
        self.assertEqual(answer.status, status, f"{label}: {answer}")
        code = problemOf(answer.status, answer.headers, answer.body)
        self.assertIn(code, codes.split(), f"{label}: {answer}")

    def raw(self, data: bytes, method: str = "GET") -> Response:
        """
        Send bytes, and read an answer to them.
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
    What is no channel, and no place to begin at.
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
        What is not a name is C{badChannel}, to read from and to publish to.
        """
        headers = {"Authorization": f"Bearer {self.site.key}"}
        for name in self.names:
            for method, body in (("GET", None), ("POST", b"x"), ("PUT", b"x")):
                answer = ask(self.site, method, f"/channels/{name}", headers, body)
                self.assertProblem(answer, 400, "badChannel", (method, name))

    def test_everyTransport(self) -> None:
        """
        So it is whatever the transport.
        """
        for client in self.each():
            error = self.assertRaises(Refused, self.begin, client, ["fine", "a//b"])
            self.assertEqual(error.code, "badChannel", client.name)

    def begin(self, client: Client, names: list[str]) -> None:
        """
        Read until there is a first answer.
        """
        client.open(names)
        client.next()

    def test_patterns(self) -> None:
        """
        Nobody publishes to a pattern, not even with the key.
        """
        headers = {"Authorization": f"Bearer {self.site.key}"}
        for name in ("chat/*", "**", "*", "a,chat/*"):
            answer = ask(self.site, "POST", f"/channels/{name}", headers, b"x")
            self.assertProblem(answer, 400, "badChannel", name)

    def test_serversOwn(self) -> None:
        """
        Nobody publishes to the server's own channels.
        """
        headers = {"Authorization": f"Bearer {self.site.key}"}
        for name in ("$stats", "$presence/a", "a/$b", "%24stats"):
            answer = ask(self.site, "POST", f"/channels/{name}", headers, b"x")
            self.assertProblem(answer, 403, "forbidden", name)

    def test_tooMany(self) -> None:
        """
        More names than a reader may have are C{badRequest}; as many as it may
        have are not.
        """
        names = [f"c{number}" for number in range(101)]
        for query in ("?transport=poll", "?transport=sse", "?transport=stream", ""):
            answer = ask(self.site, "GET", "/channels/" + ",".join(names) + query)
            self.assertProblem(answer, 400, "badRequest", query)
        answer = ask(self.site, "GET", "/channels/" + ",".join(names[1:]) + "?transport=poll")
        self.assertEqual(answer.status, 200)

    def test_cursors(self) -> None:
        """
        A place to begin at that cannot be read is C{badCursor}.
        """
        for since in ("rubbish", "-0", "-", "--1", "-1.5", "x-", "-x", "a-01", "a-1-2", "a%20-1"):
            for transport in ("poll", "longpoll", "stream", "sse", "multipart", "iframe", "jsonp"):
                path = f"/channels/a?transport={transport}&callback=cb&since={since}"
                self.assertProblem(ask(self.site, "GET", path), 400, "badCursor", path)
            path = f"/channels/a?transport=poll&since.a={since}"
            self.assertProblem(ask(self.site, "GET", path), 400, "badCursor", path)


class RequestErrorTests(ErrorCase):
    """
    What else is wrong with a request.
    """

    def test_transport(self) -> None:
        """
        There are only so many transports.
        """
        for transport in ("carrier-pigeon", "SSE", "%00"):
            answer = ask(self.site, "GET", f"/channels/a?transport={transport}")
            self.assertProblem(answer, 400, "badRequest", transport)

    def test_methods(self) -> None:
        """
        A method that a path does not understand is refused with those that it
        does; a path that there is not, is not found.
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
        A wait, or a limit, that is not a number is C{badRequest}.
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
        Only the hosts that this server is known by are served; the detail
        names the option that makes others known.
        """
        port = self.site.port
        evil = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80")
        for host in evil:
            for path in ("/channels/a?transport=poll", "/channels/a?transport=sse", "/publish"):
                answer = ask(self.site, "GET", path, {"Host": host})
                self.assertProblem(answer, 421, "wrongHost", host)
                self.assertIn(b"--public-url", answer.body)
        good = ("localhost", "LOCALHOST", f"localhost:{port}", "127.0.0.1", "[::1]", "10.1.2.3:99")
        for host in good:
            answer = ask(self.site, "GET", "/channels/a?transport=poll", {"Host": host})
            self.assertEqual(answer.status, 200, host)

    def test_badHost(self) -> None:
        """
        A request without a host, or with two, is refused.
        """
        for lines in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
            data = b"GET /channels/a?transport=poll HTTP/1.1\r\n" + lines + b"\r\n"
            self.assertIn(self.raw(data).status, (400, 421), lines)

    def test_controlCharacters(self) -> None:
        """
        A control character in the value of a header is C{badRequest}, whatever
        the header.
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
        What changes something is refused from an origin that is not allowed,
        also with the key; what is read, is read without CORS.
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
        A WebSocket is refused to an origin that is not allowed.
        """
        for names in ([], ["a"]):
            client = self.client("websocket")
            error = self.assertRaises(Refused, client.open, names, origin=ORIGIN)
            self.assertEqual((error.status, error.code), (403, "forbidden"))
            client.close()
            client.open(names, origin=f"http://127.0.0.1:{self.site.port}")

    def test_preflight(self) -> None:
        """
        A preflight is answered 204; only an allowed origin is named in it.
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
        What is not HTTP is answered with 400, or not at all.
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
        Bytes are answered with an error of the client's, or the connection is
        closed.
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
    What the options change.
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
        Ask once.
        """
        return ask(self.site, "GET", path, headers)

    def test_publicUrl(self) -> None:
        """
        The host of a public URL is served.
        """
        path = "/channels/a?transport=poll"
        self.assertEqual(self.get(path, {"Host": "push.example.com"}).status, 200)
        self.assertProblem(self.get(path, {"Host": "example.com"}), 421, "wrongHost")

    def test_allowOrigin(self) -> None:
        """
        An allowed origin may read, and learns C{ETag} and C{Retry-After}.
        """
        answer = self.get("/channels/a?transport=poll", {"Origin": "https://app.example.com"})
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example.com")
        exposed = answer.headers["access-control-expose-headers"].lower()
        self.assertEqual(set(exposed.replace(" ", "").split(",")), {"etag", "retry-after"})

    def test_maxChannels(self) -> None:
        """
        A reader has no more names than it may.
        """
        self.assertProblem(self.get("/channels/a,b,c", {}), 400, "badRequest")
