"""
Tests of L{comet.framing.websocket}.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.envelope import encodeCursor, encodeEnvelope
from comet.framing.websocket import WebSocketShape, textFrame
from comet.model.messages import Message
from tests.framing.readers import CURSOR, CUTS, MESSAGES, TEXTS, FrameReader, makeMessage, readAll


class FrameTests(SynchronousTestCase):
    """
    L{textFrame}.
    """

    def test_exampleOfRFC(self) -> None:
        """
        A frame is encoded like the unmasked text message in RFC 6455 5.7.
        """
        self.assertEqual(textFrame(b"Hello"), bytes([0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]))

    def test_shortestLength(self) -> None:
        """
        Each length has its shortest form, on both sides of each limit.
        """
        for length, head in (
            (0, "8100"),
            (125, "817d"),
            (126, "817e007e"),
            (65_535, "817effff"),
            (65_536, "817f0000000000010000"),
        ):
            payload = b"x" * length
            frame = textFrame(payload)
            self.assertEqual(frame, bytes.fromhex(head) + payload)
            reader = FrameReader()
            reader.feed(frame)
            self.assertEqual((reader.texts, reader.rest), ([payload.decode()], b""))

    @settings(deadline=None)
    @given(st.lists(TEXTS), CUTS)
    def test_anySplit(self, texts: list[str], sizes: list[int]) -> None:
        """
        A client gets every message, for any split of the stream.
        """
        reader = FrameReader()
        readAll(reader, b"".join(textFrame(text.encode()) for text in texts), sizes)
        self.assertEqual((reader.texts, reader.rest), (texts, b""))


class ShapeTests(SynchronousTestCase):
    """
    L{WebSocketShape}.
    """

    def test_encodesMessages(self) -> None:
        """
        Each envelope is a message of its own, and several are written together.
        """
        shape: Shape = WebSocketShape()
        piece = shape.cursor(CURSOR)
        self.assertEqual(piece, b'\x81\x18{"cursor":"k3f9a2-1042"}')
        self.assertEqual(shape.frame([piece, piece]), piece * 2)
        self.assertEqual((shape.prelude, shape.coda, shape.adoptsReplay), (b"", b"", False))
        self.assertNotEqual(shape, WebSocketShape(time=True))

    @settings(deadline=None)
    @given(st.lists(MESSAGES, max_size=3), CUTS)
    def test_anySplit(self, messages: list[Message], sizes: list[int]) -> None:
        """
        A client gets every envelope, for any split of the stream.
        """
        shape = WebSocketShape(time=True)
        pieces = [shape.cursor(CURSOR), *map(shape.message, messages)]
        reader = FrameReader()
        readAll(reader, shape.frame(pieces), sizes)
        envelopes = [encodeCursor(CURSOR)]
        envelopes += [encodeEnvelope(message, time=True) for message in messages]
        self.assertEqual(reader.texts, [envelope.decode() for envelope in envelopes])
        self.assertEqual(reader.rest, b"")

    def test_longMessageIsOneFrame(self) -> None:
        """
        A message of more than 64 KiB is one frame.
        """
        reader = FrameReader()
        reader.feed(WebSocketShape().message(makeMessage("é" * 40_000)))
        self.assertEqual([json.loads(text)["data"] for text in reader.texts], ["é" * 40_000])
