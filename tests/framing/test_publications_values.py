"""
Tests for L{comet.framing.publications}: Python values, how large they are, and what tells
them apart.
"""

from __future__ import annotations

import base64
import json
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage, TooLarge
from comet.framing.publications import (
    Limits,
    fingerprint,
    fromValue,
    keyScope,
    measure,
    readBody,
    readObject,
)
from comet.model.messages import Publication
from tests.framing.test_publications import LIMITS, SMALL, nested, values


class FromValueTests(SynchronousTestCase):
    """
    L{fromValue}.
    """

    @settings(deadline=None)
    @given(values)
    def test_roundTrip(self, value: Any) -> None:
        """
        A client that reads the payload has the value, and publishing what it
        read makes the same publication.
        """
        publication = fromValue(["a"], value, LIMITS)
        self.assertEqual(json.loads(publication.payload), value)
        self.assertIsNone(publication.encoding)
        again = readBody(["a"], "application/json", publication.payload, Limits(10**6))
        self.assertEqual(again, publication)

    @settings(deadline=None)
    @given(st.binary(max_size=100))
    def test_bytes(self, value: bytes) -> None:
        """
        Bytes of every kind come back from the base64, and what a client reads
        it may publish again.
        """
        publication = fromValue("a", value, LIMITS)
        self.assertEqual(publication.encoding, "base64")
        text = json.loads(publication.payload)
        self.assertEqual(base64.b64decode(text), value)
        self.assertEqual(fromValue("a", bytearray(value), LIMITS), publication)
        self.assertEqual(fromValue("a", memoryview(value), LIMITS), publication)
        fields = {"channel": "a", "data": text, "encoding": "base64"}
        self.assertEqual(readObject(fields, LIMITS), publication)

    def test_oneName(self) -> None:
        """
        One name need not be in a list.
        """
        self.assertEqual(fromValue("news", 1, LIMITS), Publication(("news",), b"1"))

    def test_notJSON(self) -> None:
        """
        What JSON cannot say is not a message.
        """
        for value in (object(), float("nan"), float("inf"), "\ud800", 2**64, nested(65)):
            self.assertRaises(BadMessage, fromValue, "a", value, LIMITS)

    def test_size(self) -> None:
        """
        What counts is the bytes of a string, of bytes, and of JSON in its
        shortest form; escapes that only the wire needs do not count.
        """
        for good, bad in (
            ("<" * 10, "<" * 11),
            ("\u2028" * 3, "\u2028" * 4),
            (b"\xff" * 10, b"\xff" * 11),
            (["<" * 6], ["<" * 7]),
            ([1, 2, 3, 45], [1, 2, 3, 456]),
        ):
            self.assertIsInstance(fromValue("a", good, SMALL), Publication)
            error = self.assertRaises(TooLarge, fromValue, "a", bad, SMALL)
            self.assertIn("at most 10", error.detail)


class MeasureTests(SynchronousTestCase):
    """
    L{measure}.
    """

    @settings(deadline=None)
    @given(
        st.lists(
            st.sampled_from(["\\", "u003c", "u2028", "<", '"', "\u2028", "\u2029", "é", "\n"])
        ).map("".join)
    )
    def test_otherValues(self, value: str) -> None:
        """
        The size is that of the shortest JSON, also where backslashes stand
        before what looks like an escape.
        """
        payload = fromValue("a", [value], LIMITS).payload
        plain = json.dumps([value], ensure_ascii=False, separators=(",", ":"))
        self.assertEqual(measure([value], payload), len(plain.encode("utf-8")))


class FingerprintTests(SynchronousTestCase):
    """
    L{fingerprint}.
    """

    def test_distinct(self) -> None:
        """
        Data, event and encoding each make a difference, and none can pass for
        another.
        """
        publications = [
            Publication(("a",), b'"x"'),
            Publication(("a",), b'"y"'),
            Publication(("a",), b'"x"', event="x"),
            Publication(("a",), b'"x"', event="base64"),
            Publication(("a",), b'"x"', encoding="base64"),
            Publication(("a",), b'x"x"', event="x"),
            Publication(("a",), b'"x"', event='x"x"'),
        ]
        for one, other in combinations(publications, 2):
            self.assertNotEqual(fingerprint(one), fingerprint(other))

    def test_same(self) -> None:
        """
        Channels, publisher and key make no difference.
        """
        one = Publication(("a",), b"1", "tick")
        other = Publication(("b", "c"), b"1", "tick", None, "me", "k")
        self.assertEqual(fingerprint(one), fingerprint(other))
        self.assertEqual(len(fingerprint(one)), 16)


class KeyScopeTests(SynchronousTestCase):
    """
    L{keyScope}.
    """

    def test_none(self) -> None:
        """
        A publication without a key has no scope.
        """
        self.assertIsNone(keyScope(Publication(("a",), b"1")))

    def test_order(self) -> None:
        """
        The order of the channels makes no difference.
        """
        scope = keyScope(Publication(("b", "a"), b"1", publisher="me", key="k"))
        self.assertEqual(scope, ("me", ("a", "b"), "k"))
        self.assertEqual(scope, keyScope(Publication(("a", "b"), b"2", publisher="me", key="k")))

    def test_distinct(self) -> None:
        """
        Another publisher, other channels or another key are another scope, and
        no spelling makes one pass for another.
        """
        scopes = {
            keyScope(Publication(channels, b"1", publisher=publisher, key=key))
            for channels in (("a",), ("b",), ("a", "b"), ("a b",))
            for publisher in ("", "a", "a b")
            for key in ("a", "b", "a b")
        }
        self.assertEqual(len(scopes), 36)
