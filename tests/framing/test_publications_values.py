"""
Tests of L{comet.framing.publications}: Python values and their sizes.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage, TooLarge
from comet.framing.publications import (
    Limits,
    fromValue,
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
        A client that reads the payload has the value, and publishing that again
        makes the same publication.
        """
        publication = fromValue(["a"], value, LIMITS)
        self.assertEqual(json.loads(publication.payload), value)
        self.assertIsNone(publication.encoding)
        again = readBody(["a"], "application/json", publication.payload, Limits(10**6))
        self.assertEqual(again, publication)

    @settings(deadline=None)
    @given(st.binary(max_size=100))
    def test_encodesBytes(self, value: bytes) -> None:
        """
        Bytes of every type can be decoded from the base64, and a client may
        publish what it reads again.
        """
        publication = fromValue("a", value, LIMITS)
        self.assertEqual(publication.encoding, "base64")
        text = json.loads(publication.payload)
        self.assertEqual(base64.b64decode(text), value)
        self.assertEqual(fromValue("a", bytearray(value), LIMITS), publication)
        self.assertEqual(fromValue("a", memoryview(value), LIMITS), publication)
        fields = {"channel": "a", "data": text, "encoding": "base64"}
        self.assertEqual(readObject(fields, LIMITS), publication)

    def test_acceptsOneName(self) -> None:
        """
        One name need not be in a list.
        """
        self.assertEqual(fromValue("news", 1, LIMITS), Publication(("news",), b"1"))

    def test_refusesOtherThanJSON(self) -> None:
        """
        A value that JSON does not have is a bad message.
        """
        for value in (object(), float("nan"), float("inf"), "\ud800", 2**64, nested(65)):
            self.assertRaises(BadMessage, fromValue, "a", value, LIMITS)

    def test_boundsSize(self) -> None:
        """
        The limit applies to the bytes of a string in UTF-8, of bytes, or of
        JSON in its shortest form.  Escapes that only the wire needs do not
        count.
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

    @settings(deadline=None)
    @given(
        st.lists(
            st.sampled_from(["\\", "u003c", "u2028", "<", '"', "\u2028", "\u2029", "é", "\n"])
        ).map("".join)
    )
    def test_boundsShortestJSON(self, value: str) -> None:
        """
        The size is that of the shortest JSON, also if backslashes precede text
        that looks like an escape.
        """
        plain = json.dumps([value], ensure_ascii=False, separators=(",", ":"))
        size = len(plain.encode("utf-8"))
        fromValue("a", [value], Limits(maxMessage=size))
        self.assertRaises(TooLarge, fromValue, "a", [value], Limits(maxMessage=size - 1))
