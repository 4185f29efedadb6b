"""
Tests of L{comet.web.heads}: heads that are too large, and what is no head.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from twisted.web.resource import IResource

from comet.model.channels import MAX_NAME_BYTES
from comet.transports.detach import MAX_PIECES
from comet.web.heads import LINGER_TIME, MAX_DISCARDED, MAX_FIELDS, MAX_FIELDS_SIZE
from comet.web.site import CometSite
from comet.web.sitechannel import READ_SIZE
from tests.transports.case import HubTestCase, get, readResponse

FRIEND = "Origin: https://friend.example"


class HeadTestCase(HubTestCase):
    """
    A site as C{twistd comet} makes it.
    """

    def makeSite(self, resource: IResource) -> CometSite:
        """
        Make a site that knows how many names a request may have.
        """
        limits = self.settings.limits
        most = (limits.maxBatchBytes, limits.maxMessage, limits.maxLineBytes)
        return CometSite(resource, *most, reactor=self.clock)

    def assertRefused(self, request: bytes, status: int, allowed: str | None = None) -> str:
        """
        Assert that a request is refused with a whole response, however it is cut
        into pieces, and that the connection ends.

        @param allowed: The origin that the response allows.

        @return: The detail of the error.
        """
        detail = ""
        for size in (READ_SIZE, 1460):
            wire = self.connect()
            wire.sendIn(size, request)
            response = readResponse(wire.take())
            code = "badRequest" if status == 400 else "tooLarge"
            self.assertProblem(response, status, code)
            self.assertEqual(response.header("Access-Control-Allow-Origin"), allowed)
            self.assertEqual((response.header("Connection"), response.rest), ("close", b""))
            self.assertTrue(wire.transport.isHalfClosed)
            self.turn(LINGER_TIME + 0.1)
            self.assertFalse(wire.isOpen)
            detail = response.json["detail"]
        return detail


class LineTests(HeadTestCase):
    """
    Request lines.
    """

    def test_takesAllNames(self) -> None:
        """
        A URL may have as many names as are allowed, each as long as a name may be
        and percent-encoded, with a start position for each.
        """
        limit = self.settings.limits.maxChannels
        names = [quote(f"{n:03}" + "\u044f" * ((MAX_NAME_BYTES - 3) // 2)) for n in range(limit)]
        since = "&".join(f"since.{name}={self.hub.end}" for name in names)
        response = self.ask(get(f"/channels/{','.join(names)}?transport=poll&{since}"))
        self.assertEqual((response.status, response.json["messages"]), (200, []))

    def test_refusesLongLine(self) -> None:
        """
        A longer request line is refused with 414 and the limit, also if no end of
        it comes within the bound on what is discarded.
        """
        most = self.site.maxLine
        for path in (
            "/channels/" + "a," * most,
            f"/channels/a?x={'y' * most}",
            f"/channels/a?x={'y' * 3 * most}",
        ):
            detail = self.assertRefused(get(path), 414)
            self.assertIn(str(most), detail)
        self.assertRefused(b"GET /channels/" + b"a" * (MAX_DISCARDED + most + 1500), 414)

    def test_tellsPageOfLongLine(self) -> None:
        """
        A page of an allowed origin may read the 414.
        """
        path = "/channels/" + "a," * self.site.maxLine
        self.assertRefused(get(path, FRIEND), 414, "https://friend.example")
        self.assertRefused(get(path, "Origin: https://evil.example"), 414)

    def test_answersHeadWithoutBody(self) -> None:
        """
        The response to a HEAD with a long URL has no body.
        """
        path = "/channels/" + "a," * self.site.maxLine
        response = readResponse(self.raw(get(path, method="HEAD")), isHead=True)
        self.assertEqual((response.status, response.rest), (414, b""))

    def raw(self, request: bytes) -> bytes:
        """
        Send a request, and return all bytes of the answer.
        """
        wire = self.connect()
        wire.send(request)
        return wire.take()


class FieldsTests(HeadTestCase):
    """
    Headers.
    """

    def test_takesLargeHead(self) -> None:
        """
        Headers may be large, also behind a long request line, and on each request
        of a connection.
        """
        cookie = "Cookie: a=" + "b" * (MAX_FIELDS_SIZE - 100)
        request = get(f"/channels/a?transport=poll&x={'y' * 40000}", cookie)
        wire = self.connect()
        wire.send(request)
        first = readResponse(wire.take())
        wire.send(request * 2)
        second = readResponse(wire.take())
        third = readResponse(second.rest)
        self.assertEqual([each.status for each in (first, second, third)], [200, 200, 200])

    def test_refusesEndlessLength(self) -> None:
        """
        A C{Content-Length} with thousands of digits is refused as any other that is
        too large, wherever it stands among the headers.
        """
        for digits in (1001, 4301, 9000):
            length = f"Content-Length: {'1' * digits}"
            self.assertRefused(get("/channels/a", length, method="POST"), 413)
            self.assertRefused(get("/channels/a", length, "Accept: */*", method="POST"), 413)

    def test_refusesLargeHead(self) -> None:
        """
        Headers that are too large together, one that is too large, and too many
        of them are refused with 431 and the limit.
        """
        for headers in (
            ["X: " + "y" * 1000] * 20,
            ["X: " + "y" * 20000],
            ["X: " + "y" * 200000],
            ["X: y", "  " + "z" * 8000, "\t" + "z" * 8000, " z" * 800],
            ["X: y"] * (MAX_FIELDS + 1),
        ):
            detail = self.assertRefused(get("/channels/a", *headers), 431)
            self.assertIn(str(MAX_FIELDS_SIZE), detail)
        self.assertRefused(get("/channels/a")[:-2] + b"X: y\r\n" * (MAX_DISCARDED // 3), 431)

    def test_takesMostHeaders(self) -> None:
        """
        A request may have just as many headers as the limit says.
        """
        response = self.ask(get("/health", *["X: y"] * (MAX_FIELDS - 1)))
        self.assertEqual(response.status, 200)

    def test_tellsPageOfLargeHead(self) -> None:
        """
        A page of an allowed origin may read the 431, whether its origin comes
        before or behind what is too large.
        """
        for large in (["Cookie: " + "y" * 20000], ["X: y"] * (MAX_FIELDS + 5)):
            for headers in ((FRIEND, *large), (*large, FRIEND)):
                self.assertRefused(get("/channels/a", *headers), 431, "https://friend.example")

    def test_keepsNoLength(self) -> None:
        """
        The body of a request whose head is too large is discarded.
        """
        request = get("/channels/a", "X: " + "y" * 20000, "Content-Length: 30")
        self.assertRefused(request + b"GET / HTTP/1.1\r\n\r\n" * 2, 431)


class NoHeadTests(HeadTestCase):
    """
    What is no head of a request is refused at once, instead of being waited for.
    """

    def test_refusesTLS(self) -> None:
        """
        A client of TLS is refused with its first bytes.
        """
        hello = bytes.fromhex("1603010200010001fc0303") + bytes(range(256))
        self.assertIn("TLS", self.assertRefused(hello, 400))
        self.assertRefused(hello[:1], 400)

    def test_refusesLineFeeds(self) -> None:
        """
        Lines that end with LF alone are refused, in the request line and in a
        header, also where a line ends well before.
        """
        for request in (
            b"GET /channels/a HTTP/1.1\nHost: localhost\n\n",
            b"GET /channels/a HTTP/1.1\r\nHost: localhost\n\n",
            b"GET /channels/a HTTP/1.1\r\nHost: localhost\n",
            b"GET /channels/a HTTP/1.1\n",
            b"PING\n",
            b"\n",
        ):
            self.assertIn("LF", self.assertRefused(request, 400))

    def test_refusesOtherBytes(self) -> None:
        """
        Bytes that no head has are refused, wherever they stand.
        """
        for request in (
            b"\x00",
            b"GET /\x00",
            b"GET / HTTP/1.1\rHost",
            b"GET / HTTP/1.1\r\nHost: localhost\x00",
            b" GET / HTTP/1.1",
            b"\x80\x2e\x01",
            b"A" * 65,
        ):
            self.assertRefused(request, 400)

    def test_sameAtEverySplit(self) -> None:
        """
        The answer does not depend on how TCP cuts a head into pieces, whether
        the head is good or not.
        """
        good = b"GET /channels/a?transport=poll HTTP/1.1\r\nHost: localhost\r\n"
        post = b"POST /channels/a HTTP/1.1\r\nHost: localhost\r\n"
        for request, status in (
            (good + b"\r\n", 200),
            (good + b"X: a\tb\r\n\r\n", 200),
            (good + b"X: a\nb\r\n\r\n", 400),
            (good + b"X: a\r\r\n\r\n", 400),
            (good + b"X: a\rContent-Length: 5\r\n\r\n", 400),
            (good + b"X: a\x00b\r\n\r\n", 400),
            (good + b"X: a\x0bb\r\n\r\n", 400),
            (good + b"X: a\x7fb\r\n\r\n", 400),
            (good + b"X: a\r\n b\n c\r\n\r\n", 400),
            (good + b"Y\nX: a\r\n\r\n", 400),
            (good + b"X: a\n\r\n", 400),
            (post + b"Content-Length: 1\nX: a\r\n\r\nx", 400),
            (b"GET / HTTP/1.1\nHost: localhost\r\n\r\n", 400),
            (b"GET /\x0b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
            (b"A" * 65 + b" /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
            (b"\r\n\n" + good + b"\r\n", 400),
        ):
            bodies = set()
            for size in (*range(1, 20), len(request)):
                wire = self.connect()
                wire.sendIn(size, request)
                response = readResponse(wire.take())
                self.assertEqual((response.status, response.rest), (status, b""), (size, request))
                bodies.add(response.body)
            self.assertEqual(len(bodies), 1, bodies)

    def test_sameAtEverySplitOfLargeHeads(self) -> None:
        """
        What is wrong in a head that is too large, too, is found at every split,
        up to where lines are discarded.
        """
        line = b"GET /channels/a HTTP/1.1\r\nHost: localhost\r\n"
        for request, status in (
            (line + b"X: " + b"a" * MAX_FIELDS_SIZE + b"\r\nY: a\nb\r\n\r\n", 400),
            (line + b"X: \n" + b"a" * MAX_FIELDS_SIZE + b"\r\n\r\n", 400),
            (line + b"X: " + b"a" * (MAX_FIELDS_SIZE - 3) + b"\n\r\n\r\n", 400),
            (line + b"X: " + b"a" * (MAX_FIELDS_SIZE - 2) + b"\n\r\n\r\n", 431),
            (line + b"X: " + b"a" * MAX_FIELDS_SIZE + b"\n\r\n\r\n", 431),
        ):
            for size in (1, 1000, 1460, len(request)):
                wire = self.connect()
                wire.sendIn(size, request)
                response = readResponse(wire.take())
                self.assertEqual((response.status, response.rest), (status, b""), size)

    def test_waitsForTheRest(self) -> None:
        """
        A head that has begun well is waited for, however it is cut, and with the
        empty line that some clients send before it.
        """
        request = b"\r\n" + get("/channels/a?transport=poll", "X: \ty\tz")
        wire = self.connect()
        wire.sendIn(1, request)
        self.assertEqual(readResponse(wire.take()).status, 200)

    def test_keepsInputInFewPieces(self) -> None:
        """
        A client cannot make each byte behind a request that waits dearer than the
        one before: what waits is kept in few pieces, and nothing of it is lost.
        """
        wire = self.connect()
        wire.send(get("/channels/a?wait=5"))
        behind = get("/health") * 20
        wire.sendIn(1, behind)
        channel: Any = wire.transport.protocol
        self.assertEqual(b"".join(channel._dataBuffer), behind)
        self.assertLessEqual(len(channel._dataBuffer), MAX_PIECES + 1)
        self.turn(6)
        wire.settle()
        self.assertEqual(wire.take().count(b"HTTP/1.1 200"), 21)

    def test_bodyMayHaveAnyByte(self) -> None:
        """
        Behind a request that waits, the body of the next one may have any byte.
        """
        body = bytes(range(256))
        head = b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"
        publish = head + b"Content-Length: 256\r\n\r\n" + body
        wire = self.connect()
        wire.send(get("/channels/a?wait=5"), publish, publish, get("/health"))
        self.turn(6)
        wire.settle()
        said = wire.take()
        self.assertEqual(said.count(b"HTTP/1.1 201"), 2)
        self.assertEqual(said.count(b"HTTP/1.1 200"), 2)
