"""
Tests of requests that are refused before all of them has arrived, or before any
resource sees them: on both edges the client gets to read why.
"""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import quote

from tests.edge.case import EdgeTestCase
from tests.edge.connections import HttpConnection, Response, TcpConnection, ask
from tests.edge.envelopes import problemOf

PAGE = "https://page.example"


class RefusalTests(EdgeTestCase):
    """
    The lean edge, which is the default.
    """

    options: Sequence[str] = (
        *("--open", "open/**", "--allow-origin", PAGE),
        *("--allow-origin", "file://", "--allow-origin", "https://b\u00fccher.example"),
    )

    def say(self, said: bytes, method: str = "GET") -> Response:
        """
        Send bytes, and read a response.
        """
        tcp = TcpConnection(self.site.port)
        self.addCleanup(tcp.close)
        tcp.send(said)
        connection = HttpConnection(tcp)
        connection.expect(method)
        return connection.answer()

    def assertRefused(self, answer: Response, status: int, code: str) -> None:
        """
        Check that a response is an error.
        """
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(problemOf(answer.status, answer.headers, answer.body), code)

    def test_pageMayReadEveryError(self) -> None:
        """
        A page of an allowed origin may read every error, wherever it is found.
        """
        name = self.channel("c")
        for status, first, *headers in (
            (400, "GET /channels/a//b"),
            (400, "GET /channels/a?since=x"),
            (400, "GET /channels/a?account=a%20b"),
            (400, "GET /channels/a", "X: \x01"),
            (401, "GET /channels/a", "Authorization: Bearer wrong-wrong-wrong-wrong"),
            (401, "POST /channels/shut", "Content-Length: 0"),
            (404, "GET /nothing"),
            (405, "DELETE /publish"),
            (413, f"POST /channels/{name}", "Content-Length: 99999999999"),
            (413, "POST /publish", "Content-Length: 99999999999"),
            (413, f"POST /channels/{name}", "Expect: 100-continue", "Content-Length: 99999"),
            (414, f"GET /channels/a?x={'y' * 200000}"),
            (421, "GET /channels/a", "Host: elsewhere.example"),
            (431, "GET /channels/a", f"X: {'y' * 20000}"),
        ):
            lines = [f"{first} HTTP/1.1", f"Origin: {PAGE}", *headers]
            if status != 421:
                lines.append("Host: localhost")
            answer = self.say("\r\n".join([*lines, "", ""]).encode("latin-1"))
            self.assertEqual(answer.status, status, (first[:100], answer))
            allowed = answer.headers.get("access-control-allow-origin")
            self.assertEqual(allowed, PAGE, (first[:100], answer))

    def test_unusualOrigins(self) -> None:
        """
        Pages that are files of an app are allowed, and those of hosts with other
        letters than those of ASCII, as browsers name them.
        """
        for origin, allowed in (
            ("file://", "file://"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("file:///", None),
            ("https://bucher.example", None),
        ):
            headers = {"Origin": origin}
            answer = ask(self.site, "GET", "/channels/a?transport=poll", headers)
            self.assertEqual(answer.headers.get("access-control-allow-origin"), allowed, origin)

    def test_longestURL(self) -> None:
        """
        A hundred of the longest names fit into a URL; a longer one is 414, with
        the limit in the detail.
        """
        names = [quote(f"{n:03}" + "\u044f" * 126) for n in range(100)]
        head = f"GET /channels/{','.join(names)}?transport=poll HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertEqual(self.say(head.encode("ascii")).status, 200)
        answer = self.say(head.replace("?", "," * 100000 + "?").encode("ascii"))
        self.assertRefused(answer, 414, "tooLarge")
        self.assertIn(b"168192", answer.body)
        answer = self.say(head.replace("Host", f"X: {'y' * 20000}\r\nHost").encode("ascii"))
        self.assertRefused(answer, 431, "tooLarge")
        self.assertIn(b"16384", answer.body)

    def test_uploadReadsItsRefusal(self) -> None:
        """
        A client that sends all of a large body before it reads gets the refusal.
        """
        body = b"x" * 20_000_000
        for path in ("/publish", f"/channels/{self.channel('c')}") * 5:
            client = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=60)
            self.upload(client, path, body)

    def test_keepsNoUploadWithoutRight(self) -> None:
        """
        Clients that send all but the last byte of large batches, for a channel
        that is not theirs, are told so, and cost the server no memory.
        """
        size = 4_000_000
        lines = (b'{"channel":"shut","data":"%b"}\n' % (b"x" * 3000)) * (size // 3030)
        kind = f"Content-Type: application/x-ndjson\r\nContent-Length: {size}\r\n\r\n"
        head = f"POST /publish HTTP/1.1\r\nHost: localhost\r\n{kind}".encode("ascii")
        self.say(head + lines[:3100])
        before = self.server.resident()
        for _ in range(10):
            answer = self.say(head + lines, "POST")
            self.assertRefused(answer, 401, "unauthorized")
        self.assertLess(self.server.resident() - before, 2 * size)

    def upload(self, client: http.client.HTTPConnection, path: str, body: bytes) -> None:
        """
        Upload a body that is too large, and read the refusal.
        """
        self.addCleanup(client.close)
        client.request("POST", path, body)
        with client.getresponse() as answer:
            self.assertEqual(answer.status, 413)
            self.assertIn(b"tooLarge", answer.read())
        client.close()

    def test_codings(self) -> None:
        """
        A publication that was compressed by gzip is read as what it stands for.
        Another coding, another charset and a malformed type are refused.
        """
        channel, key = self.channel("c"), self.site.key

        def publish(body: bytes, **headers: str) -> Response:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            given["Authorization"] = f"Bearer {key}"
            return ask(self.site, "POST", f"/channels/{channel}", given, body)

        packed = gzip.compress(b'{"n":1}')
        kind = "application/json"
        answer = publish(packed, Content_Type=kind, Content_Encoding="gzip")
        self.assertEqual(answer.status, 201, answer)
        answer = ask(self.site, "GET", f"/channels/{channel}?transport=poll&since=-1")
        self.assertIn(b'"data":{"n":1}', answer.body)
        answer = publish(packed, Content_Type=kind, Content_Encoding="br")
        self.assertRefused(answer, 415, "unsupported")
        self.assertEqual(answer.headers["accept-encoding"], "gzip")
        answer = publish(b"x", Content_Type="text/plain; charset=iso-8859-1")
        self.assertRefused(answer, 415, "unsupported")
        self.assertRefused(publish(b"x", Content_Type="text"), 400, "badRequest")
        bomb = gzip.compress(bytes(10_000_000))
        self.assertRefused(publish(bomb, Content_Encoding="gzip"), 413, "tooLarge")

    def test_noHead(self) -> None:
        """
        Lines of LF alone are refused at once, and other bytes that no head has.
        """
        for said in (
            b"GET /channels/a HTTP/1.1\nHost: localhost\n\n",
            b"GET /channels/a HTTP/1.1\r\nHost: localhost\n\n",
            b"GET /health HTTP/1.1\nHost: localhost\n\n",
            b"GET /channels/a\x00",
            b"PING\n",
        ):
            self.assertRefused(self.say(said), 400, "badRequest")

    def test_TLS(self) -> None:
        """
        A client of TLS is told at once that this port has none.
        """
        context = ssl.create_default_context()
        raw = socket.create_connection(("127.0.0.1", self.site.port), timeout=10)
        with raw, self.assertRaises(ssl.SSLError):
            context.wrap_socket(raw, server_hostname="localhost")


class TwistedRefusalTests(RefusalTests):
    """
    The same on Twisted's edge.
    """

    options = (*RefusalTests.options, "--edge", "twisted")

    def test_uploadOverTLS(self) -> None:
        """
        A client of HTTP/1.1 over TLS, too, gets the refusal.
        """
        server = self.startTls()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for _ in range(3):
            client = http.client.HTTPSConnection(
                "127.0.0.1", server.port, timeout=60, context=context
            )
            self.upload(client, "/publish", b"x" * 20_000_000)
