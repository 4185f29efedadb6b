"""
Tests for L{comet.framing.stored}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage
from comet.framing.stored import (
    MOST_BYTES,
    MOST_LEVELS,
    MOST_POSITION,
    NotOurs,
    StoredMessage,
    areStoredPayloads,
    checkManyStored,
    checkStored,
    checkStoredEnd,
    checkStoredPayload,
)
from comet.framing.strictjson import encode
from comet.model.cursors import Cursor

GOOD: dict[str, Any] = {
    "channel": "news",
    "epoch": "e",
    "position": 1,
    "time": 1.5,
    "payload": b'"x"',
    "event": None,
    "encoding": None,
}

BAD: list[tuple[str, Any]] = [
    ("channel", "a\nb"),
    ("channel", "*"),
    ("channel", None),
    ("epoch", "e\n"),
    ("epoch", b"e"),
    ("position", 0),
    ("position", MOST_POSITION + 1),
    ("position", True),
    ("position", 1.0),
    ("time", float("nan")),
    ("time", float("inf")),
    ("time", -1.0),
    ("time", 1e12),
    ("time", "1"),
    ("event", "a\rb"),
    ("event", "$gap"),
    ("event", b"\xff"),
    ("encoding", "gzip"),
    ("encoding", []),
    ("encoding", ";exclude="),
    ("encoding", ";exclude=short"),
    ("encoding", "gzip;exclude=reader-01"),
    ("encoding", "base64;exclude=reader-01;exclude=reader-02"),
    ("payload", "1"),
    ("payload", b""),
    ("payload", b'"</script>"'),
    ("payload", b"1\n2"),
    ("payload", b"1\r"),
    ("payload", b"[1,\t2]"),
    ("payload", b" 1"),
    ("payload", b"1 "),
    ("payload", '"\u2028"'.encode()),
    ("payload", b"NaN"),
    ("payload", b"1}"),
    ("payload", b'"\xff"'),
    ("payload", b"[" * 300 + b"]" * 300),
    ("payload", b"1" * (MOST_BYTES + 1)),
]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


# What texts are made of that another text could make whole.
PARTS = st.sampled_from([b"1", b'"', b",", b"[", b"]", b"{", b"}", b":", b" ", b'"a"', b"\\", b"<"])


def encoded(value: Any) -> bytes:
    """
    Encode a value, or another one where that cannot be.
    """
    try:
        return encode(value)
    except (ValueError, BadMessage):
        return b"0"


class CheckTests(SynchronousTestCase):
    """
    L{checkStored}.
    """

    def test_refusesEachBadPart(self) -> None:
        """
        A part that comet cannot have written is refused by its name.
        """
        for field, value in BAD:
            error = self.assertRaises(NotOurs, checkStored, **{**GOOD, field: value})
            self.assertEqual(error.field, field, f"{value!r:.80}")

    def test_end(self) -> None:
        """
        A log ends before its first position, or at one that another can follow.
        """
        for position in (0, 1, MOST_POSITION - 1):
            self.assertEqual(checkStoredEnd("e", position), Cursor("e", position))
        for end in (-1, MOST_POSITION, 2**63 - 1, 1.0, True, "1", None):
            self.assertRaises(NotOurs, checkStoredEnd, "e", end)
        for epoch in ("", "a-b", "e" * 33, b"e", None):
            self.assertRaises(NotOurs, checkStoredEnd, epoch, 1)

    def test_refusesFalseBase64(self) -> None:
        """
        Data with an encoding have to be a text in it.
        """
        for payload in (b"1", b'"a"', b'"AB=="'):
            parts = {**GOOD, "encoding": "base64", "payload": payload}
            self.assertEqual(self.assertRaises(NotOurs, checkStored, **parts).field, "payload")

    @given(VALUES)
    def test_takesAllThatIsEncoded(self, value: Any) -> None:
        """
        Each payload that comet writes is taken, byte for byte.
        """
        try:
            payload = encode(value)
        except ValueError:
            return
        except Exception as error:
            self.assertEqual(type(error).__name__, "BadMessage")
            return
        message = checkStored(**{**GOOD, "payload": payload, "event": "tick"})
        self.assertEqual((message.payload, message.event), (payload, "tick"))
        checkStored(**{**GOOD, "payload": b'"AA=="', "encoding": "base64"})

    @settings(deadline=None)
    @given(st.lists(st.lists(PARTS, max_size=3).map(b"".join) | VALUES.map(encoded), max_size=5))
    def test_checksManyAsEach(self, payloads: list[bytes]) -> None:
        """
        Many are right together only if each is, also where one seems to end what
        another begins.
        """

        def isRight(payload: bytes) -> bool:
            try:
                return checkStoredPayload(payload) == payload
            except NotOurs:
                return False

        self.assertEqual(areStoredPayloads(payloads), all(map(isRight, payloads)))

    @settings(deadline=None)
    @given(st.lists(st.sampled_from((("channel", "a"), *BAD)), max_size=4))
    def test_makesManyAsEach(self, changes: list[tuple[str, Any]]) -> None:
        """
        Of many messages the same are made and refused, for the same reasons, as of each
        by itself, in their order.
        """
        stored = [StoredMessage(**{**GOOD, field: value}) for field, value in changes]
        messages, refused = checkManyStored(stored)
        expected, faults = [], []
        for each in stored:
            try:
                expected.append(repr(checkStored(*each)))
            except NotOurs as error:
                faults.append(str(error))
        self.assertEqual([repr(each) for each in messages], expected)
        self.assertEqual([str(each) for each in refused], faults)

    def test_checksManyWithinBounds(self) -> None:
        """
        Many that are deep or large together are not checked at once.
        """
        deep = b"[" * MOST_LEVELS + b"]" * MOST_LEVELS
        self.assertTrue(areStoredPayloads([deep[1:-1]] * 300))
        self.assertFalse(areStoredPayloads([deep]))
        self.assertFalse(areStoredPayloads([b'"%b"' % (b"x" * (MOST_BYTES // 2))] * 2))

    @given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8")))
    def test_lineAndScriptStayWhole(self, payload: bytes) -> None:
        """
        What is taken ends no line, event or script element.
        """
        try:
            message = checkStored(**{**GOOD, "payload": payload})
        except NotOurs:
            return
        self.assertFalse(set(message.payload) & set(b"\r\n<\x00"))
