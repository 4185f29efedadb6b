"""
Tests of L{comet.framing.envelope}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.envelope import (
    EnvelopeShape,
    encodeClose,
    encodeCursor,
    encodeEnvelope,
    encodeGap,
    rawText,
)
from comet.model.messages import Close, Message
from tests.framing.readers import CLOSES, CURSOR, MESSAGES, NAMES, VALUES, makeMessage


class EnvelopeTests(SynchronousTestCase):
    """
    The envelopes of messages, cursors, gaps and the end.
    """

    def test_encodesMessage(self) -> None:
        """
        The envelope of a message has its channel, cursor and data, without
        white space.
        """
        self.assertEqual(
            encodeEnvelope(makeMessage({"headline": "…"})),
            '{"channel":"news","cursor":"k3f9a2-1042","data":{"headline":"…"}}'.encode(),
        )

    def test_keepsOrderOfKeys(self) -> None:
        """
        The keys have the same order in every envelope.
        """
        message = makeMessage("AA==", "chat/é<", "said", "base64")
        self.assertEqual(
            encodeEnvelope(message, time=True, replay=True),
            '{"channel":"chat/é\\u003c","cursor":"k3f9a2-1042","time":1700000000.123,'
            '"event":"said","encoding":"base64","replay":true,"data":"AA=="}'.encode(),
        )

    def test_roundsTime(self) -> None:
        """
        The time is a number of seconds, rounded to milliseconds.
        """
        for time, written in (
            (1.0, b"1.0"),
            (1.0006, b"1.001"),
            (1700000000.99999, b"1700000001.0"),
        ):
            raw = encodeEnvelope(makeMessage(1, time=time), time=True)
            self.assertIn(b',"time":%b,' % written, raw)

    def test_encodesCursor(self) -> None:
        """
        The envelope of a cursor has only the cursor.
        """
        self.assertEqual(encodeCursor(CURSOR), b'{"cursor":"k3f9a2-1042"}')

    def test_encodesGap(self) -> None:
        """
        The envelope of a gap has the cursor, and the names as the client asked
        for them.
        """
        self.assertEqual(
            encodeGap(CURSOR, ("news", "a\u2028/**")),
            b'{"cursor":"k3f9a2-1042","gap":["news","a\\u2028/**"]}',
        )

    def test_encodesClose(self) -> None:
        """
        The envelope of the end has the cursor, the code, the reason, and the
        time after which to reconnect, null for never.
        """
        self.assertEqual(
            encodeClose(CURSOR, Close("draining", "back soon", 2.5)),
            b'{"cursor":"k3f9a2-1042",'
            b'"close":{"code":"draining","message":"back soon","retry":2.5}}',
        )
        self.assertIn(b'"retry":null}}', encodeClose(CURSOR, Close("expired", "")))

    @settings(deadline=None)
    @given(MESSAGES, st.booleans(), st.booleans())
    def test_encodesAnyMessage(self, message: Message, time: bool, replay: bool) -> None:
        """
        The envelope of any message is JSON with its values and only the keys
        that apply, and is safe in every format.
        """
        raw = encodeEnvelope(message, time, replay)
        expected = {
            "channel": message.channel,
            "cursor": str(message.cursor),
            "time": round(message.time, 3) if time else None,
            "event": message.event,
            "encoding": message.encoding,
            "replay": replay or None,
            "data": json.loads(message.payload),
        }
        pairs = [(key, value) for key, value in expected.items() if value is not None]
        if expected["data"] is None:
            pairs.append(("data", None))
        self.assertEqual(json.loads(raw, object_pairs_hook=list)[:-1], pairs[:-1])
        self.assertEqual(json.loads(raw), dict(pairs))
        self.assertSafe(raw)

    @settings(deadline=None)
    @given(st.lists(NAMES), CLOSES)
    def test_encodesAnyGapAndClose(self, names: list[str], close: Close) -> None:
        """
        The envelopes of gaps and of the end are JSON with their values, and
        safe in every format.
        """
        gap = encodeGap(CURSOR, names)
        end = encodeClose(CURSOR, close)
        self.assertEqual(json.loads(gap), {"cursor": str(CURSOR), "gap": names})
        self.assertEqual(
            json.loads(end)["close"],
            {"code": close.code, "message": close.message, "retry": close.retry},
        )
        self.assertSafe(gap)
        self.assertSafe(end)

    def assertSafe(self, raw: bytes) -> None:
        """
        Assert that an envelope has no character that ends a line, a script, or
        a message.
        """
        for part in (b"<", b"\n", b"\r", b"\0", "\u2028".encode(), "\u2029".encode()):
            self.assertFalse(part in raw, raw)


class RawTextTests(SynchronousTestCase):
    """
    L{rawText}.
    """

    def test_stringsAndJSON(self) -> None:
        """
        The text of a string is the string, also if it is empty.  The text of
        any other value is its JSON.
        """
        for data, text in (
            ("plain", "plain"),
            ("", ""),
            ('a\n"<\u2028\\', 'a\n"<\u2028\\'),
            ("1", "1"),
            (1, "1"),
            (None, "null"),
            (["<é"], '["\\u003cé"]'),
        ):
            self.assertEqual(rawText(makeMessage(data)), text)

    @settings(deadline=None)
    @given(VALUES)
    def test_otherValuesCanBeRead(self, data: Any) -> None:
        """
        The text of any value that is not a string can be read as JSON.
        """
        text = rawText(makeMessage(data))
        self.assertEqual(text if isinstance(data, str) else json.loads(text), data)


class ShapeTests(SynchronousTestCase):
    """
    L{EnvelopeShape}, which adds nothing to its envelopes.
    """

    def test_piecesAreEnvelopes(self) -> None:
        """
        Each piece is an envelope, and a frame is the pieces joined.
        """
        shape: Shape = EnvelopeShape(time=True)
        message = makeMessage(1)
        close = Close("internal", "oh", 1.0)
        pieces = [
            shape.message(message, True),
            shape.cursor(CURSOR),
            shape.gap(CURSOR, ["a"]),
            shape.close(CURSOR, close),
        ]
        expected = [
            encodeEnvelope(message, True, True),
            encodeCursor(CURSOR),
            encodeGap(CURSOR, ["a"]),
            encodeClose(CURSOR, close),
        ]
        self.assertEqual(pieces, expected)
        self.assertEqual(shape.frame(pieces), b"".join(expected))
        self.assertEqual((shape.prelude, shape.coda, shape.adoptsReplay), (b"", b"", False))
