"""
Tests of L{comet.http.responses}.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet import errors
from comet.http.responses import (
    COMMON,
    ENDLESS,
    ResponseTemplate,
    batchResponse,
    completeTemplate,
    encodeHead,
    encodeResponse,
    problem,
    publishedResponse,
    reason,
    streamTemplate,
)
from comet.model.messages import Published

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def leaves(tree: type[errors.CometError]) -> Iterator[type[errors.CometError]]:
    """
    Every subclass of an error, and every subclass of these.
    """
    for error in tree.__subclasses__():
        yield error
        yield from leaves(error)


class CommonTests(SynchronousTestCase):
    """
    The headers that all responses have.
    """

    def test_forbidsCachesAndSniffing(self) -> None:
        """
        No response is stored or changed by a proxy, and no browser guesses its
        type.
        """
        self.assertEqual(
            dict(COMMON),
            {
                b"Cache-Control": b"no-store, no-transform",
                b"Vary": b"Origin, Accept",
                b"X-Content-Type-Options": b"nosniff",
            },
        )

    def test_forbidsBuffering(self) -> None:
        """
        An endless response is not buffered by nginx, either.
        """
        self.assertEqual(ENDLESS, (*COMMON, (b"X-Accel-Buffering", b"no")))


class ReasonTests(SynchronousTestCase):
    """
    L{reason}.
    """

    def test_phrasesOfRFC9110(self) -> None:
        """
        The phrases are those of RFC 9110 in every version of Python.
        """
        self.assertEqual(reason(200), "OK")
        self.assertEqual(reason(413), "Content Too Large")
        self.assertEqual(reason(421), "Misdirected Request")
        self.assertEqual(reason(422), "Unprocessable Content")

    def test_emptyIfUnknown(self) -> None:
        """
        A status without a phrase has an empty one.
        """
        self.assertEqual(reason(299), "")


class ProblemTests(SynchronousTestCase):
    """
    L{problem}: responses for errors.
    """

    def test_bodyIsProblem(self) -> None:
        """
        The body is a problem of the type C{about:blank}, with the reason phrase
        as its title.
        """
        answer = problem(errors.BadChannel("'a*' is not \u2028 <a> \ud800 channel"))
        self.assertEqual(answer.status, 400)
        self.assertEqual(
            json.loads(answer.body),
            {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "detail": "'a*' is not \u2028 <a> \ud800 channel",
                "code": "badChannel",
            },
        )
        self.assertEqual(answer.headers, ((b"Content-Type", b"application/problem+json"), *COMMON))

    def test_respondsToEveryError(self) -> None:
        """
        Every error has a response with its status and code, and a title.
        """
        for kind in leaves(errors.CometError):
            if kind is errors.MethodNotAllowed:
                continue
            answer = problem(kind("detail"))
            body = json.loads(answer.body)
            self.assertEqual(answer.status, kind.status)
            self.assertEqual((body["status"], body["code"]), (kind.status, kind.code))
            self.assertTrue(body["title"])

    def test_retryAfterInWholeSeconds(self) -> None:
        """
        C{Retry-After} is in whole seconds, rounded up, and at least one.
        """
        for retryAfter, told in ((0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (2.1, b"3"), (60, b"60")):
            for kind in (errors.TooMany, errors.Unavailable):
                headers = dict(problem(kind("detail", retryAfter)).headers)
                self.assertEqual(headers[b"Retry-After"], told)
        self.assertNotIn(b"Retry-After", dict(problem(errors.Unknown("detail")).headers))

    def test_allowHasMethods(self) -> None:
        """
        The response for a method that is not allowed names the allowed ones.
        """
        answer = problem(errors.MethodNotAllowed("detail", ["GET", "HEAD"]))
        self.assertEqual(answer.status, 405)
        self.assertEqual(dict(answer.headers)[b"Allow"], b"GET, HEAD")

    def test_authenticateIfUnauthorized(self) -> None:
        """
        C{WWW-Authenticate} is there if a credential is needed, and only then.
        """
        headers = dict(problem(errors.Unauthorized("detail")).headers)
        self.assertEqual(headers[b"WWW-Authenticate"], b"Bearer")
        self.assertNotIn(b"WWW-Authenticate", dict(problem(errors.Forbidden("detail")).headers))


class PublishedTests(SynchronousTestCase):
    """
    The responses to publishers.
    """

    def test_tellsCursorOfEachChannel(self) -> None:
        """
        The body has the cursor of each channel, and the highest of them.
        """
        answer = publishedResponse(Published("k3f9a2", {"news": 1042, "a/é": 1041}))
        self.assertEqual(answer.status, 201)
        self.assertEqual(
            answer.body,
            b'{"cursor":"k3f9a2-1042","channels":{"news":"k3f9a2-1042","a/\\u00e9":"k3f9a2-1041"}}',
        )
        self.assertEqual(answer.headers, ((b"Content-Type", b"application/json"), *COMMON))

    def test_tellsCursorOfEachLine(self) -> None:
        """
        The body has the cursor of each line, in their order, and the one with
        the highest position.
        """
        results = [Published("k3", {"a": position}) for position in (9, 10, 8)]
        answer = batchResponse(results)
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.body, b'{"cursor":"k3-10","cursors":["k3-9","k3-10","k3-8"]}')

    def test_highestIsOfLastEpoch(self) -> None:
        """
        If an epoch ended within a batch, the highest cursor is one of the last
        line's epoch.
        """
        answer = batchResponse([Published("z", {"a": 900}), Published("a", {"a": 1})])
        self.assertEqual(json.loads(answer.body)["cursor"], "a-1")


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
