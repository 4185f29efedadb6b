"""
Tests of L{comet.web.http2.lengths}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.web.http2.lengths import MOST_FRAME, FrameLengths

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(length: int) -> bytes:
    """
    Make a frame of a length, full of bytes that look like a large length.
    """
    return length.to_bytes(3, "big") + b"\xff" * (6 + length)


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


class FrameLengthsTests(SynchronousTestCase):
    """
    Frames, cut in any way.
    """

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 50) | st.just(MOST_FRAME), max_size=8),
        st.lists(st.integers(1, 40) | st.integers(1000, 70000), min_size=1, max_size=5),
    )
    def test_passesAllowedFrames(self, lengths: list[int], sizes: list[int]) -> None:
        """
        Frames that are not too long pass, whatever is in them.
        """
        watched = FrameLengths()
        data = PREFACE + b"".join(map(frame, lengths))
        self.assertTrue(all(watched.check(piece) for piece in cut(data, sizes)))

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 50), max_size=8),
        st.integers(MOST_FRAME + 1, 2**24 - 1),
        st.lists(st.integers(1, 40), min_size=1, max_size=5),
    )
    def test_findsLongFrame(self, lengths: list[int], tooLong: int, sizes: list[int]) -> None:
        """
        A frame that is too long is found as soon as its length has arrived.
        """
        watched = FrameLengths()
        data = PREFACE + b"".join(map(frame, lengths)) + tooLong.to_bytes(3, "big")
        *pieces, last = cut(data, sizes)
        ends = [watched.check(piece) for piece in [*pieces, last]]
        self.assertEqual(ends, [*[True] * len(pieces), False])
