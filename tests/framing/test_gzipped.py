"""
Tests of L{comet.framing.gzipped}.
"""

from __future__ import annotations

import zlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.compression import Compression
from comet.framing.gzipped import GzipShape
from comet.framing.iframe import IFrameShape
from comet.framing.multipart import MultipartShape
from comet.framing.ndjson import NDJSONShape
from comet.framing.sse import SSEShape
from comet.model.messages import Close, Message
from tests.framing.readers import (
    CLOSES,
    CURSOR,
    CUTS,
    MESSAGES,
    NAMES,
    ChunkReader,
    makeMessage,
    readAll,
    writeStream,
)

PLAIN: tuple[Any, ...] = (
    NDJSONShape(chunked=False),
    SSEShape(chunked=False),
    SSEShape(chunked=False, envelope=True),
    MultipartShape(chunked=False),
    IFrameShape(callback="f", chunked=False),
)
ABOVE = st.sampled_from([1, 20, 100])


def inflate(data: bytes) -> bytes:
    """
    Read the beginning of a file of gzip as a browser does.
    """
    return zlib.decompressobj(31).decompress(data)


class Bare:
    """
    The shape of an application's own, which cannot tell that names have ended.
    """

    prelude = coda = b""
    adoptsReplay = False


class GzipShapeTests(SynchronousTestCase):
    """
    L{GzipShape}.
    """

    @settings(deadline=None)
    @given(
        st.sampled_from(PLAIN),
        ABOVE,
        st.lists(MESSAGES, max_size=3),
        st.lists(NAMES, max_size=3),
        CLOSES,
        CUTS,
    )
    def test_samePlain(
        self,
        plain: Shape,
        above: int,
        messages: list[Message],
        names: list[str],
        close: Close,
        sizes: list[int],
    ) -> None:
        """
        A client that undoes the coding has the stream of the plain shape.
        """
        shape = GzipShape(plain, Compression(above))
        chunks = ChunkReader()
        readAll(chunks, shape.prelude + writeStream(shape, messages, names, close), sizes)
        self.assertTrue(chunks.ended)
        self.assertEqual(
            inflate(chunks.body), plain.prelude + writeStream(plain, messages, names, close)
        )

    def test_anywhere(self) -> None:
        """
        The bytes of a message are the same for readers that have joined before and behind
        another one.
        """
        shape = GzipShape(SSEShape(chunked=False), Compression(1), chunked=False)
        first, second = (shape.message(makeMessage(text * 50)) for text in ("one", "two"))
        self.assertEqual(first, shape.message(makeMessage("one" * 50)))
        for pieces in ([first, second], [second], [second, first]):
            inflate(shape.prelude + shape.frame(pieces))

    def test_small(self) -> None:
        """
        Small messages are stored, and large ones compressed; and neither where that does
        not make them shorter.
        """
        shape = GzipShape(NDJSONShape(chunked=False), Compression(100), chunked=False)
        self.assertIn(b"small", shape.message(makeMessage("small")))
        large = shape.message(makeMessage("large" * 100))
        self.assertNotIn(b"largelarge", large)
        self.assertLess(len(large), 150)
        dense = "aZ3k9QxW0pLm7vRt5yUe1NsB"
        shape = GzipShape(NDJSONShape(chunked=False), Compression(1), chunked=False)
        self.assertIn(dense.encode(), shape.message(makeMessage(dense)))

    def test_ended(self) -> None:
        """
        The shape tells that names have ended if the plain one does.
        """
        plain = NDJSONShape(chunked=False)
        shape = GzipShape(plain, Compression(1), chunked=False)
        assert shape.ended is not None
        told = shape.ended(CURSOR, ["news"], "expired", None)
        self.assertEqual(
            inflate(shape.prelude + told), plain.ended(CURSOR, ["news"], "expired", None)
        )
        bare: Any = Bare()
        self.assertIsNone(GzipShape(bare, Compression(1)).ended)

    def test_coda(self) -> None:
        """
        What the plain shape ends with is within the file.
        """

        class Ending(Bare):
            coda = b"bye"

        plain: Any = Ending()
        shape = GzipShape(plain, Compression(1), chunked=False)
        self.assertEqual(inflate(shape.prelude + shape.coda), b"bye")

    def test_isValue(self) -> None:
        """
        Shapes are equal if their bytes are.
        """
        shapes = {
            GzipShape(SSEShape(chunked=False), Compression(1)),
            GzipShape(SSEShape(chunked=False), Compression(1)),
            GzipShape(SSEShape(chunked=False), Compression(2)),
            GzipShape(SSEShape(chunked=False), Compression(1), chunked=False),
        }
        self.assertEqual(len(shapes), 3)
        self.assertTrue(all(shape.adoptsReplay for shape in shapes))
