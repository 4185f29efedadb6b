"""
Tests of L{comet.framing.deflate}.
"""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage, TooLarge
from comet.framing.deflate import (
    FLUSHED,
    GZIP_HEAD,
    LEAST_WINDOW,
    MOST_COMPRESSED,
    MOST_FINAL_BLOCKS,
    MOST_WINDOW,
    Inflater,
    deflate,
    deflateIfShorter,
    gzipFile,
    store,
)
from tests.framing.readers import CUTS, cut

WINDOWS = st.integers(LEAST_WINDOW, MOST_WINDOW)

# Data that repeats itself from near and from far.
DATA = st.builds(
    lambda pieces, times: b"".join(pieces) * times,
    st.lists(st.binary(max_size=300), max_size=6),
    st.integers(1, 20),
)


class BlockTests(SynchronousTestCase):
    """
    L{deflate} and L{store}.
    """

    @settings(deadline=None)
    @given(st.lists(st.tuples(DATA, st.none() | WINDOWS), max_size=5))
    def test_anyOrder(self, parts: list[tuple[bytes, int | None]]) -> None:
        """
        Blocks of several messages, in any order, are one stream; a decompressor has all of
        a message with its last byte.
        """
        for window in (MOST_WINDOW, max([bits or 9 for _, bits in parts], default=9)):
            reader = zlib.decompressobj(-window)
            for data, bits in parts:
                blocks = store(data) if bits is None else deflate(data, bits)
                self.assertEqual(reader.decompress(blocks), data)
            self.assertFalse(reader.eof)

    @given(DATA, WINDOWS)
    def test_flushed(self, data: bytes, window: int) -> None:
        """
        What is compressed ends with an empty stored block.
        """
        self.assertTrue(deflate(data, window).endswith(FLUSHED))

    def test_largeStore(self) -> None:
        """
        More bytes than a stored block has are in several; only the last is final.
        """
        for size in (0, 1, 65535, 65536, 200_000):
            reader = zlib.decompressobj(-MOST_WINDOW)
            data = bytes(range(256)) * (size // 256) + bytes(size % 256)
            self.assertEqual(reader.decompress(store(data, isLast=True)), data)
            self.assertTrue(reader.eof)

    def test_onlyShorter(self) -> None:
        """
        What compression does not make shorter is left alone, and what would take long.
        """
        self.assertIsNone(deflateIfShorter(b"x"))
        self.assertIsNone(deflateIfShorter(bytes(MOST_COMPRESSED + 1)))
        blocks = deflateIfShorter(bytes(MOST_COMPRESSED))
        assert blocks is not None
        self.assertEqual(zlib.decompressobj(-MOST_WINDOW).decompress(blocks), bytes(262144))


class GzipTests(SynchronousTestCase):
    """
    L{gzipFile}.
    """

    @settings(deadline=None)
    @given(st.lists(st.tuples(DATA, st.booleans()), max_size=6))
    def test_wholeFile(self, parts: list[tuple[bytes, bool]]) -> None:
        """
        The file has all parts, and a trailer that fits them.
        """
        file = gzipFile([(data, deflate(data) if isShort else None) for data, isShort in parts])
        self.assertTrue(file.startswith(GZIP_HEAD))
        self.assertEqual(gzip.decompress(file), b"".join(data for data, _ in parts))

    def test_neighbours(self) -> None:
        """
        Parts that are stored beside one another share a block.
        """
        apart = gzipFile([(b"a", None), (b"b", None), (b"c", None)])
        self.assertEqual(apart, gzipFile([(b"abc", None)]))

    def test_copiesOnce(self) -> None:
        """
        However many parts are stored beside one another, none is copied for each one that
        follows.
        """
        copied = []

        class Part(bytes):
            """
            Tells of each copy of what comes before it.
            """

            def __radd__(self, before: bytes) -> bytes:
                copied.append(before)
                return b"".join((before, self))

        parts = [Part(b"%d," % number) for number in range(1000)]
        file = gzipFile([(part, None) for part in parts])
        self.assertEqual(gzip.decompress(file), b"".join(parts))
        self.assertEqual(copied, [])

    def test_ownBlocks(self) -> None:
        """
        How long a part becomes does not depend on its neighbours.
        """
        secret, guess = b"token=abcdef" * 4, b"token=abcdeX" * 4
        alike = gzipFile([(secret, deflate(secret)), (secret, deflate(secret))])
        other = gzipFile([(secret, deflate(secret)), (guess, deflate(guess))])
        self.assertEqual(len(alike) - len(deflate(secret)), len(other) - len(deflate(guess)))


class InflaterTests(SynchronousTestCase):
    """
    L{Inflater}.
    """

    def feed(self, *pieces: bytes, most: int = 1000) -> bytes:
        """
        Undo the compression of a message.
        """
        inflater = Inflater(most)
        found = b"".join(map(inflater.feed, (*pieces, FLUSHED)))
        self.assertEqual(inflater.taken, sum(map(len, pieces)) + 4)
        return found

    @settings(deadline=None)
    @given(DATA, WINDOWS, CUTS)
    def test_anySplit(self, data: bytes, window: int, sizes: list[int]) -> None:
        """
        A message is read from any pieces.
        """
        sent = deflate(data, window).removesuffix(FLUSHED)
        self.assertEqual(self.feed(*cut(sent, sizes), most=len(data)), data)

    def test_examplesOfRFC(self) -> None:
        """
        The examples of RFC 7692 7.2.3: one block, stored, final, and two blocks.
        """
        for sent in (
            "f248cdc9c90700",
            "000500faff48656c6c6f00",
            "f348cdc9c9070000",
            "f24805000000ffffcac9c90700",
        ):
            self.assertEqual(self.feed(bytes.fromhex(sent)), b"Hello", sent)

    def test_bound(self) -> None:
        """
        A message may have as many bytes as it may; one more is refused, however it comes.
        """
        self.assertEqual(self.feed(deflate(b"x" * 1000)), b"x" * 1000)
        bomb = deflate(bytes(10_000_000))
        self.assertRaises(TooLarge, self.feed, deflate(b"x" * 1001))
        self.assertRaises(TooLarge, self.feed, bomb)
        self.assertRaises(TooLarge, self.feed, *cut(bomb, [1]))

    def test_makesNoMore(self) -> None:
        """
        Of a bomb no more is made than the limit and a byte.
        """
        made = []

        class Decompressor:
            inner = zlib.decompressobj(-MOST_WINDOW)
            eof = False

            def decompress(self, data: bytes, most: int) -> bytes:
                made.append(self.inner.decompress(data, most))
                return made[-1]

        inflater = Inflater(1000)
        inflater._decompressor = Decompressor()  # type: ignore[assignment]
        self.assertRaises(TooLarge, inflater.feed, deflate(bytes(10_000_000)))
        self.assertEqual([len(each) for each in made], [1001])

    def test_refused(self) -> None:
        """
        What is not DEFLATE is refused; and many final blocks, each of which costs a
        decompressor.
        """
        self.assertRaises(BadMessage, self.feed, b"\xff\xff\xff")
        empty = b"\x03\0"
        self.assertEqual(self.feed(empty * MOST_FINAL_BLOCKS), b"")
        self.assertRaises(BadMessage, self.feed, empty * (MOST_FINAL_BLOCKS + 1))
