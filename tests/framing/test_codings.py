"""
Tests of L{comet.framing.codings}.
"""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage, TooLarge, Unsupported
from comet.framing.codings import MAX_MEMBERS, PART, undoCoding, undoneParts


class CodingTests(SynchronousTestCase):
    """
    L{undoCoding}.
    """

    @given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
    def test_undoesGzip(self, pieces: list[bytes]) -> None:
        """
        A body of gzip is undone, whatever number of members it has.
        """
        whole = b"".join(pieces)
        coded = b"".join(map(gzip.compress, pieces))
        for name in ("gzip", "GZip", " x-gzip "):
            self.assertEqual(undoCoding(name, coded, len(whole)), whole)

    def test_leavesPlainBody(self) -> None:
        """
        A body without a coding is left as it is.
        """
        for name in ("", "identity", " Identity"):
            self.assertEqual(undoCoding(name, b"plain", 3), b"plain")

    def test_refusesOtherCodings(self) -> None:
        """
        Another coding, or several, are not supported, and the error has the
        coding that is.
        """
        for name in ("br", "deflate", "zstd", "compress", "gzip, gzip", "gzip;q=1", "x" * 9000):
            error = self.assertRaises(Unsupported, undoCoding, name, b"", 10)
            self.assertEqual(error.codings, ("gzip",))
            self.assertLess(len(error.detail), 200)

    def test_refusesBrokenGzip(self) -> None:
        """
        A body that is no gzip, not all of it, or more than it, is a bad message.
        """
        whole = gzip.compress(b"hello" * 100)
        wrong = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
        for body in (b"", b"hello", zlib.compress(b"hello"), whole + b"x", whole + b"\0", wrong):
            self.assertRaises(BadMessage, undoCoding, "gzip", body, 1000)
        for end in range(len(whole)):
            self.assertRaises(BadMessage, undoCoding, "gzip", whole[:end], 1000)

    def test_boundsSize(self) -> None:
        """
        The result may have just as many bytes as the limit, in all its members.
        """
        coded = gzip.compress(b"x" * 60) + gzip.compress(b"y" * 40)
        self.assertEqual(len(undoCoding("gzip", coded, 100)), 100)
        for most in (99, 60, 59, 0):
            error = self.assertRaises(TooLarge, undoCoding, "gzip", coded, most)
            self.assertIn(f"more than {most} bytes", error.detail)

    def test_boundsMemory(self) -> None:
        """
        A small body that stands for a very large one takes little memory.
        """
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertRaises(TooLarge, undoCoding, "gzip", bomb, 1000)
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)

    def test_boundsMembers(self) -> None:
        """
        A body may have some members, and not very many empty ones.
        """
        empty = gzip.compress(b"")
        self.assertEqual(undoCoding("gzip", empty * MAX_MEMBERS, 0), b"")
        self.assertRaises(BadMessage, undoCoding, "gzip", empty * (MAX_MEMBERS + 1), 0)


class PartTests(SynchronousTestCase):
    """
    L{undoneParts}.
    """

    def test_smallParts(self) -> None:
        """
        A small body that becomes a large one does so in parts, and none is made before it
        is asked for.
        """
        whole = b"ab" * 500_000
        parts = undoneParts("gzip", gzip.compress(whole), len(whole))
        first = next(parts)
        self.assertEqual(len(first), PART)
        rest = list(parts)
        self.assertEqual(max(map(len, rest)), PART)
        self.assertEqual(first + b"".join(rest), whole)

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3000)), max_size=5),
        st.integers(1, 9),
    )
    def test_anyMembers(self, texts: list[tuple[bytes, int]], level: int) -> None:
        """
        The parts of any members together are what was compressed.
        """
        wholes = [text * count for text, count in texts] or [b""]
        body = b"".join(gzip.compress(whole, level) for whole in wholes)
        whole = b"".join(wholes)
        self.assertEqual(b"".join(undoneParts("gzip", body, len(whole))), whole)
        if whole:
            with self.assertRaises(TooLarge):
                list(undoneParts("gzip", body, len(whole) - 1))

    def test_longBodies(self) -> None:
        """
        A body of several parts that hardly becomes larger is undone, too, and one that is
        cut short is not gzip.
        """
        whole = Random(1).randbytes(5 * PART)
        body = gzip.compress(whole)
        self.assertEqual(b"".join(undoneParts("gzip", body, len(whole))), whole)
        for end in (len(body) - 1, PART, 2 * PART + 1):
            with self.assertRaises(BadMessage):
                list(undoneParts("gzip", body[:end], len(whole)))
        self.assertEqual(b"".join(undoneParts("identity", whole, 1)), whole)
