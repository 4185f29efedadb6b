"""
Tests of L{comet.http.reads}, without the start positions.
"""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest, CometError
from comet.http.reads import (
    ReadRequest,
    parseReadRequest,
    readAccount,
    readFlag,
    readLimit,
    readWait,
)
from comet.model.positions import Last, Now, StartPositions
from tests.http.heads import makeHead


class NumberTests(SynchronousTestCase):
    """
    L{readWait}, L{readLimit} and L{readFlag}.
    """

    def test_readsWait(self) -> None:
        """
        C{wait} is a number of seconds from 0 to 300, perhaps with decimals; the
        default is 25.
        """
        self.assertEqual(readWait(makeHead()), 25.0)
        for text, wait in ((b"0", 0.0), (b"0.25", 0.25), (b"300", 300.0), (b"007", 7.0)):
            self.assertEqual(readWait(makeHead(b"wait=" + text)), wait)

    def test_refusesBadWait(self) -> None:
        """
        Any other C{wait} is refused, and the error shows it.
        """
        for text in ("", "-1", "300.01", "1e2", "nan", "inf", "1_0", " 1", "٣", "9" * 5000):
            query = b"wait=" + quote(text).encode("ascii")
            error = self.assertRaises(BadRequest, readWait, makeHead(query))
            self.assertIn(repr(text[:64]), error.detail)

    def test_readsPreference(self) -> None:
        """
        Without the parameter the first C{wait} in C{Prefer} counts, reduced if
        it is too high.
        """
        for prefer, wait in (
            (b"wait=10", 10.0),
            (b"respond-async, WAIT = 10", 10.0),
            (b'wait="10"; a=b', 10.0),
            (b'a="b, wait=1", wait=10, wait=3', 10.0),
            (b"wait=301", 300.0),
            (b"wait=" + b"9" * 5000, 300.0),
        ):
            self.assertEqual(readWait(makeHead(Prefer=prefer)), wait, prefer)
        self.assertEqual(readWait(makeHead(b"wait=5", Prefer=b"wait=10")), 5.0)

    def test_ignoresBadPreference(self) -> None:
        """
        A preference that is not valid is ignored.
        """
        for prefer in (b"", b"wait", b"wait=", b"wait=-1", b"wait=1.5", b"wait=x, wait=3", b'"'):
            self.assertEqual(readWait(makeHead(Prefer=prefer)), 25.0, prefer)

    def test_readsLimit(self) -> None:
        """
        C{limit} is from 1 to 1000, which is the default; a higher one is
        reduced.
        """
        self.assertEqual(readLimit(makeHead()), 1000)
        for text, limit in ((b"1", 1), (b"1000", 1000), (b"1001", 1000), (b"9" * 5000, 1000)):
            self.assertEqual(readLimit(makeHead(b"limit=" + text)), limit)

    def test_refusesBadLimit(self) -> None:
        """
        A C{limit} that is not a whole number of at least 1 is refused, and the
        error shows it.
        """
        for text in ("", "0", "-1", "1.5", "x", "٣", "1_0"):
            query = b"limit=" + quote(text).encode("ascii")
            error = self.assertRaises(BadRequest, readLimit, makeHead(query))
            self.assertIn(repr(text), error.detail)

    def test_readsFlag(self) -> None:
        """
        A flag is yes or no; the default is no, and any other value is refused.
        """
        for text, flag in ((b"1", True), (b"true", True), (b"0", False), (b"false", False)):
            self.assertIs(readFlag(makeHead(b"time=" + text), "time"), flag)
        self.assertIs(readFlag(makeHead(b"time"), "time"), False)
        self.assertIs(readFlag(makeHead(), "time"), False)
        error = self.assertRaises(BadRequest, readFlag, makeHead(b"time=yes"), "time")
        self.assertIn("time is 'yes'", error.detail)


class ReadRequestTests(SynchronousTestCase):
    """
    L{parseReadRequest} and L{readAccount}.
    """

    def test_defaultsToLongPoll(self) -> None:
        """
        A request without parameters and headers is a long poll that starts now.
        """
        self.assertEqual(
            parseReadRequest(makeHead(), ["news"], "now1"),
            ReadRequest(
                *("longpoll", ("news",), StartPositions(Now()), 25.0, 1000),
                time=False,
                envelope=False,
                unnamed=False,
                probe=False,
                tags=frozenset(),
            ),
        )

    def test_readsEverything(self) -> None:
        """
        Every parameter is read, and an unknown one is ignored.
        """
        head = makeHead(
            b"transport=poll&since=-2&wait=1.5&limit=10&time=1&envelope=true&unnamed=1&probe=1"
            b"&unknown=1",
            {"If-None-Match": b'"now1-4"'},
        )
        tags = frozenset({"now1-4"})
        self.assertEqual(
            parseReadRequest(head, ["a", "b/*"], "now1"),
            ReadRequest(
                "poll", ("a", "b/*"), StartPositions(Last(2)), 1.5, 10, True, True, True, True, tags
            ),
        )

    def test_readsAccount(self) -> None:
        """
        C{account} is a word; a request without it has no account.
        """
        self.assertEqual(readAccount(makeHead(b"a=1&account=lab-7_x")), "lab-7_x")
        self.assertIsNone(readAccount(makeHead(b"a=1")))
        for bad in (b"", b"a%20b", b"x" * 65, b"a/b", b"%C3%A9"):
            error = self.assertRaises(BadRequest, readAccount, makeHead(b"account=" + bad))
            self.assertIn("account is", error.detail)

    def test_ignoresTransportIfGiven(self) -> None:
        """
        If the caller gives the transport, the parameter is not read.
        """
        readRequest = parseReadRequest(makeHead(b"transport=x"), (), "now1", transport="websocket")
        self.assertEqual(readRequest.transport, "websocket")

    @settings(deadline=None)
    @given(
        st.binary() | st.lists(st.binary()).map(b"&wait=".join),
        st.dictionaries(
            st.sampled_from(
                ("Accept", "Connection", "If-None-Match", "Last-Event-ID", "Prefer", "Upgrade")
            ),
            st.lists(st.binary() | st.text('W/"*,;=q \\-gzip1.0').map(str.encode), max_size=3),
        ),
        st.sampled_from(((1, 0), (1, 1), (2, 0))),
    )
    def test_anyBytes(
        self, query: bytes, headers: dict[str, list[bytes]], version: tuple[int, int]
    ) -> None:
        """
        Any bytes of a request are read or refused with status 400.
        """
        try:
            readRequest = parseReadRequest(
                makeHead(query, headers, version=version), ("news",), "now1"
            )
        except CometError as error:
            self.assertEqual(error.status, 400)
        else:
            self.assertTrue(0 <= readRequest.wait <= 300 and 1 <= readRequest.limit <= 1000)
