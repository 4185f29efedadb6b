"""
Tests of L{comet.framing.strictjson}.
"""

from __future__ import annotations

import json
import math
import sys
from time import process_time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage
from comet.framing.strictjson import decode, encode, encodeRawText
from tests.framing.readers import TEXTS, VALUES

# RFC 8259 6: numbers, some of them too large.
_NUMBER = r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,4})?"


class DecodeTests(SynchronousTestCase):
    """
    L{decode}.
    """

    def assertRefused(self, raw: bytes, reason: str, maxDepth: int = 64) -> None:
        """
        Assert that a text is refused, with a reason in the detail, which is
        short.
        """
        detail = self.assertRaises(BadMessage, decode, raw, maxDepth).detail
        self.assertIn(reason, detail)
        self.assertLess(len(detail), 500)

    def test_readsEveryType(self) -> None:
        """
        Every type of JSON is read, also with white space around it.
        """
        raw = b' {"a": [1, -2.5e3, true, false, null, "\\u00e9\\ud83d\\ude00", {}]}\r\n\t'
        expected: Any = {"a": [1, -2500.0, True, False, None, "é\U0001f600", {}]}
        self.assertEqual(decode(raw, 3), expected)
        self.assertEqual(str(decode(b"-0.0", 0)), "-0.0")

    def test_refusesLaxJSON(self) -> None:
        """
        Text that only lax decoders accept is refused.
        """
        for raw in (
            b"",
            b" ",
            b"[1,]",
            b"{a:1}",
            b"'a'",
            b"01",
            b"+1",
            b".5",
            b"1.",
            b"1 2",
            b"[1]x",
            b"// a\n1",
            b'"a\nb"',
            b'"\\x41"',
            b'"\\u12"',
            b'"',
            b"[",
            b"]",
            b"[}",
            b"\x0b1",
            b"\xc2\xa01",
            b"1\0",
            b"True",
        ):
            self.assertRefused(raw, "is not JSON")

    def test_refusesOtherThanUTF8(self) -> None:
        """
        Other encodings, a byte order mark, and bytes that are not UTF-8 are
        refused.
        """
        for raw in ("1".encode("utf-16"), b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"'):
            self.assertRefused(raw, "UTF-8")
        for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
            self.assertRefused("[1]".encode(encoding), "is not JSON")
        self.assertRefused(b"\xef\xbb\xbf1", "byte order mark")

    def test_boundsNumbers(self) -> None:
        """
        Numbers must be finite, and integers must fit into 64 bits, signed or
        unsigned.
        """
        for number in (-(2**63), 2**64 - 1, 0, 12345678901234567890):
            self.assertEqual(decode(str(number).encode(), 0), number)
        for number in (-(2**63) - 1, 2**64, 10**30, -(10**19)):
            self.assertRefused(str(number).encode(), "-2**63 to 2**64-1")
        for raw in (
            b"NaN",
            b"[Infinity]",
            b'{"a":-Infinity}',
            b"1e400",
            b"-1e400",
            b"9" * 400 + b".0",
        ):
            self.assertRefused(raw, "not a finite number")

    @given(st.from_regex(_NUMBER, fullmatch=True))
    def test_anyNumber(self, text: str) -> None:
        """
        Any number is read as Python reads it, or refused by its value, however it is
        written.
        """
        raw = text.encode()
        value = json.loads(raw)
        isInteger = isinstance(value, int)
        isGood = -(2**63) <= value < 2**64 if isInteger else math.isfinite(value)
        for whole, expected in ((raw, value), (b'{"e":[' + raw + b"]}", {"e": [value]})):
            if isGood:
                self.assertEqual(repr(decode(whole, 2)), repr(expected))
            else:
                self.assertRaises(BadMessage, decode, whole, 2)

    def test_callsDoNotGrowWithNumbers(self) -> None:
        """
        No Python function is called for each number, neither to read a value nor to
        write what was read.
        """

        def calls(count: int) -> int:
            raw = b"[" + b"1,2.5," * count + b"-3]"
            counted = []
            before = sys.getprofile()
            sys.setprofile(lambda frame, event, what: counted.append(event))
            try:
                encode(decode(raw, 1), 1, isDecoded=True)
            finally:
                sys.setprofile(before)
            return counted.count("call")

        self.assertEqual(calls(1000), calls(1))

    def test_refusesLongIntegers(self) -> None:
        """
        An integer of very many digits is refused without being computed.
        """
        self.assertRefused(b"9" * 5_000, "-2**63 to 2**64-1")
        before = process_time()
        self.assertRefused(b"[" + b"7" * 10_000_000 + b"]", "-2**63 to 2**64-1")
        self.assertLess(process_time() - before, 2)

    def test_refusesLoneSurrogates(self) -> None:
        """
        A lone surrogate is refused, in a string and in a key.  A pair is
        accepted, and so is text that looks like a surrogate.
        """
        for raw in (
            rb'"\ud800"',
            rb'"\uDfff"',
            rb'["a\ude00\ud83d"]',
            rb'{"\udabc":1}',
            rb'"\\\ud800"',
            rb'"\ud83d\u0041"',
        ):
            self.assertRefused(raw, "half of a surrogate pair")
        self.assertEqual(decode(rb'"\ud83d\ude00"', 0), "\U0001f600")
        self.assertEqual(decode(rb'"\\ud800"', 0), "\\ud800")

    def test_boundsDepth(self) -> None:
        """
        A text may have as many levels as allowed, and no more.
        """
        for depth in (1, 2, 64):
            for left, right in ((b"[", b"]"), (b'{"a":', b"}")):
                raw = left * depth + b"1" + right * depth
                decode(raw, depth)
                self.assertRefused(raw, f"more than {depth - 1} levels", depth - 1)
        self.assertEqual(decode(b"[]", 1), [])
        self.assertEqual(decode(b"[[],[],[]]", 2), [[], [], []])

    def test_ignoresBracketsInStrings(self) -> None:
        """
        Brackets within strings are not levels, after any escapes.
        """
        for text in ("[" * 99, '"' + "[" * 99, '\\"{[[', "\\" * 9 + "[[", "]]" * 50):
            self.assertEqual(
                decode(json.dumps([text, {text: [1]}]).encode(), 3), [text, {text: [1]}]
            )

    def test_countsBracketsAfterStrings(self) -> None:
        """
        Levels after a string are counted, also if the string ends with a
        backslash, or more brackets were closed than opened.
        """
        for raw in (b'["\\\\",[[[[]]]]]', b'["\\"",[[[[]]]]]', b'["]]]]",[[[[]]]]]'):
            self.assertRefused(raw, "more than 4 levels", 4)
            decode(raw, 5)

    def test_hostileTextIsFast(self) -> None:
        """
        64 KB of text that is deep or slow to search takes little time, and ten
        times as much is not a hundred times slower.
        """
        before = process_time()
        for part in (
            b"[",
            b'{"":',
            b"[{",
            b"[]",
            b'"',
            b'\\"',
            b'"[',
            b'["',
            b'"\\',
            b"][",
            b'"",',
        ):
            for size in (65_536, 655_360):
                self.assertRaises(BadMessage, decode, part * (size // len(part)), 64)
                self.assertRaises(BadMessage, decode, b"[" + part * (size // len(part)), 64)
        self.assertLess(process_time() - before, 10)

    def test_refusesTooDeepForPython(self) -> None:
        """
        If more levels are allowed than Python can recurse, a text that is
        deeper is refused with the same error.
        """
        levels = sys.getrecursionlimit() * 100
        self.assertRefused(b"[" * levels, "levels deep", levels)

    @settings(deadline=None)
    @given(VALUES, st.booleans(), st.sampled_from([None, 2]))
    def test_readsOtherEncoders(self, value: Any, isASCII: bool, indent: int | None) -> None:
        """
        JSON of another encoder is read as it was.
        """
        raw = json.dumps(value, ensure_ascii=isASCII, indent=indent).encode()
        self.assertEqual(repr(decode(raw, 64)), repr(value))

    @settings(deadline=None)
    @given(st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b":", b",", b"1"])))
    def test_anyBytes(self, parts: list[bytes]) -> None:
        """
        Any bytes are a value with at most as many levels as allowed, or one
        error.  A text that is refused only for its depth is deep.
        """
        raw = b"".join(parts)
        try:
            value = decode(raw, 3)
        except BadMessage:
            self.assertTrue(not isJSON(raw) or depthOf(json.loads(raw)) > 3)
        else:
            self.assertTrue(depthOf(value) <= 3)


class EncodeTests(SynchronousTestCase):
    """
    L{encode}.
    """

    def assertRefused(self, value: Any, reason: str, maxDepth: int = 64) -> None:
        """
        Assert that a value is refused, alone and within others.
        """
        for holder in (value, [value], {"a": (1, value)}):
            error = self.assertRaises(BadMessage, encode, holder, maxDepth)
            self.assertIn(reason, error.detail)

    def test_isCompact(self) -> None:
        """
        There is no white space between tokens, keys keep their order, and text
        is UTF-8 rather than escapes.
        """
        value = {"b": [1, -0.0, None, True], "a": {"é": "\U0001f600\0\n"}, "c": (1,)}
        expected = '{"b":[1,-0.0,null,true],"a":{"é":"\U0001f600\\u0000\\n"},"c":[1]}'
        self.assertEqual(encode(value), expected.encode())

    def test_escapesUnsafe(self) -> None:
        """
        Characters with a meaning in a page, or that end a line in a script, are
        escaped in strings and in keys.
        """
        value = {"</script>\u2028": ["<!--\u2029", "\\<"]}
        expected = rb'{"\u003c/script>\u2028":["\u003c!--\u2029","\\\u003c"]}'
        self.assertEqual(encode(value), expected)
        self.assertEqual(encode("<"), rb'"\u003c"')

    def test_boundsNumbers(self) -> None:
        """
        Numbers that L{decode} refuses are refused.
        """
        for number in (-(2**63), 2**64 - 1):
            self.assertEqual(encode(number), str(number).encode())
        for number in (-(2**63) - 1, 2**64, 10**5_000):
            self.assertRefused(number, "-2**63 to 2**64-1")
        for real in (float("nan"), float("inf"), -float("inf")):
            self.assertRefused(real, "not a finite number")

    def test_refusesOtherTypes(self) -> None:
        """
        A value of a type that JSON does not have is refused, rather than
        written as another type.
        """
        for value in (b"a", {1}, object(), 1j, range(2)):
            self.assertRefused(value, f"not have the type {type(value).__name__}")
        for key in (1, None, True, 1.5, (), b"a", 10**5_000):
            self.assertRefused({key: 1}, f"a key that is a {type(key).__name__}")

    def test_refusesLoneSurrogates(self) -> None:
        """
        A lone surrogate, which has no UTF-8, is refused.
        """
        for value in ("a\ud800", {"\udfff": 1}):
            self.assertRefused(value, "half of a surrogate pair")

    def test_boundsDepth(self) -> None:
        """
        A value may have as many levels as allowed, 64 by default.
        """
        value: Any = []
        for _ in range(63):
            value = [value]
        self.assertEqual(encode(value), b"[" * 64 + b"]" * 64)
        self.assertRefused([value], "more than 64 levels")
        self.assertEqual(encode({"a": 1}, 1), b'{"a":1}')
        self.assertRefused({"a": {}}, "more than 1 levels", 1)
        self.assertEqual(encode(1, 0), b"1")

    def test_decodedValue(self) -> None:
        """
        The depth of a value that was decoded is bounded, too, and it is written as
        any other.
        """
        for value in ([[1, "[[["]], {"a": {"]": "<"}}, "[[[", 1, None):
            self.assertEqual(encode(value, 2, isDecoded=True), encode(value, 2))
        for deep in (b"[[1]]", b'{"a":[]}'):
            self.assertRaises(BadMessage, encode, decode(deep, 2), 1, isDecoded=True)

    def test_refusesCycle(self) -> None:
        """
        A value that contains itself, also several times, is refused at once.
        """
        value: list[Any] = []
        value += [value, value, {"a": value}]
        self.assertRefused(value, "levels deep")

    def test_refusesTooDeepForPython(self) -> None:
        """
        If more levels are allowed than Python can recurse, a value that is
        deeper is refused with the same error.
        """
        levels = sys.getrecursionlimit() * 100
        value: list[Any] = []
        for _ in range(levels):
            value = [value]
        self.assertRaises(BadMessage, encode, value, 2 * levels)
        # Freed from the outside to the inside, so that Python does not recurse.
        while value:
            value = value.pop()

    @settings(deadline=None)
    @given(VALUES)
    def test_roundTrip(self, value: Any) -> None:
        """
        An encoded value is decoded as it was, here and by another decoder, and
        has the same bytes when it is encoded again.
        """
        raw = encode(value)
        self.assertEqual(repr(decode(raw, 64)), repr(value))
        self.assertEqual(repr(json.loads(raw)), repr(value))
        self.assertEqual(encode(decode(raw, 64)), raw)

    @settings(deadline=None)
    @given(TEXTS)
    def test_hasNoBreaks(self, text: str) -> None:
        """
        No encoded value has a character that could end a line, a script or a
        message.
        """
        raw = encode({text: text})
        for byte in (*range(0x20), ord("<")):
            self.assertFalse(bytes((byte,)) in raw)
        for character in ("\u2028", "\u2029"):
            self.assertFalse(character.encode() in raw)

    @settings(deadline=None)
    @given(TEXTS | st.from_regex("[ -~]*", fullmatch=True))
    def test_rawText(self, text: str) -> None:
        """
        Text in UTF-8 is encoded like the text itself.
        """
        self.assertEqual(encodeRawText(text.encode("utf-8")), encode(text))

    def test_rawBytes(self) -> None:
        """
        Each byte alone is encoded like its character; one that is not UTF-8 is refused.
        """
        for byte in range(0x80):
            self.assertEqual(encodeRawText(bytes((byte,))), encode(chr(byte)))
        for byte in range(0x80, 0x100):
            self.assertRaises(UnicodeDecodeError, encodeRawText, bytes((byte,)))


def isJSON(raw: bytes) -> bool:
    """
    Whether Python's decoder accepts a text.
    """
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True


def depthOf(value: Any) -> int:
    """
    Count the levels of arrays and objects of a value.
    """
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depthOf, value), default=0) if isinstance(value, list) else 0
