"""
Tests of publications that are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.edge.connections import Response, ask
from tests.edge.publisher import headersOf
from tests.edge.test_errors import ErrorCase

BAD_JSON: tuple[bytes, ...] = (
    b"",
    b" ",
    b"{",
    b"[1,]",
    b"{'a':1}",
    b'{"a":1,}',
    b"nan",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"[NaN]",
    b"1e400",
    b"-1e400",
    b"01",
    b"1.",
    b"+1",
    b"0x10",
    b"1 2",
    b'"a\nb"',
    b'"a\x01b"',
    b'"\\x"',
    b'"\\ud800"',
    b'{"\\udc00":1}',
    b'"\\ud800\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b"\xef\xbb\xbf1",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"9" * 5000,
    b"[" * 65 + b"]" * 65,
    b"[" * 20000,
    b'{"a":' * 65 + b"1" + b"}" * 65,
    b"undefined",
    b'"unfinished',
    b"1\n2",
)
GOOD_JSON: tuple[bytes, ...] = (
    b"18446744073709551615",
    b"-9223372036854775808",
    b"[" * 64 + b"]" * 64,
    b' {"a" : [ 1 , 2 ] }\n',
    b'"\\ud83d\\ude00"',
    b"1e308",
    b"null",
)


class PublishingErrorTests(ErrorCase):
    """
    Publications of one message, to the URL of its channel.
    """

    def post(self, body: bytes, path: str = "", **headers: str) -> Response:
        """
        Publish with the key.
        """
        given = headersOf(self.site, {key.replace("_", "-"): v for key, v in headers.items()})
        return ask(self.site, "POST", path or f"/channels/{self.channel('c')}", given, body)

    def test_json(self) -> None:
        """
        A body that is not strict JSON within the limits is C{badMessage}.
        """
        for body in BAD_JSON:
            self.assertProblem(self.post(body), 400, "badMessage", body[:40])
        for body in GOOD_JSON:
            self.assertEqual(self.post(body).status, 201, body[:40])

    def test_text(self) -> None:
        """
        A text that is not UTF-8 is C{badMessage}.
        """
        for contentType in ("text/plain", "application/x-www-form-urlencoded"):
            answer = self.post(b"a\xffb", Content_Type=contentType)
            self.assertProblem(answer, 400, "badMessage", contentType)
        headers = {"Authorization": f"Bearer {self.site.key}"}
        answer = ask(self.site, "POST", f"/channels/{self.channel('c')}", headers, b"\xc0\x80")
        self.assertProblem(answer, 400, "badMessage")

    def test_tooLarge(self) -> None:
        """
        A message of the largest size is accepted, and one byte more is
        C{tooLarge}.
        """
        self.assertEqual(self.post(b"x" * 65536, Content_Type="text/plain").status, 201)
        for size in (65537, 1000000):
            answer = self.post(b"x" * size, Content_Type="text/plain")
            self.assertProblem(answer, 413, "tooLarge", size)
        self.assertProblem(self.post(b'"' + b"x" * 65536 + b'"'), 413, "tooLarge")

    def test_announced(self) -> None:
        """
        A body whose announced length is far too large is refused before it has
        come.
        """
        answer = self.raw(
            b"POST /channels/open/x HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 99999999999\r\n\r\n",
            "POST",
        )
        self.assertProblem(answer, 413, "tooLarge")

    def test_key(self) -> None:
        """
        A publication without the key, or with another key, is refused.  A wrong
        key is an error also where all publishers are allowed.
        """
        site, closed, opened = self.site, "/channels/closed", f"/channels/{self.channel('c')}"
        self.assertIn(ask(site, "POST", closed, {}, b"x").status, (401, 403))
        self.assertEqual(ask(site, "POST", opened, {}, b"x").status, 201)
        wrong = (
            f"Bearer {site.key}x",
            "Bearer wrong",
            f"Bearer {site.key[:-1]}",
            "Bearer \xff\xfe",
        )
        for value in wrong:
            for path in (closed, opened):
                answer = ask(site, "POST", path, {"Authorization": value}, b"x")
                self.assertProblem(answer, 401, "unauthorized", value)
                self.assertNotIn(site.key.encode(), answer.body)

    def test_idempotencyKey(self) -> None:
        """
        A repeated idempotency key publishes no second message, and gets the
        first answer.  With another body, or if it is not well formed, it is an
        error.
        """
        first = self.post(b"1", Idempotency_Key="k 1")
        again = self.post(b"1", Idempotency_Key="k 1")
        self.assertEqual((first.status, first.body), (201, again.body))
        self.assertProblem(self.post(b"2", Idempotency_Key="k 1"), 422, "keyReused")
        other = self.post(b"2", f"/channels/{self.channel('d')}", Idempotency_Key="k 1")
        self.assertEqual(other.status, 201)
        for key in ("k" * 129, "\xe9", ""):
            self.assertProblem(self.post(b"1", Idempotency_Key=key), 400, "badRequest", key)
        self.assertEqual(self.post(b"1", Idempotency_Key="k" * 128).status, 201)

    def test_event(self) -> None:
        """
        An event name that is not well formed is refused.
        """
        for event in ("open", "error", "$gap", "e" * 65):
            answer = self.post(b"1", Comet_Event=event)
            self.assertProblem(answer, 400, "badRequest badMessage", event)


class BatchErrorTests(ErrorCase):
    """
    Batches: either all messages are published, or none.
    """

    def good(self, **fields: object) -> dict[str, object]:
        """
        Make a line that can be published.
        """
        return {"channel": self.channel("c"), "data": 1, **fields}

    def batch(self, *lines: object, contentType: str = "application/x-ndjson") -> Response:
        """
        Publish a batch; lines that are bytes are sent as they are.
        """
        body = b"".join(
            (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"
            for line in lines
        )
        headers = headersOf(self.site, {"Content-Type": contentType})
        return ask(self.site, "POST", "/publish", headers, body)

    def bad(self) -> Iterator[tuple[object, int, str]]:
        """
        Yield lines that cannot be published, each with the status and code of
        the error.
        """
        name = json.dumps(self.channel("c")).encode()
        for body in BAD_JSON:
            if b"\n" not in body and body.strip():
                yield b'{"channel":' + name + b',"data":' + body + b"}", 400, "badMessage"
        yield b"[]", 400, "badMessage"
        yield b"7", 400, "badMessage"
        yield {"data": 1}, 400, "badMessage badRequest badChannel"
        yield {"channel": 5, "data": 1}, 400, "badMessage badRequest badChannel"
        yield {"channel": self.channel("c")}, 400, "badMessage badRequest"
        yield self.good(channel="a//b"), 400, "badChannel"
        yield self.good(channel="chat/*"), 400, "badChannel"
        yield self.good(channel="$stats"), 403, "forbidden"
        yield self.good(event="open"), 400, "badMessage badRequest"
        yield self.good(event=5), 400, "badMessage badRequest"
        yield self.good(encoding="rot13"), 400, "badMessage badRequest"
        yield self.good(encoding="base64", data="!"), 400, "badMessage badRequest"
        yield self.good(encoding="base64", data=5), 400, "badMessage badRequest"
        yield self.good(key="k" * 129), 400, "badMessage badRequest"
        yield self.good(key=5), 400, "badMessage badRequest"
        yield self.good(data="x" * 65537), 413, "tooLarge"

    def test_lines(self) -> None:
        """
        If one line of a batch is bad, no line is published.
        """
        path = f"/channels/{self.channel('c')}"
        self.assertEqual(self.batch(self.good()).status, 201)
        head = ask(self.site, "HEAD", path).headers["etag"]
        for line, status, codes in self.bad():
            answer = self.batch(self.good(), line, self.good())
            self.assertProblem(answer, status, codes, str(line)[:100])
            self.assertEqual(ask(self.site, "HEAD", path).headers["etag"], head, str(line)[:100])

    def test_keys(self) -> None:
        """
        A key that is twice in a batch with different data is C{keyReused}; with
        the same data it publishes one message.
        """
        answer = self.batch(self.good(key="b1"), self.good(key="b1", data=2))
        self.assertProblem(answer, 422, "keyReused")
        answer = self.batch(self.good(key="b2"), self.good(key="b2"))
        self.assertEqual(answer.status, 201)
        one, two = json.loads(answer.body)["cursors"]
        self.assertEqual(one, two)

    def test_form(self) -> None:
        """
        A batch of another content type, or with too many lines, is
        C{badRequest}; with too many bytes it is C{tooLarge}.
        """
        for contentType in ("application/json", "text/plain", "application/x-ndjsonx"):
            answer = self.batch(self.good(), contentType=contentType)
            self.assertProblem(answer, 400, "badRequest", contentType)
        self.assertProblem(self.batch(*[self.good()] * 1001), 400, "badRequest")
        self.assertEqual(self.batch(*[self.good()] * 1000).status, 201)
        answer = self.batch(*[self.good(data="x" * 60000)] * 75)
        self.assertProblem(answer, 413, "tooLarge")

    def test_mayNot(self) -> None:
        """
        A batch without the key is refused if one of its channels is not open to
        all publishers.
        """
        for name, status in ((self.channel("c"), {201}), ("closed", {401, 403})):
            body = json.dumps({"channel": name, "data": 1}).encode()
            headers = {"Content-Type": "application/x-ndjson"}
            self.assertIn(ask(self.site, "POST", "/publish", headers, body).status, status)
