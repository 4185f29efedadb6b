"""
Tests of L{comet.client.splitting}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.client import splitting
from comet.client.failures import BadAnswer
from comet.client.splitting import EventSplitter, LineSplitter, Splitter

LINES = b'{"a":1}\n\n{"b":"\xc3\xa9"}\r\n{"c":3}\n{"rest'
LINES_FOUND = [b'{"a":1}', b'{"b":"\xc3\xa9"}', b'{"c":3}']

EVENTS = (
    b'retry: 2000\n\nid: a-1\nevent: $at\ndata: {"a":1}\n\n: comment\r\ndata:{"b":\r\n'
    b'data: 2}\r\n\r\ndata\n\nid: a-2\rdata: {"c":3}\r\rdatum: 4\n\ndata: {"rest'
)
EVENTS_FOUND = [b'{"a":1}', b'{"b":\n2}', b'{"c":3}']


def split(make: Callable[[], Splitter], *pieces: bytes) -> list[bytes]:
    """
    Return what a splitter finds in a stream that arrives in pieces.
    """
    splitter = make()
    return [text for piece in pieces for text in splitter.received(piece)]


class SplitterTests(SynchronousTestCase):
    """
    L{LineSplitter} and L{EventSplitter}.
    """

    def test_everySplit(self) -> None:
        """
        What is found does not depend on how the network cuts the stream.
        """
        makers: list[tuple[Callable[[], Splitter], bytes, list[bytes]]] = [
            (LineSplitter, LINES, LINES_FOUND),
            (EventSplitter, EVENTS, EVENTS_FOUND),
        ]
        for make, stream, found in makers:
            for size in range(1, len(stream) + 1):
                pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
                self.assertEqual(split(make, *pieces), found, size)
            for at in range(len(stream)):
                self.assertEqual(split(make, stream[:at], stream[at:]), found, at)

    @settings(deadline=None)
    @given(st.lists(st.text(alphabet='ab:\r\n d"', max_size=9)), st.integers(1, 5))
    def test_pieces(self, texts: list[str], size: int) -> None:
        """
        Any stream gives the same as a whole and in pieces.
        """
        stream = "data: ".join(texts).encode()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        for make in (LineSplitter, EventSplitter):
            self.assertEqual(split(make, *pieces), split(make, stream))

    def test_tooLong(self) -> None:
        """
        A text that never ends is refused before it fills the memory; many short ones are not.
        """
        self.patch(splitting, "MAX_BYTES", 10)
        for make, stream in (
            (LineSplitter, b"x" * 11),
            (LineSplitter, b"x" * 11 + b"\n"),
            (EventSplitter, b"x" * 11),
            (EventSplitter, b"data: 123456\ndata: 12345\n"),
            (EventSplitter, b"data:\n" * 11),
        ):
            self.assertRaises(BadAnswer, split, make, stream)
            self.assertRaises(BadAnswer, split, make, *(bytes([each]) for each in stream))
        self.assertEqual(len(split(LineSplitter, b"123456789\n" * 5)), 5)
        self.assertEqual(len(split(EventSplitter, b"data: 123456789\n\n: 12345678\n" * 5)), 5)
