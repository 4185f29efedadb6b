"""
Tests of L{comet.web.http2.frames}.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.web.http2.frames import MOST_FRAME, PREFACE, ConnectionFault, Frame, FrameReader, Kind
from tests.web.http2.rawclient import SETTINGS, frame

START = PREFACE + SETTINGS
MOST_BLOCK = 100_000


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """
    Cut data into pieces of these sizes, again and again.
    """
    pieces, number = [], 0
    while data:
        size = sizes[number % len(sizes)]
        pieces.append(data[:size])
        data = data[size:]
        number += 1
    return pieces


SIZES = st.lists(
    st.integers(1, 40) | st.integers(1000, 70000),
    min_size=1,
    max_size=5,
)


class FrameReaderTests(SynchronousTestCase):
    """
    Frames, cut in any way.
    """

    def read(self, reader: FrameReader, pieces: list[bytes]) -> list[Frame]:
        """
        Feed some pieces.
        """
        return [found for piece in pieces for found in reader.feed(piece)]

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 50) | st.sampled_from((MOST_FRAME, MOST_FRAME + 1)), max_size=8),
        SIZES,
    )
    def test_cutsFrames(self, lengths: list[int], sizes: list[int]) -> None:
        """
        Each frame is found once, with its bytes; only the length is known of one
        that is too long.
        """
        made = [frame(Kind.DATA, 1, b"\xff" * length) for length in lengths]
        first, *found = self.read(FrameReader(MOST_BLOCK), cut(START + b"".join(made), sizes))
        self.assertEqual(first.encode(), SETTINGS)
        self.assertEqual([each.size for each in found], lengths)
        for each, data in zip(found, made, strict=True):
            isLong = each.size > MOST_FRAME
            self.assertEqual(each.fault, ErrorCodes.FRAME_SIZE_ERROR if isLong else None)
            self.assertEqual(each.encode(), data[:9] if isLong else data)

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 50), max_size=8),
        st.integers(MOST_FRAME + 1, 2**24 - 1),
        SIZES,
    )
    def test_findsLongFrame(self, lengths: list[int], tooLong: int, sizes: list[int]) -> None:
        """
        A frame that is too long is found as soon as its head has arrived.
        """
        reader = FrameReader(MOST_BLOCK)
        data = START + b"".join(frame(Kind.DATA, 1, bytes(length)) for length in lengths)
        self.assertEqual(len(self.read(reader, cut(data, sizes))), 1 + len(lengths))
        head = tooLong.to_bytes(3, "big") + bytes((Kind.HEADERS, 0, 0, 0, 0, 1))
        self.assertEqual(self.read(reader, cut(head[:-1], sizes)), [])
        fault = self.assertRaises(ConnectionFault, self.read, reader, [head[-1:]])
        self.assertEqual(fault.code, ErrorCodes.FRAME_SIZE_ERROR)

    def test_findsBadPrefaceEarly(self) -> None:
        """
        A preface that is wrong is found at its first wrong byte.
        """
        reader = FrameReader(MOST_BLOCK)
        self.assertEqual(list(reader.feed(b"P")), [])
        self.assertRaises(ConnectionFault, list, reader.feed(b"O"))
