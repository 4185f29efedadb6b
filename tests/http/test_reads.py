"""
What an HTTP request is understood to ask for, apart from its transport and
where it begins.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

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
from comet.http.request import checkHeaderValues
from comet.model.positions import Last, Now, StartPositions
from tests.http.heads import makeHead


class HeaderTests(SynchronousTestCase):
    """
    The headers of a request.
    """

    def test_absent(self) -> None:
        """
        A header that is absent is told from an empty one.
        """
        self.assertIsNone(makeHead().header("Accept"))
        self.assertEqual(makeHead(Accept=b"").header("Accept"), "")

    def test_anyCase(self) -> None:
        """
        The name of a header may be in any case, and white space around its
        value is no part of it.
        """
        self.assertEqual(makeHead(Accept=b" \ta b\t ").header("aCCEPT"), "a b")

    def test_list(self) -> None:
        """
        The values of a list are one list.
        """
        self.assertEqual(makeHead(Accept=[b"a", b"b"]).header("Accept"), "a, b")

    def test_singleton(self) -> None:
        """
        Of what is no list, two values are refused, also when they are equal.
        """
        for name in ("Authorization", "Host", "Idempotency-Key", "Last-Event-ID", "Origin"):
            head = makeHead(headers={name: [b"a", b"a"]})
            error = self.assertRaises(BadRequest, head.header, name)
            self.assertIn(name, error.detail)

    def test_characters(self) -> None:
        """
        A value is UTF-8, or else ISO 8859-1.
        """
        self.assertEqual(makeHead(Accept="é".encode()).header("Accept"), "é")
        self.assertEqual(makeHead(Accept="é".encode("latin-1")).header("Accept"), "é")

    def test_control(self) -> None:
        """
        A control character in any value is refused, and the header named.
        """
        pairs = [(b"Host", b"a"), (b"X-A", b"a\x1eX-B: b")]
        error = self.assertRaises(BadRequest, checkHeaderValues, pairs)
        self.assertIn("'X-A'", error.detail)
        self.assertIn("0x1e", error.detail)

    def test_everyByte(self) -> None:
        """
        Refused are the control characters but the tab, and what ISO 8859-1 has
        as a next line; every other byte is let pass.
        """
        refused = set()
        for byte in range(256):
            try:
                checkHeaderValues([(b"X-A", b"a%cb" % byte)])
            except BadRequest:
                refused.add(byte)
        self.assertEqual(refused, {*range(0x20), 0x7F, 0x85} - {0x09})

    def test_nextLine(self) -> None:
        """
        In a value of UTF-8 the byte 0x85 may be part of a letter, but not of
        the control character U+0085; and not where the value is split again.
        """
        letter, control = "\u00c5".encode(), "\x85".encode()
        checkHeaderValues([(b"X-A", letter)])
        self.assertRaises(BadRequest, checkHeaderValues, [(b"X-A", control)])
        self.assertRaises(BadRequest, checkHeaderValues, [(b"X-A", letter)], resplit=True)


class ParameterTests(SynchronousTestCase):
    """
    The parameters of a query.
    """

    @settings(deadline=None)
    @given(st.dictionaries(st.text(), st.text(), max_size=256))
    def test_inverse(self, parameters: dict[str, str]) -> None:
        """
        What a form was made of is read from it.
        """
        head = makeHead(urlencode(parameters).encode("ascii"))
        self.assertEqual(head.parameters, parameters)

    def test_first(self) -> None:
        """
        The first value of a key counts; a key may be without a value, and a
        value hold an equals sign.
        """
        head = makeHead(b"a=1&a=2&&b&c=d=e")
        self.assertEqual(head.parameters, {"a": "1", "b": "", "c": "d=e"})

    def test_once(self) -> None:
        """
        What is percent-encoded is decoded once, and a plus is a space; a
        percent sign that begins no escape stands for itself.
        """
        head = makeHead(b"since.a%2Fb=%252F&c+d=e%20f&g=%zz")
        self.assertEqual(head.parameters, {"since.a/b": "%2F", "c d": "e f", "g": "%zz"})

    def test_notUTF8(self) -> None:
        """
        Keys and values that are not UTF-8 are refused, and shown.
        """
        for query in (b"a=%ff", b"%c3=1", b"a=\xff", b"a=%ed%a0%80"):
            error = self.assertRaises(BadRequest, lambda q=query: makeHead(q).parameters)
            self.assertIn("UTF-8", error.detail)

    def test_tooMany(self) -> None:
        """
        256 parameters are read, and 257 refused.
        """
        query = b"&".join(b"%d=" % number for number in range(257))
        self.assertEqual(len(makeHead(query.rpartition(b"&")[0]).parameters), 256)
        self.assertRaises(BadRequest, lambda: makeHead(query).parameters)


class NumberTests(SynchronousTestCase):
    """
    How long, how many, and whether.
    """

    def test_wait(self) -> None:
        """
        The wait is in seconds, perhaps with decimals, from 0 to 300, and by
        default 25.
        """
        self.assertEqual(readWait(makeHead()), 25.0)
        for text, wait in ((b"0", 0.0), (b"0.25", 0.25), (b"300", 300.0), (b"007", 7.0)):
            self.assertEqual(readWait(makeHead(b"wait=" + text)), wait)

    def test_badWait(self) -> None:
        """
        Any other wait is refused, and shown.
        """
        for text in ("", "-1", "300.01", "1e2", "nan", "inf", "1_0", " 1", "٣", "9" * 5000):
            query = b"wait=" + quote(text).encode("ascii")
            error = self.assertRaises(BadRequest, readWait, makeHead(query))
            self.assertIn(repr(text[:64]), error.detail)

    def test_prefer(self) -> None:
        """
        The preference counts where there is no parameter, the first of
        several; one that is too high is cut.
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

    def test_badPreference(self) -> None:
        """
        A preference that cannot be read is ignored.
        """
        for prefer in (b"", b"wait", b"wait=", b"wait=-1", b"wait=1.5", b"wait=x, wait=3", b'"'):
            self.assertEqual(readWait(makeHead(Prefer=prefer)), 25.0, prefer)

    def test_limit(self) -> None:
        """
        The limit is from 1 to 1000, which is the default; more is cut.
        """
        self.assertEqual(readLimit(makeHead()), 1000)
        for text, limit in ((b"1", 1), (b"1000", 1000), (b"1001", 1000), (b"9" * 5000, 1000)):
            self.assertEqual(readLimit(makeHead(b"limit=" + text)), limit)

    def test_badLimit(self) -> None:
        """
        What is not a whole number of at least 1 is refused, and shown.
        """
        for text in ("", "0", "-1", "1.5", "x", "٣", "1_0"):
            query = b"limit=" + quote(text).encode("ascii")
            error = self.assertRaises(BadRequest, readLimit, makeHead(query))
            self.assertIn(repr(text), error.detail)

    def test_flag(self) -> None:
        """
        A flag is yes, or no, which is the default, and nothing else.
        """
        for text, flag in ((b"1", True), (b"true", True), (b"0", False), (b"false", False)):
            self.assertIs(readFlag(makeHead(b"time=" + text), "time"), flag)
        self.assertIs(readFlag(makeHead(b"time"), "time"), False)
        self.assertIs(readFlag(makeHead(), "time"), False)
        error = self.assertRaises(BadRequest, readFlag, makeHead(b"time=yes"), "time")
        self.assertIn("time is 'yes'", error.detail)


