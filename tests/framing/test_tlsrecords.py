"""
Records of TLS, read without the keys.
"""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from comet.framing.tlsrecords import HelloReader, RecordCounter


def record(data: bytes, kind: int = 22) -> bytes:
    """
    Make a record.
    """
    return bytes([kind]) + b"\3\1" + len(data).to_bytes(2, "big") + data


def hello(size: int, come: int | None = None) -> bytes:
    """
    Make a hello of some size, or the first bytes of it.
    """
    return (b"\1" + size.to_bytes(3, "big") + bytes(size))[:come]


PARTS = st.lists(st.integers(1, 50), min_size=1, max_size=40)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """
    Cut data into pieces of some sizes; what is left is the last.
    """
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [each for each in (*pieces, data) if each]


class CounterTests(TestCase):
    """
    Counting.
    """

    @given(st.lists(st.binary(max_size=40), max_size=20), PARTS)
    def test_anyPieces(self, texts: list[bytes], sizes: list[int]) -> None:
        """
        All records count, in whatever pieces they come; one that has not come whole does
        not.
        """
        counter = RecordCounter()
        for piece in cut(b"".join(map(record, texts)), sizes):
            counter.take(piece)
        self.assertEqual(counter.silent, len(texts))
        counter.take(record(b"123")[:-1])
        self.assertEqual(counter.silent, len(texts))
        counter.take(b"3")
        self.assertEqual(counter.silent, len(texts) + 1)


class HelloTests(TestCase):
    """
    The size of a hello.
    """

    @given(st.lists(st.integers(0, 300), min_size=1, max_size=3), PARTS, PARTS)
    def test_anyRecords(self, sizes: list[int], records: list[int], pieces: list[int]) -> None:
        """
        The largest is found, in whatever records and pieces they come.
        """
        said = b"".join(map(record, cut(b"".join(map(hello, sizes)), records)))
        reader = HelloReader()
        largest = [reader.largest(piece) for piece in cut(said, pieces)]
        self.assertEqual(max(largest), max(sizes))

    def test_before(self) -> None:
        """
        It is known before more comes than the head.
        """
        for said in (
            record(hello(131000, 4)),
            record(hello(131000, 1)) + record(hello(131000, 4)[1:]),
            record(b"\1", 20) + record(hello(131000, 4)),
            record(hello(5)) + record(b"\1", 20) + record(hello(131000, 4)),
            record(hello(5) + hello(131000, 4)),
            record(b"") + record(hello(131000, 100))[:9],
        ):
            self.assertEqual(HelloReader().largest(said), 131000)
            self.assertEqual(HelloReader().largest(said[:-1]) < 131000, len(said) < 100)

    def test_others(self) -> None:
        """
        What is no hello says nothing of its size, and neither does what comes behind it.
        """
        for other in (record(b"\x10\xff\xff\xff"), record(hello(131000, 4), 23)):
            self.assertEqual(HelloReader().largest(other + record(hello(131000, 4))), 0)

    @given(st.lists(st.binary(max_size=60)))
    def test_anything(self, pieces: list[bytes]) -> None:
        """
        Nothing that is said breaks it, or is kept beyond a head.
        """
        reader = HelloReader()
        for piece in pieces:
            self.assertGreaterEqual(reader.largest(piece), 0)
            self.assertLess(len(reader._message), 4)
            self.assertTrue(reader._isOver or len(reader._data) <= 5)
