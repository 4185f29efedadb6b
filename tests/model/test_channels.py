"""
Tests of L{comet.model.channels}.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadChannel, BadMessage, BadRequest, CometError
from comet.model.channels import (
    isPattern,
    isReserved,
    parseChannel,
    parseEvent,
    parseName,
    parsePath,
)

LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=",*?#/")
SEGMENTS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))
CHANNELS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
NAMES = st.one_of(
    CHANNELS,
    st.tuples(
        st.lists(st.one_of(SEGMENTS, st.just("*")), max_size=3), st.sampled_from(["*", "**"])
    ).map(lambda parts: "/".join([*parts[0], parts[1]])),
)

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


class Refusals(SynchronousTestCase):
    """
    Checks of the errors that refuse a text.
    """

    def assertRefused(
        self,
        error: type[CometError],
        parse: Callable[[str], object],
        text: str,
        reason: str,
    ) -> None:
        """
        Assert that C{parse(text)} raises an error whose detail begins with the
        text, cut to 64 characters, and gives the reason.
        """
        detail = self.assertRaises(error, parse, text).detail
        self.assertIn(reason, detail)
        self.assertTrue(detail.startswith(repr(text[:64])), detail)


class NameTests(Refusals):
    """
    L{parseName} and L{parseChannel}.
    """

    def test_acceptsChannels(self) -> None:
        """
        The name of a channel is one or more segments of nearly any characters.
        """
        for text in (
            "news",
            "a/b/c",
            "chat/a b",
            "...",
            "é/日本",
            "$stats",
            "a:b;c=d&%+'\"<\\",
            "%2F",
        ):
            self.assertEqual(parseChannel(text), text)
            self.assertEqual(parseName(text), text)
            self.assertFalse(isPattern(text))

    def test_acceptsPatterns(self) -> None:
        """
        A pattern has C{*} as any segment, or C{**} as the last.  It is not the
        name of one channel, and the error says that it is a pattern.
        """
        for text in ("*", "**", "a/*", "*/a", "*/*/b", "news/**", "$presence/**"):
            self.assertEqual(parseName(text), text)
            self.assertTrue(isPattern(text))
            self.assertRefused(BadChannel, parseChannel, text, "is a pattern")

    def test_refusesStarsElsewhere(self) -> None:
        """
        A star within a segment, and C{**} before the last segment, are refused.
        """
        for text in ("a*", "*a", "chat/a*b", "***", "a/***", "a**"):
            self.assertRefused(BadChannel, parseName, text, "only as a whole segment")
        for text in ("**/a", "a/**/b", "**/**"):
            self.assertRefused(BadChannel, parseName, text, "only as the last segment")

    def test_refusesEmptyAndDotSegments(self) -> None:
        """
        No segment is empty, C{.} or C{..}.
        """
        for text in ("", "/", "/a", "a/", "a//b"):
            self.assertRefused(BadChannel, parseChannel, text, "a segment is empty")
        for text in (".", "..", "a/..", "../a", "a/./b"):
            self.assertRefused(BadChannel, parseChannel, text, "a segment is '.")

    def test_refusesCharacters(self) -> None:
        """
        A control character, a character with a meaning in URLs or in lists of
        names, and a lone surrogate are refused.
        """
        for character in [*CONTROLS, ",", "?", "#", "\ud800", "\udfff"]:
            text = f"a/b{character}c"
            self.assertRefused(BadChannel, parseChannel, text, f"{character!r} is not allowed")

    def test_boundsLength(self) -> None:
        """
        A name has at most 255 bytes of UTF-8.
        """
        for text in ("a" * 255, "é" * 127, "a/" * 127 + "a"):
            self.assertEqual(parseChannel(text), text)
        for text in ("a" * 256, "é" * 128, "*/" * 127 + "**", "/" * 1_000_000):
            self.assertRefused(BadChannel, parseName, text, "longer than 255 bytes")

    def test_isReserved(self) -> None:
        """
        A name is reserved if one of its segments begins with a dollar sign.
        """
        for text in ("$stats", "$presence/chat/a", "a/$b"):
            self.assertTrue(isReserved(text))
        for text in ("a$", "a/b$/c", "a"):
            self.assertFalse(isReserved(text))


class PathTests(Refusals):
    """
    L{parsePath} with at most three names.
    """

    def path(self, text: str) -> tuple[str, ...]:
        """
        Parse the part of a path that follows C{/channels/}.
        """
        return parsePath(text.encode("latin-1").split(b"/"), 3)

    def test_splitsThenDecodes(self) -> None:
        """
        Names are split at slashes and commas, and only then percent-decoded.
        """
        for text, names in (
            ("news", ("news",)),
            ("chat/a%20b,news", ("chat/a b", "news")),
            ("a,b/*,%2A%2a", ("a", "b/*", "**")),
            ("%C3%A9/%25,a%3bb", ("é/%", "a;b")),
            ("%252F", ("%2F",)),
            ("a+b", ("a+b",)),
        ):
            self.assertEqual(self.path(text), names)

    def test_acceptsRawUTF8(self) -> None:
        """
        UTF-8 that the client did not percent-encode is taken as it is.
        """
        self.assertEqual(parsePath(["é".encode(), b"b"], 1), ("é/b",))

    def test_dropsDuplicates(self) -> None:
        """
        A name that is there twice, in any spelling, is kept where it came
        first.
        """
        self.assertEqual(self.path("b,a,%62,c,a,b"), ("b", "a", "c"))

    def test_refusesTooMany(self) -> None:
        """
        A path with more names than allowed is a bad request, and the detail
        says how many are allowed.
        """
        error = self.assertRaises(BadRequest, self.path, "a,b,c,d")
        self.assertIn("at most 3 are allowed", error.detail)

    def test_refusesTooManyWritten(self) -> None:
        """
        A path that writes one name very often is refused before its names are read, so
        that a long path costs no time.
        """
        self.assertEqual(self.path(",".join("a" * 12)), ("a",))
        error = self.assertRaises(BadRequest, self.path, ",".join(["%"] * 13))
        self.assertIn("writes 13 names; at most 3 are allowed", error.detail)

    def test_longEscapes(self) -> None:
        """
        The longest name may be percent-encoded as a whole.  A longer one is refused
        before its escapes are undone.
        """
        self.assertEqual(self.path("%61" * 255), ("a" * 255,))
        error = self.assertRaises(BadChannel, self.path, "%61" * 255 + "%")
        self.assertIn("longer than 255 bytes", error.detail)

    def test_refusesEncodedSeparators(self) -> None:
        """
        A percent-encoded slash or comma is refused.
        """
        for text in ("a%2Fb", "a%2fb", "a%2Cb", "a%2cb", "a,b%2Fc"):
            error = self.assertRaises(BadChannel, self.path, text)
            self.assertIn("'%2F' and '%2C' are not allowed", error.detail)

    def test_refusesMalformedEscapes(self) -> None:
        """
        A percent sign without two hexadecimal digits is refused, and so are
        bytes that are not UTF-8.
        """
        for text in ("%", "a%", "%4", "%zz", "%+1", "% 41", "a,%", "%%41"):
            error = self.assertRaises(BadChannel, self.path, text)
            self.assertIn("two hexadecimal digits", error.detail)
        for text in ("%ff", "%C3", "a,%ED%A0%80", "\xe9"):
            error = self.assertRaises(BadChannel, self.path, text)
            self.assertIn("it is not UTF-8", error.detail)

    def test_refusesInvalidNames(self) -> None:
        """
        A name that is not valid after decoding is refused.
        """
        for text in ("", "a,", ",a", "a//b", "%2E%2e/a", "a%00", "%3F", "%23", "a%2Ab"):
            self.assertRaises(BadChannel, self.path, text)

    @settings(deadline=None)
    @given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.sampled_from(["/", "/*"]))
    def test_roundTrip(self, names: list[str], safe: str) -> None:
        """
        Names that a client percent-encoded are read as they were.
        """
        path = ",".join(quote(name, safe=safe) for name in names)
        self.assertEqual(parsePath(path.encode().split(b"/"), 4), tuple(names))

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=12), max_size=4))
    def test_anyBytes(self, segments: list[bytes]) -> None:
        """
        Any path gives valid names, at most as many as allowed, or one of two
        errors.
        """
        try:
            names = parsePath(segments, 2)
        except (BadChannel, BadRequest):
            return
        self.assertTrue(1 <= len(set(names)) == len(names) <= 2)
        self.assertEqual(tuple(map(parseName, names)), names)


class EventTests(Refusals):
    """
    L{parseEvent}.
    """

    def test_acceptsEvents(self) -> None:
        """
        The name of an event is 1 to 64 characters of nearly any kind.
        """
        for text in ("a", "é" * 64, "two words", "message", "a$", "Open", "<b>,*"):
            self.assertEqual(parseEvent(text), text)

    def test_refusesEvents(self) -> None:
        """
        A text that is too long or empty, has control characters, is reserved,
        or is an event that an EventSource has itself, is refused.
        """
        for text in ("", "a" * 65):
            self.assertRefused(BadMessage, parseEvent, text, "1 to 64 are allowed")
        for character in [*CONTROLS, "\ud800"]:
            self.assertRefused(BadMessage, parseEvent, f"a{character}", "control characters")
        self.assertRefused(BadMessage, parseEvent, "$gap", "reserved for the server")
        for text in ("open", "error"):
            self.assertRefused(BadMessage, parseEvent, text, "EventSource")
