"""
Tests of L{comet.lean.parser}: what the lean edge parses, and what it leaves to
Twisted's edge.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.lean.parser import MAX_FIELDS, mayBeHead, readFields, readLine


class LineTests(SynchronousTestCase):
    """
    Tests of L{readLine}.
    """

    def test_parsesRequestLine(self) -> None:
        """
        The path ends at the first question mark, and nothing is decoded.
        """
        self.assertEqual(
            readLine(b"GET /channels/a%20b,c?since=now?x HTTP/1.1"),
            (b"GET", b"/channels/a%20b,c", b"since=now?x"),
        )
        self.assertEqual(readLine(b"POST /publish HTTP/1.1"), (b"POST", b"/publish", b""))

    def test_leavesOtherLines(self) -> None:
        """
        Other methods, versions and forms of the target are left to Twisted's
        edge, and so is what is no request line.
        """
        for line in (
            b"HEAD /channels/a HTTP/1.1",
            b"get /channels/a HTTP/1.1",
            b"GET /channels/a HTTP/1.0",
            b"GET /channels/a HTTP/2.0",
            b"GET http://localhost/channels/a HTTP/1.1",
            b"GET channels/a HTTP/1.1",
            b"GET * HTTP/1.1",
            b"GET  /channels/a HTTP/1.1",
            b"GET /channels/a  HTTP/1.1",
            b"GET /channels/a b HTTP/1.1",
            b"GET /channels/a HTTP/1.1 ",
            b"GET /channels/a#b HTTP/1.1",
            b"GET /channels/\xff HTTP/1.1",
            b"GET /channels/a\x00 HTTP/1.1",
            b"GET /channels/a\rb HTTP/1.1",
            b"GET /channels/a\tHTTP/1.1",
            b"GET /channels/a",
            b"",
        ):
            self.assertIsNone(readLine(line), line)


class FieldTests(SynchronousTestCase):
    """
    Tests of L{readFields}.
    """

    def test_parsesHeaders(self) -> None:
        """
        Names are returned in lower case, and values without white space around
        them.
        """
        self.assertEqual(
            readFields(b"Host: a:1\r\nX-Y:\t b  c \t\r\nEmpty:\r\n"),
            {b"host": b"a:1", b"x-y": b"b  c", b"empty": b""},
        )

    def test_leavesOtherHeaders(self) -> None:
        """
        Headers that parsers do not read alike are left to Twisted's edge, and
        so are those that change how the request is framed.
        """
        for block in (
            b"",
            b"\r\n",
            b"Host: a\r\n b\r\n",
            b"Host: a\r\n\tb: c\r\n",
            b"Host : a\r\n",
            b" Host: a\r\n",
            b"Host\r\n",
            b": a\r\n",
            b"Ho\x00st: a\r\n",
            b"Host: a\x00\r\n",
            b"Host: a\x0b\r\n",
            b"Host: a\x7f\r\n",
            b"Host: a\x85\r\n",
            b"Host: \xc3\xa4\r\n",
            b"Host: a\nX: b\r\n",
            b"Host: a\rX: b\r\n",
            b"Host: a\r\r\n",
            b"Host: a\n",
            b"Host: a",
            b"Host: a\r\nhost: b\r\n",
            b"X: a\r\nx: a\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: close\r\n",
            b"Connection: keep-alive, x\r\n",
            b"Connection: Upgrade, HTTP2-Settings\r\n",
            b"HTTP2-Settings: x\r\n",
            b"TE: trailers\r\n",
        ):
            self.assertIsNone(readFields(block), block)

    @given(st.binary(max_size=60))
    @settings(deadline=None)
    def test_valuesHoldNoControlCharacters(self, noise: bytes) -> None:
        """
        No value holds the end of a line or another control character, whatever
        bytes come.
        """
        for block in (noise, b"Host: a\r\n" + noise + b"\r\n", b"X: " + noise + b"\r\n"):
            for name, value in (readFields(block) or {}).items():
                self.assertTrue((name + value).replace(b"\t", b" ").isascii())
                self.assertTrue((name + value).replace(b"\t", b" ").decode().isprintable())


class PartTests(SynchronousTestCase):
    """
    Tests of L{mayBeHead}.
    """

    def test_waitsForWhatItTakes(self) -> None:
        """
        Each beginning of a head that is understood may be one.
        """
        fields = b"".join(b"a%d: b\r\n" % n for n in range(MAX_FIELDS - 1))
        head = b"POST /channels/a HTTP/1.1\r\n" + fields + b"Content-Length: 3 \r\n"
        for end in range(len(head) + 1):
            self.assertTrue(mayBeHead(head[:end]), head[:end])

    def test_leavesWhatItDoesNot(self) -> None:
        """
        A line or length that is none, and a header too many, are left to Twisted's
        edge at once.
        """
        for lines in (
            b"a b\r\n",
            b"Content-Length: 3x\r\n",
            b"content-length:\r\n",
            b"Content-Length: 3\r\nContent-Length: 3\r\n",
            b"a: b\r\nTRANSFER-ENCODING: chunked\r\n",
            b"a: b\r\n" * (MAX_FIELDS + 1),
        ):
            self.assertFalse(mayBeHead(b"POST /publish HTTP/1.1\r\n" + lines), lines)
        self.assertFalse(mayBeHead(b"POST /publish HTTP/1.0\r\n"))
