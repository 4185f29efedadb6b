"""
Tests of L{comet.framing.contenttypes}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest, Unsupported
from comet.framing.contenttypes import ContentType, parseContentType


class ContentTypeTests(SynchronousTestCase):
    """
    L{parseContentType} and L{ContentType.checkCharset}.
    """

    def test_parses(self) -> None:
        """
        The media type and the charset are read in any case, with white space where
        it is allowed, quoted or not, among other parameters.
        """
        for text, mediaType, charset in (
            ("", "", None),
            (" \t", "", None),
            ("text/plain", "text/plain", None),
            (" Text/PLAIN\t", "text/plain", None),
            ("text/plain;charset=UTF-8", "text/plain", "utf-8"),
            ("a/b ; x=y ;\tCharset=ascii ", "a/b", "ascii"),
            ('a/b; charset="UTF-8"', "a/b", "utf-8"),
            ('a/b; charset="u\\tf-8"', "a/b", "utf-8"),
            ('a/b; x="\\"; charset=y"', "a/b", None),
            ("a/b;", "a/b", None),
            ("a/b; ;;x=y;", "a/b", None),
            ("a/b; charset=x; charset=X", "a/b", "x"),
        ):
            self.assertEqual(parseContentType(text), ContentType(mediaType, charset), text)

    def test_refuses(self) -> None:
        """
        What RFC 9110 does not allow is a bad request, and so are two charsets.
        """
        for text in (
            *("text", "text/", "/plain", "text /plain", "text/ plain", ";charset=utf-8"),
            *("text/plain, text/html", "text/plain text/html", "t\u00e9xt/plain", "a/b\x00"),
            *("a/b; charset", "a/b; charset=", "a/b; =x", "a/b; charset = x", "a/b; x=y z"),
            *('a/b; x="', 'a/b; x="\\"', 'a/b; x="y"z', "a/b charset=utf-8"),
            "a/b; charset=x; charset=y",
        ):
            self.assertRaises(BadRequest, parseContentType, text)

    @given(st.text(alphabet=' ;="\\/ab\t', max_size=60))
    def test_parsesOrRefusesAnyText(self, text: str) -> None:
        """
        Any text is a content type, or a bad request.
        """
        try:
            parsed = parseContentType(text)
        except BadRequest:
            return
        self.assertEqual(parsed.mediaType, parsed.mediaType.strip().lower())

    def test_takesLongText(self) -> None:
        """
        A long value takes no longer than its length deserves.
        """
        self.assertRaises(BadRequest, parseContentType, "a/b" + "; " * 8000 + "=")
        self.assertRaises(BadRequest, parseContentType, "a/b; x=" + '"' + "\\\\" * 8000)

    def test_checksCharset(self) -> None:
        """
        Only UTF-8 and US-ASCII can be read as text.
        """
        for charset in (None, "utf-8", "utf8", "us-ascii", "ascii"):
            ContentType("text/plain", charset).checkCharset()
        for charset in ("", "utf-16", "iso-8859-1", "utf-8\n"):
            self.assertRaises(Unsupported, ContentType("text/plain", charset).checkCharset)
