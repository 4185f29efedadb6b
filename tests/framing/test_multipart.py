"""
Tests of L{comet.framing.multipart}.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.envelope import encodeClose
from comet.framing.multipart import BOUNDARY, MultipartShape
from comet.model.messages import Close, Message
from tests.framing.browsers import HOSTILE, Part, PartsReader
from tests.framing.readers import (
    CLOSES,
    CURSOR,
    CUTS,
    MESSAGES,
    NAMES,
    ChunkReader,
    envelopesOf,
    makeMessage,
    readAll,
    writeStream,
)

TYPE = {"Content-Type": "application/json"}


class LiteralTests(SynchronousTestCase):
    """
    The bytes of L{MultipartShape}.
    """

    shape: Shape = MultipartShape(chunked=False)

    def test_isValue(self) -> None:
        """
        Shapes are equal exactly if their bytes are, and then have the same
        hash.
        """
        shapes = {MultipartShape(), MultipartShape(True), MultipartShape(False)}
        self.assertEqual(len({*shapes, MultipartShape(chunked=False)}), 3)

    def test_boundaryNeedsNoQuotes(self) -> None:
        """
        The boundary needs no quotes in a header.
        """
        self.assertRegex(BOUNDARY, rb"\A[A-Za-z0-9_-]{1,70}\Z")

    def test_writesBoundaryWithPart(self) -> None:
        """
        The prelude has the first boundary, and each part has the one after it.
        """
        self.assertEqual(self.shape.prelude, b"--_comet-next-part\r\n")
        self.assertEqual(
            self.shape.cursor(CURSOR),
            b'Content-Type: application/json\r\n\r\n{"cursor":"k3f9a2-1042"}\r\n'
            b"--_comet-next-part\r\n",
        )
        self.assertFalse(self.shape.adoptsReplay)

    def test_closeEndsAllParts(self) -> None:
        """
        The close delimiter follows the last part.
        """
        close = Close("draining", "m", 2.5)
        self.assertEqual(
            self.shape.close(CURSOR, close),
            b"Content-Type: application/json\r\n\r\n"
            + encodeClose(CURSOR, close)
            + b"\r\n--_comet-next-part--\r\n",
        )

    def test_framesOneChunk(self) -> None:
        """
        The parts of one write are one chunk, and so is the first boundary.
        """
        shape = MultipartShape()
        self.assertEqual(shape.frame([b"ab", b"c"]), b"3\r\nabc\r\n")
        self.assertEqual(self.shape.frame([b"ab", b"c"]), b"abc")
        self.assertEqual(shape.prelude, b"14\r\n--_comet-next-part\r\n\r\n")
        self.assertEqual((shape.coda, self.shape.coda), (b"0\r\n\r\n", b""))

    def test_hasTime(self) -> None:
        """
        Envelopes have the time if the shape says so.
        """
        self.assertIn(b'"time":', MultipartShape(time=True).message(makeMessage(1)))
        self.assertNotIn(b'"time":', MultipartShape().message(makeMessage(1)))

    def test_escapesBoundary(self) -> None:
        """
        No envelope contains the boundary, for any message and any reason of a
        close, and it is still the same JSON.
        """
        for text in HOSTILE:
            part = self.shape.message(makeMessage({text: [text * 2]}, text, text))
            last = self.shape.close(CURSOR, Close("internal", text))
            self.assertEqual([part.count(BOUNDARY), last.count(BOUNDARY)], [1, 1])
            body = part.split(b"\r\n")[2]
            self.assertEqual(json.loads(body)["data"], {text: [text * 2]})
            self.assertEqual(json.loads(last.split(b"\r\n")[2])["close"]["message"], text)


class StreamTests(SynchronousTestCase):
    """
    The parts that a client gets that reads by the standard.
    """

    @settings(deadline=None)
    @given(
        st.lists(MESSAGES | st.sampled_from(HOSTILE).map(makeMessage), max_size=3),
        st.lists(NAMES, max_size=3),
        CLOSES,
        CUTS,
    )
    def test_anySplit(
        self, messages: list[Message], names: list[str], close: Close, sizes: list[int]
    ) -> None:
        """
        A client gets every envelope as a part of its own, for any split of the
        stream.
        """
        shape = MultipartShape()
        written = writeStream(shape, messages, names, close)
        chunks, parts = ChunkReader(), PartsReader(BOUNDARY)
        readAll(chunks, shape.prelude + written, sizes)
        readAll(parts, chunks.body, sizes)
        expected = envelopesOf(messages, names, close)
        self.assertEqual(
            [(part.headers, json.loads(part.body)) for part in parts.parts],
            [(TYPE, each) for each in expected],
        )
        self.assertTrue(parts.ended and chunks.ended)

    @settings(deadline=None)
    @given(MESSAGES)
    def test_partEndsAtOnce(self, message: Message) -> None:
        """
        A part has ended as soon as it is written.
        """
        shape = MultipartShape(chunked=False)
        reader = PartsReader(BOUNDARY)
        reader.feed(shape.prelude)
        for count in (1, 2, 3):
            reader.feed(shape.frame([shape.message(message)]))
            self.assertEqual(len(reader.parts), count)
            self.assertEqual(reader.parts[-1], Part(TYPE, reader.parts[0].body))
            self.assertFalse(reader.ended)
