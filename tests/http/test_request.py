"""
Tests of L{comet.http.request}.
"""

from __future__ import annotations

from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest
from comet.http.request import checkHeaderValues
from tests.http.heads import makeHead


class HeaderTests(SynchronousTestCase):
    """
    The headers of a request.
    """

    def test_absentIsNotEmpty(self) -> None:
        """
        The value of an absent header is L{None}, that of an empty one is empty.
        """
        self.assertIsNone(makeHead().header("Accept"))
        self.assertEqual(makeHead(Accept=b"").header("Accept"), "")

    def test_ignoresCaseAndWhiteSpace(self) -> None:
        """
        The name of a header may be in any case, and white space around its
        value is dropped.
        """
        self.assertEqual(makeHead(Accept=b" \ta b\t ").header("aCCEPT"), "a b")

    def test_joinsLists(self) -> None:
        """
        Several values of a header that is a list are joined by commas.
        """
        self.assertEqual(makeHead(Accept=[b"a", b"b"]).header("Accept"), "a, b")

    def test_refusesSecondSingleton(self) -> None:
        """
        Two values of a header that is not a list are refused, also if they are
        equal.
        """
        for name in ("Authorization", "Host", "Idempotency-Key", "Last-Event-ID", "Origin"):
            head = makeHead(headers={name: [b"a", b"a"]})
            error = self.assertRaises(BadRequest, head.header, name)
            self.assertIn(name, error.detail)

    def test_decodesUTF8OrLatin1(self) -> None:
        """
        A value is read as UTF-8, or as ISO 8859-1 if it is not UTF-8.
        """
        self.assertEqual(makeHead(Accept="é".encode()).header("Accept"), "é")
        self.assertEqual(makeHead(Accept="é".encode("latin-1")).header("Accept"), "é")

    def test_refusesControlCharacters(self) -> None:
        """
        A control character in a value is refused, and the error names the
        header and the byte.
        """
        pairs = [(b"Host", b"a"), (b"X-A", b"a\x1eX-B: b")]
        error = self.assertRaises(BadRequest, checkHeaderValues, pairs)
        self.assertIn("'X-A'", error.detail)
        self.assertIn("0x1e", error.detail)

    def test_refusesWhichBytes(self) -> None:
        """
        The control characters except the tab are refused, and the next line of
        ISO 8859-1.  Every other byte is allowed.
        """
        refused = set()
        for byte in range(256):
            try:
                checkHeaderValues([(b"X-A", b"a%cb" % byte)])
            except BadRequest:
                refused.add(byte)
        self.assertEqual(refused, {*range(0x20), 0x7F, 0x85} - {0x09})

    def test_nextLineInUTF8(self) -> None:
        """
        In UTF-8 the byte 0x85 is allowed as a part of a letter, unless the
        value may be split again, and is refused as a part of U+0085.
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
    def test_readsForms(self, parameters: dict[str, str]) -> None:
        """
        The parameters of an encoded form are read as they were.
        """
        head = makeHead(urlencode(parameters).encode("ascii"))
        self.assertEqual(head.parameters, parameters)

    def test_firstValueCounts(self) -> None:
        """
        The first value of a key counts.  A key may have no value, and a value
        may have an equals sign.
        """
        head = makeHead(b"a=1&a=2&&b&c=d=e")
        self.assertEqual(head.parameters, {"a": "1", "b": "", "c": "d=e"})

    def test_decodesOnce(self) -> None:
        """
        Keys and values are percent-decoded once, and a plus is a space.  A
        percent sign without two hexadecimal digits stands for itself.
        """
        head = makeHead(b"since.a%2Fb=%252F&c+d=e%20f&g=%zz")
        self.assertEqual(head.parameters, {"since.a/b": "%2F", "c d": "e f", "g": "%zz"})

    def test_refusesOtherThanUTF8(self) -> None:
        """
        Keys and values that are not UTF-8 are refused.
        """
        for query in (b"a=%ff", b"%c3=1", b"a=\xff", b"a=%ed%a0%80"):
            error = self.assertRaises(BadRequest, lambda q=query: makeHead(q).parameters)
            self.assertIn("UTF-8", error.detail)

    def test_errorRepeatsNoValue(self) -> None:
        """
        The error for a value that is not UTF-8 names the parameter, and not the value,
        which may be a token.
        """
        head = makeHead(b"a=1&token=S3CRET%ff")
        error = self.assertRaises(BadRequest, lambda: head.parameters)
        self.assertIn("the parameter 'token'", error.detail)
        self.assertNotIn("S3CRET", error.detail)

    def test_boundsParameters(self) -> None:
        """
        256 parameters are read, and 257 are refused.
        """
        query = b"&".join(b"%d=" % number for number in range(257))
        self.assertEqual(len(makeHead(query.rpartition(b"&")[0]).parameters), 256)
        self.assertRaises(BadRequest, lambda: makeHead(query).parameters)

    def test_boundsAmpersands(self) -> None:
        """
        Ampersands that separate nothing are no parameters.  A query with very many is
        refused before it is split, since each look at it would split it again.
        """
        self.assertEqual(makeHead(b"a=1" + b"&" * 1024).parameters, {"a": "1"})
        error = self.assertRaises(BadRequest, lambda: makeHead(b"a&" * 1025).parameters)
        self.assertIn("1025 ampersands; 1024 are allowed", error.detail)

    def test_boundsMalformedEscapes(self) -> None:
        """
        A parameter has few percent signs that encode nothing.
        """
        self.assertEqual(makeHead(b"a=" + b"%" * 64).parameters, {"a": "%" * 64})
        for query in (b"a=" + b"%" * 65, b"%" * 65):
            error = self.assertRaises(BadRequest, lambda q=query: makeHead(q).parameters)
            self.assertIn("more than 64 percent signs", error.detail)
