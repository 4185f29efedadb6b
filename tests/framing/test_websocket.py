"""
Tests of L{comet.framing.websocket}.
"""

from __future__ import annotations

import json
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.compression import Compression
from comet.framing.envelope import encodeCursor, encodeEnvelope
from comet.framing.websocket import WebSocketShape, firstText, textFrame
from comet.model.messages import Message
from tests.framing.readers import CURSOR, CUTS, MESSAGES, TEXTS, FrameReader, makeMessage, readAll
from tests.transports.frames import TEXT, frame


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


class FirstTextTests(SynchronousTestCase):
    """
    L{firstText}.
    """

    def test_exampleOfRFC(self) -> None:
        """
        The masked text message in RFC 6455 5.7 is read.
        """
        self.assertEqual(firstText(bytes.fromhex("818537fa213d7f9f4d5158")), (b"Hello", 11))

    @settings(deadline=None)
    @given(TEXTS, st.binary(min_size=4, max_size=4), st.sampled_from((1, 60)), st.data())
    def test_onlyWhole(self, said: str, mask: bytes, times: int, data: st.DataObject) -> None:
        """
        A frame is read if all of it came, and nothing of what is behind it.
        """
        payload = said.encode() * times
        whole = frame(TEXT, payload, mask=mask)
        for more in (b"", b"x", whole):
            self.assertEqual(firstText(whole + more), (payload, len(whole)))
        cut = data.draw(st.integers(0, len(whole) - 1))
        for other in (whole[:cut], b"x" + whole):
            self.assertIsNone(firstText(other))

    def test_nothingElse(self) -> None:
        """
        Other frames, and those that no client may send, are not read.
        """
        long = frame(TEXT, b"x" * 200)
        for each in (
            *(frame(opcode, b"x") for opcode in range(16) if opcode != TEXT),
            *(frame(TEXT, b"x", fin=False), frame(TEXT, b"x", mask=None)),
            *(frame(TEXT, b"x" * 200, mask=None), frame(TEXT, b"x", reserved=4)),
            *(frame(TEXT, b"\xff"), frame(TEXT, b"\xed\xa0\x80"), frame(TEXT, b"x" * 0x10000)),
            # A length that is not in its shortest form.
            *(b"\x81\xfe\x00\x05" + frame(TEXT, b"x" * 5)[2:], long[:3] + b"\x01" + long[4:]),
        ):
            self.assertIsNone(firstText(each), each[:20])


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


class CompressedTests(SynchronousTestCase):
    """
    L{WebSocketShape} with compression.
    """

    def inflate(self, frame: bytes, window: int = 15) -> bytes:
        """
        Read the frame of a message that is compressed, as RFC 7692 6.2 and 7.2.2 say.
        """
        self.assertEqual(frame[0], 0xC1)
        extra = {126: 2, 127: 8}.get(frame[1], 0)
        payload = frame[2 + extra :]
        length = int.from_bytes(frame[2 : 2 + extra], "big") if extra else frame[1]
        self.assertEqual(length, len(payload))
        return zlib.decompressobj(-window).decompress(payload + b"\0\0\xff\xff")

    @settings(deadline=None)
    @given(MESSAGES, st.integers(1, 300), st.integers(9, 15), st.booleans())
    def test_samePayload(self, message: Message, above: int, window: int, replay: bool) -> None:
        """
        A message is compressed exactly if it is to be and becomes shorter, and always has
        the same envelope.
        """
        shape = WebSocketShape(compression=Compression(above, window=window))
        frame = shape.message(message, replay)
        plain = WebSocketShape().message(message, replay)
        if len(message.payload) < above or frame[0] == 0x81:
            self.assertEqual(frame, plain)
        else:
            self.assertEqual(self.inflate(frame, window), encodeEnvelope(message, replay=replay))
            self.assertLess(len(frame), len(plain))

    def test_sizes(self) -> None:
        """
        Messages of all lengths of a frame are compressed; all else is not.
        """
        shape = WebSocketShape(compression=Compression(1))
        for size in (200, 4096, 5000, 100_000):
            message = makeMessage("".join(map(str, range(size // 4))))
            self.assertEqual(self.inflate(shape.message(message)), encodeEnvelope(message))
        self.assertEqual(shape.cursor(CURSOR), WebSocketShape().cursor(CURSOR))
        large = makeMessage("0" * 300_000)
        self.assertEqual(shape.message(large), WebSocketShape().message(large))
