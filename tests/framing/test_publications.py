"""
Tests of L{comet.framing.publications}: limits, keys, and the body of a request.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadChannel, BadMessage, BadRequest, CometError, TooLarge, Unsupported
from comet.framing.publications import (
    Limits,
    checkKey,
    readBody,
    shown,
)
from comet.model.messages import Publication

LIMITS = Limits()
SMALL = Limits(maxMessage=10, maxDepth=2, maxBatch=3, maxChannels=2)

characters = st.characters(codec="utf-8")
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(characters), inner),
    max_leaves=12,
)


def nested(levels: int) -> list[Any]:
    """
    Make a list in a list in a list.
    """
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


class LimitsTests(SynchronousTestCase):
    """
    L{Limits}.
    """

    def test_hasDocumentedDefaults(self) -> None:
        """
        The limits have the documented defaults.
        """
        self.assertEqual(LIMITS, Limits(65536, 64, 1000, 100))
        self.assertEqual(LIMITS.maxBatchBytes, 4194304)


class ShownTests(SynchronousTestCase):
    """
    L{shown}.
    """

    def test_keepsShort(self) -> None:
        """
        A short value is shown as it is.
        """
        for value in ("a", 1, None, True, 1.5, [1], {"a": 1}):
            self.assertEqual(shown(value), repr(value))

    def test_cutsLong(self) -> None:
        """
        A long value of any type is cut.
        """
        for value in ("a" * 100, [["a" * 100] * 100] * 100, {"a" * 100: 1}, "\x00" * 100):
            self.assertLessEqual(len(shown(value)), 64)


class CheckKeyTests(SynchronousTestCase):
    """
    L{checkKey}.
    """

    def test_acceptsPrintableASCII(self) -> None:
        """
        A key is 1 to 128 printable ASCII characters.
        """
        every = "".join(map(chr, range(0x20, 0x7F)))
        for key in ("a", " ", "~", every, "k" * 128):
            self.assertEqual(checkKey(key), key)

    def test_refusesOtherKeys(self) -> None:
        """
        Any other key is a bad request, and the detail shows it.
        """
        for key in ("", "k" * 129, "a\n", "\x7f", "\x1f", "é", 5, None, ["a"]):
            error = self.assertRaises(BadRequest, checkKey, key)
            self.assertIn(shown(key), error.detail)


class ReadBodyTests(SynchronousTestCase):
    """
    L{readBody}.
    """

    def read(self, contentType: str | None, body: bytes, limits: Limits = LIMITS) -> Publication:
        """
        Read a body for one channel.
        """
        return readBody(["news"], contentType, body, limits)

    def test_readsJSON(self) -> None:
        """
        JSON is read as its value, and stored without white space.
        """
        for kind in (
            "application/json",
            "Application/JSON",
            " application/json ; charset=utf-8",
            "application/json;",
            "application/ld+json",
            "model/GLTF+JSON",
        ):
            publication = self.read(kind, b' { "a" : [1, 2.5, "\xc3\xa9"] }\r\n')
            self.assertEqual(publication, Publication(("news",), '{"a":[1,2.5,"é"]}'.encode()))

    def test_refusesLaxJSON(self) -> None:
        """
        A body that is not strict JSON is a bad message.
        """
        for body in (b"", b"{", b"NaN", b"1e400", b'"\\ud800"', b"\xff", b"1 2"):
            self.assertRaises(BadMessage, self.read, "application/json", body)

    def test_boundsDepth(self) -> None:
        """
        JSON may have as many levels as the limit, and no more.
        """
        for levels in (1, 64):
            body = json.dumps(nested(levels)).encode()
            self.assertEqual(self.read("application/json", body).payload, body)
        body = json.dumps(nested(65)).encode()
        self.assertRaises(BadMessage, self.read, "application/json", body)

    def test_readsText(self) -> None:
        """
        Text, a form and a body without a type are a string, never JSON.
        """
        for kind in (
            None,
            "",
            " ",
            "text/plain",
            'TEXT/html; charset="US-ASCII"; x=y',
            "text/x",
            "application/x-www-form-urlencoded",
        ):
            self.assertEqual(self.read(kind, b"[1]").payload, b'"[1]"')
            self.assertEqual(self.read(kind, "é\n".encode()).payload, '"é\\n"'.encode())

    def test_emptyText(self) -> None:
        """
        An empty body of text is the empty string.
        """
        self.assertEqual(self.read(None, b""), Publication(("news",), b'""'))

    def test_refusesOtherThanUTF8(self) -> None:
        """
        Text that is not UTF-8 is a bad message, and the detail has the place.
        """
        error = self.assertRaises(BadMessage, self.read, "text/plain", b"ab\xff")
        self.assertIn(r"b'\xff' at byte 2", error.detail)
        for body in (b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82"):
            self.assertRaises(BadMessage, self.read, None, body)

    def test_readsBytes(self) -> None:
        """
        A body of any other type is bytes, whatever its charset.
        """
        for kind in (
            "application/octet-stream",
            "image/png",
            "application/json-seq",
            "application/x-ndjson",
            "application/jsonx",
            "application/xml; charset=iso-8859-1",
        ):
            publication = self.read(kind, b"\xff\x00")
            self.assertEqual(publication, Publication(("news",), b'"/wA="', encoding="base64"))

    def test_refusesMalformedType(self) -> None:
        """
        A malformed content type is a bad request.
        """
        for kind in ("json", "text/", "text/plain, application/json", "text/plain; charset"):
            self.assertRaises(BadRequest, self.read, kind, b"x")

    def test_refusesOtherCharset(self) -> None:
        """
        Text and JSON in another charset than UTF-8 are not supported, also where
        the bytes would be UTF-8.
        """
        for kind in (
            "text/plain; charset=iso-8859-1",
            "application/json; charset=utf-16",
            "application/x-www-form-urlencoded; charset=windows-1252",
        ):
            error = self.assertRaises(Unsupported, self.read, kind, b"1")
            self.assertEqual(error.codings, ())

    def test_boundsSize(self) -> None:
        """
        The limit applies to the bytes of the body, of any type.
        """
        for kind, body in (
            ("text/plain", b"<" * 10),
            ("text/plain", b"\x00" * 10),
            ("text/plain", "é".encode() * 5),
            ("image/png", b"\xff" * 10),
            ("application/json", b'["<<<<<<"]'),
        ):
            self.assertIsInstance(self.read(kind, body, SMALL), Publication)
            error = self.assertRaises(TooLarge, self.read, kind, body + b" ", SMALL)
            self.assertIn("11 bytes; at most 10", error.detail)

    def test_boundsSizeOfJSON(self) -> None:
        """
        JSON that is within the limit, but whose shortest form is not, is too
        large: a number may be many times as long as it was written.
        """
        self.assertRaises(TooLarge, self.read, "application/json", b"[1e15]", SMALL)

    def test_keepsOrderOfChannels(self) -> None:
        """
        The channels keep their order, and one that is there twice counts once.
        """
        publication = readBody(["b", "a/c", "b"], None, b"", LIMITS)
        self.assertEqual(publication.channels, ("b", "a/c"))

    def test_refusesBadChannels(self) -> None:
        """
        A pattern, and an invalid name, is a bad channel.
        """
        for name in ("chat/*", "**", "", "a//b", "a,b"):
            self.assertRaises(BadChannel, readBody, ["a", name], None, b"", LIMITS)

    def test_boundsChannels(self) -> None:
        """
        There is at least one channel, and at most as many as the limit.
        """
        self.assertEqual(readBody(["a", "b", "a"], None, b"", SMALL).channels, ("a", "b"))
        self.assertRaises(BadRequest, readBody, [], None, b"", SMALL)
        error = self.assertRaises(BadRequest, readBody, ["a", "b", "c"], None, b"", SMALL)
        self.assertIn("3 channels were named; 1 to 2 are allowed", error.detail)

    def test_keepsEventKeyAndPublisher(self) -> None:
        """
        The publication has the event, the key and the publisher.
        """
        publication = readBody(["a"], None, b"x", LIMITS, "tick", "k 1", "me")
        self.assertEqual(publication, Publication(("a",), b'"x"', "tick", None, "me", "k 1"))

    def test_checksEventAndKey(self) -> None:
        """
        An invalid event and an invalid key are refused.
        """
        for event in ("", "$gap", "open", "error", "a\nb", "e" * 65):
            self.assertRaises(BadMessage, readBody, ["a"], None, b"", LIMITS, event)
        self.assertRaises(BadRequest, readBody, ["a"], None, b"", LIMITS, None, "")

    @settings(deadline=None)
    @given(
        st.lists(st.text(max_size=5), max_size=3),
        st.none()
        | st.text(max_size=20)
        | st.sampled_from(["application/json", "text/plain", "application/x-ndjson"]),
        st.binary(max_size=20),
        st.none() | st.text(max_size=5),
        st.none() | st.text(max_size=5),
    )
    def test_readsOrRefusesAnyBody(
        self,
        channels: list[str],
        contentType: str | None,
        body: bytes,
        event: str | None,
        key: str | None,
    ) -> None:
        """
        Any body is a publication whose payload is JSON, or an error.
        """
        try:
            publication = readBody(channels, contentType, body, SMALL, event, key)
        except CometError as error:
            self.assertEqual(error.status // 100, 4)
        else:
            json.loads(publication.payload)
            self.assertLessEqual(len(publication.payload), 62)
