"""
Tests of L{comet.http.http1}.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.http.http1 import (
    ResponseTemplate,
    completeTemplate,
    encodeHead,
    encodeResponse,
    endConnection,
    streamTemplate,
)

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


class ResponseTests(SynchronousTestCase):
    """
    L{encodeResponse}.
    """

    def test_encodesWhole(self) -> None:
        """
        A response has its status, the date, the given headers, and the length
        of its body.
        """
        self.assertEqual(
            encodeResponse((1, 1), 200, [(b"ETag", b'"k3-7"')], b"{}", True, DATE),
            b"HTTP/1.1 200 OK\r\n"
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            b'ETag: "k3-7"\r\n'
            b"Content-Length: 2\r\n"
            b"\r\n"
            b"{}",
        )

    def test_endsConnection(self) -> None:
        """
        A response that is encoded already can be made the last of its connection.
        """
        for version, persistent in product(((1, 0), (1, 1)), (True, False)):
            for body in (b"", b"Connection: keep-alive\r\n\r\n"):
                kept, last = (
                    encodeResponse(version, 200, [(b"ETag", b"x")], body, persists, DATE)
                    for persists in (persistent, False)
                )
                self.assertEqual(
                    sorted(endConnection(kept).split(b"\r\n")), sorted(last.split(b"\r\n"))
                )
                self.assertTrue(endConnection(kept).endswith(b"\r\n\r\n" + body))

    def test_refusesBodyOfBodiless(self) -> None:
        """
        A status without a body has no length, and a body is refused.
        """
        for status in (204, 304):
            response = encodeResponse((1, 1), status, [], b"", True, DATE)
            self.assertNotIn(b"Content-Length", response)
            self.assertTrue(response.endswith(b"\r\n\r\n"))
            self.assertRaises(ValueError, encodeResponse, (1, 1), status, [], b"x", True, DATE)

    def test_tellsIfConnectionStays(self) -> None:
        """
        The header C{Connection} is there if the connection does not do what is
        usual in the client's version.  The version of the response is the
        server's.
        """
        for version, persistent, told in (
            ((1, 1), True, None),
            ((1, 1), False, b"Connection: close\r\n"),
            ((1, 0), True, b"Connection: keep-alive\r\n"),
            ((1, 0), False, b"Connection: close\r\n"),
        ):
            response = encodeResponse(version, 200, [], b"", persistent, DATE)
            self.assertTrue(response.startswith(b"HTTP/1.1 200 OK\r\n"))
            self.assertEqual(response.count(b"Connection: "), 0 if told is None else 1)
            self.assertIn(told or b"", response)

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.from_regex(rb"\AX-[A-Za-z0-9]{1,8}\Z"), st.binary())),
        st.binary(),
    )
    def test_canBeReadAgain(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """
        The headers and the body can be read from a response, unless a value
        with a line break was refused.
        """
        try:
            response = encodeResponse((1, 1), 200, headers, body, True, DATE)
        except ValueError:
            self.assertTrue(any(set(value) & {0, 10, 13} for _, value in headers))
            return
        head, _, rest = response.partition(b"\r\n\r\n")
        self.assertEqual(rest, body)
        lines = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[2:-1]]
        self.assertEqual(lines, headers)


class HeadTests(SynchronousTestCase):
    """
    L{encodeHead}.
    """

    def test_tellsChunks(self) -> None:
        """
        The head of a chunked response names the chunks, and no length.
        """
        self.assertEqual(
            encodeHead((1, 1), 200, [(b"Content-Type", b"text/event-stream")], True, True, DATE),
            b"HTTP/1.1 200 OK\r\n"
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            b"Content-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"\r\n",
        )

    def test_tellsEnd(self) -> None:
        """
        A response without chunks always ends with the connection, and a
        chunked one may.
        """
        for chunked, persistent in ((False, False), (False, True), (True, False)):
            head = encodeHead((1, 1), 200, [], chunked, persistent, DATE)
            self.assertEqual(head.count(b"Connection: close\r\n"), 1)
            self.assertEqual(b"Transfer-Encoding: chunked\r\n" in head, chunked)

    def test_refusesChunksForHTTP10(self) -> None:
        """
        Chunks are refused for a client of HTTP/1.0.
        """
        self.assertRaises(ValueError, encodeHead, (1, 0), 200, [], True, True, DATE)
        self.assertNotIn(b"chunked", encodeHead((1, 0), 200, [], False, False, DATE))

    def test_refusesLineBreaks(self) -> None:
        """
        A header with a line break is refused, and so is the date.
        """
        for name, value in (
            (b"X-A", b"a\r\nX-B: b"),
            (b"X-A", b"a\nb"),
            (b"X-A", b"a\rb"),
            (b"X-A", b"a\0b"),
            (b"X-A\r\nX-B", b"b"),
            (b"X-A\n", b"b"),
            (b"X-A: b\r\nX-B", b"b"),
            (b"X A", b"b"),
            (b"", b"b"),
        ):
            self.assertRaises(
                ValueError, encodeHead, (1, 1), 200, [(name, value)], True, True, DATE
            )
        self.assertRaises(ValueError, encodeHead, (1, 1), 200, [], True, True, b"now\r\nX-A: b")

    def test_refusesFraming(self) -> None:
        """
        A header of framing and the date are refused among the given headers.
        """
        for name in (b"Connection", b"Content-length", b"DATE", b"Transfer-Encoding"):
            self.assertRaises(ValueError, encodeHead, (1, 1), 200, [(name, b"1")], True, True, DATE)


class TemplateTests(SynchronousTestCase):
    """
    L{ResponseTemplate}: response heads that are encoded once.
    """

    headers = ((b"Content-Type", b"text/plain"), (b"X-A", b"100 %b %"))

    def date(self, filled: bytes) -> bytes:
        """
        The date of a filled template, which has to be that of now.
        """
        date = filled.split(b"\r\n")[1].removeprefix(b"Date: ")
        then = parsedate_to_datetime(date.decode("ascii")).timestamp()
        self.assertLess(abs(then - time.time()), 60)
        return date

    def test_fillsWhatEncodeResponseEncodes(self) -> None:
        """
        A filled template is byte for byte what L{encodeResponse} makes, for
        every version, persistence and status.
        """
        versions, statuses = ((1, 0), (1, 1)), ((200, b"a body"), (200, b""), (304, b""))
        for version, persistent, (status, body) in product(versions, (True, False), statuses):
            template = ResponseTemplate.complete(version, status, self.headers, persistent)
            filled = template.fill(body)
            date = self.date(filled)
            self.assertEqual(
                filled, encodeResponse(version, status, self.headers, body, persistent, date)
            )

    def test_fillsEntityTag(self) -> None:
        """
        The entity tag is the first header that is given.
        """
        headers = ((b"ETag", b'"k3-7"'), *self.headers)
        for status, body in ((200, b"a body"), (304, b"")):
            template = ResponseTemplate.complete((1, 1), status, self.headers, True, isTagged=True)
            filled = template.fill(body, b"k3-7")
            date = self.date(filled)
            self.assertEqual(filled, encodeResponse((1, 1), status, headers, body, True, date))

    def test_fillsHeadOfStream(self) -> None:
        """
        A filled template of a stream is the head that L{encodeHead} makes.
        """
        for chunked in (True, False):
            filled = ResponseTemplate.stream((1, 1), self.headers, chunked).fill()
            date = self.date(filled)
            self.assertEqual(filled, encodeHead((1, 1), 200, self.headers, chunked, False, date))
        self.assertRaises(ValueError, ResponseTemplate.stream, (1, 0), self.headers, True)

    def test_refusesHeaders(self) -> None:
        """
        A header that could end its line, fill a hole, or frame the response is
        refused.
        """
        for header in ((b"X-A", b"a\r\nX-B: b"), (b"X-A", b"a\0b"), (b"Content-Length", b"1")):
            self.assertRaises(ValueError, ResponseTemplate.complete, (1, 1), 200, [header], True)

    def test_remembersTemplates(self) -> None:
        """
        The templates of HTTP/1.1 for the same headers are made once.
        """
        complete, stream = completeTemplate(200, self.headers), streamTemplate(self.headers)
        self.assertIs(completeTemplate(200, (*self.headers,)), complete)
        self.assertIs(streamTemplate((*self.headers,)), stream)
        filled = complete.fill(b"a body")
        self.assertEqual(
            filled,
            encodeResponse((1, 1), 200, self.headers, b"a body", True, self.date(filled)),
        )
        filled = stream.fill()
        date = self.date(filled)
        self.assertEqual(filled, encodeHead((1, 1), 200, self.headers, True, False, date))
