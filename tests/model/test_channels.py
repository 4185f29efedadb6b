"""
Tests of L{comet.model.channels}: what is a name, and what is not.  What patterns
reach is in L{tests.model.test_channels_patterns}.
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
    What the tests here need to look at errors.
    """

    def assertRefused(
        self,
        error: type[CometError],
        parse: Callable[[str], object],
        text: str,
        reason: str,
    ) -> None:
        """
        C{parse(text)} raises an error whose detail begins with the value, cut
        to 64 characters, and gives the reason.
        """
        detail = self.assertRaises(error, parse, text).detail
        self.assertIn(reason, detail)
        self.assertTrue(detail.startswith(repr(text[:64])), detail)


class NameTests(Refusals):
    """
    L{parseName} and L{parseChannel}.
    """

    def test_channels(self) -> None:
        """
        The name of a channel is one or more segments, of nearly any character.
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

    def test_patterns(self) -> None:
        """
        A star is a whole segment anywhere, two are only the last; neither is
        the name of one channel, and the error says that it is a pattern.
        """
        for text in ("*", "**", "a/*", "*/a", "*/*/b", "news/**", "$presence/**"):
            self.assertEqual(parseName(text), text)
            self.assertTrue(isPattern(text))
            self.assertRefused(BadChannel, parseChannel, text, "is a pattern")

    def test_starsElsewhere(self) -> None:
        """
        A star within a segment, and two stars that are not the last segment,
        are neither a channel nor a pattern.
        """
        for text in ("a*", "*a", "chat/a*b", "***", "a/***", "a**"):
            self.assertRefused(BadChannel, parseName, text, "only as a whole segment")
        for text in ("**/a", "a/**/b", "**/**"):
            self.assertRefused(BadChannel, parseName, text, "only as the last segment")

    def test_segments(self) -> None:
        """
        No segment is empty or one of those that paths have a use for.
        """
        for text in ("", "/", "/a", "a/", "a//b"):
            self.assertRefused(BadChannel, parseChannel, text, "a segment is empty")
        for text in (".", "..", "a/..", "../a", "a/./b"):
            self.assertRefused(BadChannel, parseChannel, text, "a segment is '.")

    def test_characters(self) -> None:
        """
        No control character, nothing that has a meaning in URLs or in lists of
        names, and no half of a surrogate pair.
        """
        for character in [*CONTROLS, ",", "?", "#", "\ud800", "\udfff"]:
            text = f"a/b{character}c"
            self.assertRefused(BadChannel, parseChannel, text, f"{character!r} is not allowed")

    def test_length(self) -> None:
        """
        A name has at most 255 bytes of UTF-8.
        """
        for text in ("a" * 255, "é" * 127, "a/" * 127 + "a"):
            self.assertEqual(parseChannel(text), text)
        for text in ("a" * 256, "é" * 128, "*/" * 127 + "**", "/" * 1_000_000):
            self.assertRefused(BadChannel, parseName, text, "longer than 255 bytes")

    def test_reserved(self) -> None:
        """
        A name is the server's own if any of its segments begins with a dollar
        sign.
        """
        for text in ("$stats", "$presence/chat/a", "a/$b"):
            self.assertTrue(isReserved(text))
        for text in ("a$", "a/b$/c", "a"):
            self.assertFalse(isReserved(text))


class PathTests(Refusals):
    """
    L{parsePath}.
    """

    def path(self, text: str) -> tuple[str, ...]:
        """
        Parse the part of a path below the place where channels are.
        """
        return parsePath(text.encode("latin-1").split(b"/"), 3)

    def test_names(self) -> None:
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

    def test_raw(self) -> None:
        """
        UTF-8 that somebody did not percent-encode is taken as it is.
        """
        self.assertEqual(parsePath(["é".encode(), b"b"], 1), ("é/b",))

    def test_duplicates(self) -> None:
        """
        A name that is written twice, in any way, counts once, where it came
        first.
        """
        self.assertEqual(self.path("b,a,%62,c,a,b"), ("b", "a", "c"))

    def test_tooMany(self) -> None:
        """
        More names than allowed are a bad request, and the detail says how many
        are.
        """
        error = self.assertRaises(BadRequest, self.path, "a,b,c,d")
        self.assertIn("at most 3 are allowed", error.detail)

    def test_separators(self) -> None:
        """
        An encoded slash or comma is not hidden from the splitting.
        """
        for text in ("a%2Fb", "a%2fb", "a%2Cb", "a%2cb", "a,b%2Fc"):
            error = self.assertRaises(BadChannel, self.path, text)
            self.assertIn("'%2F' and '%2C' are not allowed", error.detail)

    def test_malformed(self) -> None:
        """
        A percent sign without two hexadecimal digits, and bytes that are not
        UTF-8, are no name.
        """
        for text in ("%", "a%", "%4", "%zz", "%+1", "% 41", "a,%", "%%41"):
            error = self.assertRaises(BadChannel, self.path, text)
            self.assertIn("two hexadecimal digits", error.detail)
        for text in ("%ff", "%C3", "a,%ED%A0%80", "\xe9"):
            error = self.assertRaises(BadChannel, self.path, text)
            self.assertIn("it is not UTF-8", error.detail)

    def test_notNames(self) -> None:
        """
        What comes out of the decoding obeys the rules for names.
        """
        for text in ("", "a,", ",a", "a//b", "%2E%2e/a", "a%00", "%3F", "%23", "a%2Ab"):
            self.assertRaises(BadChannel, self.path, text)

    @settings(deadline=None)
    @given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.sampled_from(["/", "/*"]))
    def test_roundTrip(self, names: list[str], safe: str) -> None:
        """
        Names that a client percent-encoded arrive as they were.
        """
        path = ",".join(quote(name, safe=safe) for name in names)
        self.assertEqual(parsePath(path.encode().split(b"/"), 4), tuple(names))

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=12), max_size=4))
    def test_anyBytes(self, segments: list[bytes]) -> None:
        """
        Any path is names, at most so many, or one of two errors.
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

    def test_names(self) -> None:
        """
        The name of an event is 1 to 64 of nearly any characters.
        """
        for text in ("a", "é" * 64, "two words", "message", "a$", "Open", "<b>,*"):
            self.assertEqual(parseEvent(text), text)

    def test_refused(self) -> None:
        """
        Too long or empty, with control characters, the server's own, and those
        that an EventSource has itself, are not names.
        """
        for text in ("", "a" * 65):
            self.assertRefused(BadMessage, parseEvent, text, "1 to 64 are allowed")
        for character in [*CONTROLS, "\ud800"]:
            self.assertRefused(BadMessage, parseEvent, f"a{character}", "control characters")
        self.assertRefused(BadMessage, parseEvent, "$gap", "the server's own")
        for text in ("open", "error"):
            self.assertRefused(BadMessage, parseEvent, text, "EventSource")
