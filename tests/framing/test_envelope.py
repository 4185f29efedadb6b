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
    The envelopes of messages and of what is told beside them.
    """

    def test_message(self) -> None:
        """
        A message is its channel, cursor and data, without a space.
        """
        self.assertEqual(
            encodeEnvelope(makeMessage({"headline": "…"})),
            '{"channel":"news","cursor":"k3f9a2-1042","data":{"headline":"…"}}'.encode(),
        )

    def test_order(self) -> None:
        """
        The keys have one order, whichever of them are there.
        """
        message = makeMessage("AA==", "chat/é<", "said", "base64")
        self.assertEqual(
            encodeEnvelope(message, time=True, replay=True),
            '{"channel":"chat/é\\u003c","cursor":"k3f9a2-1042","time":1700000000.123,'
            '"event":"said","encoding":"base64","replay":true,"data":"AA=="}'.encode(),
        )

    def test_time(self) -> None:
        """
        The time is a number, in seconds, and never finer than a millisecond.
        """
        for time, written in (
            (1.0, b"1.0"),
            (1.0006, b"1.001"),
            (1700000000.99999, b"1700000001.0"),
        ):
            raw = encodeEnvelope(makeMessage(1, time=time), time=True)
            self.assertIn(b',"time":%b,' % written, raw)

    def test_standing(self) -> None:
        """
        Where the reader stands is an envelope of only the cursor.
        """
        self.assertEqual(encodeCursor(CURSOR), b'{"cursor":"k3f9a2-1042"}')

    def test_gap(self) -> None:
        """
        A gap is the cursor and the names as they were asked for.
        """
        self.assertEqual(
            encodeGap(CURSOR, ("news", "a\u2028/**")),
            b'{"cursor":"k3f9a2-1042","gap":["news","a\\u2028/**"]}',
        )

    def test_close(self) -> None:
        """
        The end is the cursor, the code, the reason and when to come back, null
        for never.
        """
        self.assertEqual(
            encodeClose(CURSOR, Close("draining", "back soon", 2.5)),
            b'{"cursor":"k3f9a2-1042",'
            b'"close":{"code":"draining","message":"back soon","retry":2.5}}',
        )
        self.assertIn(b'"retry":null}}', encodeClose(CURSOR, Close("expired", "")))

    @settings(deadline=None)
    @given(MESSAGES, st.booleans(), st.booleans())
    def test_readable(self, message: Message, time: bool, replay: bool) -> None:
        """
        Whatever is in a message, its envelope is JSON that says it, with only
        the keys that apply, and safe in every shape.
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
    def test_others(self, names: list[str], close: Close) -> None:
        """
        So are those of gaps and of the end.
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
        Nothing in an envelope ends a line, a script, or a message.
        """
        for part in (b"<", b"\n", b"\r", b"\0", "\u2028".encode(), "\u2029".encode()):
            self.assertFalse(part in raw, raw)


class RawTextTests(SynchronousTestCase):
    """
    L{rawText}.
    """

    def test_literals(self) -> None:
        """
        A string is its text, also an empty one; anything else is its JSON.
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
    def test_any(self, data: Any) -> None:
        """
        From the text of anything that is no string its value comes back.
        """
        text = rawText(makeMessage(data))
        self.assertEqual(text if isinstance(data, str) else json.loads(text), data)


class ShapeTests(SynchronousTestCase):
    """
    L{EnvelopeShape}, the shape with nothing around its envelopes.
    """

    def test_pieces(self) -> None:
        """
        Each piece is an envelope, and what is written are the pieces.
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