class AskTests(SynchronousTestCase):
    """
    All of it together.
    """

    def test_default(self) -> None:
        """
        A request that says nothing is a long poll from now on.
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

    def test_everything(self) -> None:
        """
        All that a request says is read.
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

    def test_account(self) -> None:
        """
        An account is a word; a request without one is under no name.
        """
        self.assertEqual(readAccount(makeHead(b"a=1&account=lab-7_x")), "lab-7_x")
        self.assertIsNone(readAccount(makeHead(b"a=1")))
        for bad in (b"", b"a%20b", b"x" * 65, b"a/b", b"%C3%A9"):
            error = self.assertRaises(BadRequest, readAccount, makeHead(b"account=" + bad))
            self.assertIn("account is", error.detail)

    def test_given(self) -> None:
        """
        Where the transport is known it is not read.
        """
        ask = parseReadRequest(makeHead(b"transport=x"), (), "now1", transport="websocket")
        self.assertEqual(ask.transport, "websocket")

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
        Whatever the bytes of a request are, they are read or refused.
        """
        try:
            ask = parseReadRequest(makeHead(query, headers, version=version), ("news",), "now1")
        except CometError as error:
            self.assertEqual(error.status, 400)
        else:
            self.assertTrue(0 <= ask.wait <= 300 and 1 <= ask.limit <= 1000)
