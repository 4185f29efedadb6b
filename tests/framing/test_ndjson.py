"""
Tests of L{comet.framing.ndjson}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.ndjson import NDJSONShape
from comet.model.messages import Close, Message
from tests.framing.readers import (
    CLOSES,
    CURSOR,
    CUTS,
    MESSAGES,
    NAMES,
    ChunkReader,
    LinesReader,
    envelopesOf,
    makeMessage,
    readAll,
    writeStream,
)


class NDJSONTests(SynchronousTestCase):
    """
    L{NDJSONShape}.
    """

    def test_isValue(self) -> None:
        """
        Shapes are equal exactly if their bytes are, and then have the same
        hash.
        """
        shapes = {NDJSONShape(), NDJSONShape(True), NDJSONShape(chunked=False), NDJSONShape(False)}
        self.assertEqual(len(shapes), 3)

    def test_encodesLines(self) -> None:
        """
        An envelope is a line, and the lines of one write are one chunk.
        """
        shape: Shape = NDJSONShape()
        piece = shape.cursor(CURSOR)
        self.assertEqual(piece, b'{"cursor":"k3f9a2-1042"}\n')
        self.assertEqual(shape.frame([piece, piece]), b"32\r\n" + piece * 2 + b"\r\n")
        self.assertEqual((shape.prelude, shape.coda), (b"", b"0\r\n\r\n"))
        self.assertFalse(shape.adoptsReplay)

    def test_hasTime(self) -> None:
        """
        Envelopes have the time if the shape says so.
        """
        self.assertIn(b'"time":1700000000.123', NDJSONShape(time=True).message(makeMessage(1)))
        self.assertNotIn(b'"time"', NDJSONShape().message(makeMessage(1)))

    def test_linesWithoutChunks(self) -> None:
        """
        Without the chunked coding the stream is only the lines.
        """
        shape = NDJSONShape(chunked=False)
        self.assertEqual(shape.frame([b"a\n", b"b\n"]), b"a\nb\n")
        self.assertEqual(shape.coda, b"")

    @settings(deadline=None)
    @given(st.lists(MESSAGES, max_size=3), st.lists(NAMES, max_size=3), CLOSES, CUTS)
    def test_anySplit(
        self, messages: list[Message], names: list[str], close: Close, sizes: list[int]
    ) -> None:
        """
        A client that decodes the chunks and splits the lines gets every
        envelope, for any split of the stream.
        """
        shape = NDJSONShape()
        written = writeStream(shape, messages, names, close)
        chunks, lines = ChunkReader(), LinesReader()
        readAll(chunks, shape.prelude + written, sizes)
        readAll(lines, chunks.body, sizes)
        expected = envelopesOf(messages, names, close)
        self.assertEqual(lines.values, [each for each in expected])
        self.assertEqual((lines.rest, chunks.ended, len(chunks.sizes)), (b"", True, 4))
