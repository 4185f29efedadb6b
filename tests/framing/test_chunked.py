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

    def test_literals(self) -> None:
        """
        A chunk is its size in hexadecimal, a line end, the data, a line end.
        """
        self.assertEqual(chunk(b"a\r\nb"), b"4\r\na\r\nb\r\n")
        self.assertEqual(chunk(b"x" * 255)[:4], b"ff\r\n")
        self.assertEqual(LAST_CHUNK, b"0\r\n\r\n")

    def test_empty(self) -> None:
        """
        No data is no chunk: an empty one would end the body.
        """
        self.assertEqual(chunk(b""), b"")

    def test_frame(self) -> None:
        """
        Several pieces are one chunk; where there are none, they are written as
        they are, and nothing ends them.
        """
        self.assertEqual(frameBody([b"ab", b"c"], True), b"3\r\nabc\r\n")
        self.assertEqual(frameBody([b"ab", b"c"], False), b"abc")
        self.assertEqual((endBody(True), endBody(False)), (LAST_CHUNK, b""))

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40)), CUTS)
    def test_anySplit(self, parts: list[bytes], sizes: list[int]) -> None:
        """
        A client that decodes the chunks gets the data back, however the stream
        is cut.
        """
        reader = ChunkReader()
        readAll(reader, b"".join(map(chunk, parts)) + LAST_CHUNK, sizes)
        self.assertEqual(reader.body, b"".join(parts))
        self.assertEqual(reader.sizes, [*map(len, filter(None, parts)), 0])
        self.assertTrue(reader.ended)
