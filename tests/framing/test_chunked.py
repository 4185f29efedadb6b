"""
Tests of L{comet.framing.chunked}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.chunked import LAST_CHUNK, chunk, endBody, frameBody
from tests.framing.readers import CUTS, ChunkReader, readAll


class ChunkTests(SynchronousTestCase):
    """
    The chunked coding.
    """

    def test_encodesChunk(self) -> None:
        """
        A chunk is its size in hexadecimal, a line end, the data, and a line
        end.
        """
        self.assertEqual(chunk(b"a\r\nb"), b"4\r\na\r\nb\r\n")
        self.assertEqual(chunk(b"x" * 255)[:4], b"ff\r\n")
        self.assertEqual(LAST_CHUNK, b"0\r\n\r\n")

    def test_emptyIsNoChunk(self) -> None:
        """
        Empty data makes no chunk, since a chunk of size 0 would end the body.
        """
        self.assertEqual(chunk(b""), b"")

    def test_framesPiecesAsOneChunk(self) -> None:
        """
        Several pieces are one chunk.  Without the chunked coding they are only
        joined, and no bytes end the body.
        """
        self.assertEqual(frameBody([b"ab", b"c"], True), b"3\r\nabc\r\n")
        self.assertEqual(frameBody([b"ab", b"c"], False), b"abc")
        self.assertEqual((endBody(True), endBody(False)), (LAST_CHUNK, b""))

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40)), CUTS)
    def test_anySplit(self, parts: list[bytes], sizes: list[int]) -> None:
        """
        A client that decodes the chunks gets the data, for any split of the
        stream.
        """
        reader = ChunkReader()
        readAll(reader, b"".join(map(chunk, parts)) + LAST_CHUNK, sizes)
        self.assertEqual(reader.body, b"".join(parts))
        self.assertEqual(reader.sizes, [*map(len, filter(None, parts)), 0])
        self.assertTrue(reader.ended)
