"""
Tests of the encodings that are remembered.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.encodingcache import KEPT_SECONDS, EncodingCache
from comet.framing import Shape
from comet.framing.budget import EACH_COMPRESSED, MOST_AT_ONCE
from comet.framing.compression import Compression
from comet.framing.gzipped import GzipShape
from comet.framing.sse import SSEShape
from comet.framing.websocket import WebSocketShape
from comet.http.deflateoffers import WINDOWS
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.reactor.timers import TimerWheel


class CountingShape:
    """
    Counts how often it is asked for each message.
    """

    prelude = b""
    coda = b""
    adoptsReplay = False

    def __init__(self, size: int = 10) -> None:
        self.size = size
        self.made: list[int] = []

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        So many bytes.
        """
        self.made.append(message.position)
        return bytes([message.position % 256]) * self.size

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Nothing.
        """
        return b""

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Nothing.
        """
        return b""

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Nothing.
        """
        return b""

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        All of them.
        """
        return b"".join(pieces)


def messages(*positions: int, epoch: str = "e") -> list[Message]:
    """
    Messages at these positions.
    """
    return [Message("a", epoch, position, 0.0, b"1") for position in positions]


class EncodingCacheTests(SynchronousTestCase):
    """
    What is kept, and for how long.
    """

    def setUp(self) -> None:
        """
        Make an empty cache.
        """
        self.clock = Clock()
        self.encodings = EncodingCache(TimerWheel(self.clock), 100)
        self.shape = CountingShape()

    def test_encodesOnceForEachShape(self) -> None:
        """
        Each message is encoded once for each shape, and is the same object each
        time.
        """
        first = self.encodings.pieces(self.shape, messages(1, 2))
        second = self.encodings.pieces(self.shape, messages(2, 1, 3))
        self.assertEqual(self.shape.made, [1, 2, 3])
        self.assertIs(first[0], second[1])
        self.assertIs(first[1], second[0])
        other = CountingShape()
        self.encodings.pieces(other, messages(1))
        self.assertEqual((other.made, self.shape.made), ([1], [1, 2, 3]))
        self.encodings.clear()

    def test_dropsAllAfterAWhile(self) -> None:
        """
        Encoded messages are dropped after a while, and no timer is left.
        """
        self.encodings.pieces(self.shape, messages(1))
        self.clock.advance(KEPT_SECONDS - 1)
        self.assertEqual(self.encodings.bytes, 10)
        self.clock.advance(1.2)
        self.assertEqual(self.encodings.bytes, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.encodings.pieces(self.shape, messages(1))
        self.assertEqual(self.shape.made, [1, 1])
        self.encodings.clear()

    def test_boundsBytes(self) -> None:
        """
        Above the limit of bytes nothing is kept; the caller gets its messages
        all the same.
        """
        pieces = self.encodings.pieces(self.shape, messages(*range(11)))
        self.assertEqual((len(pieces), self.encodings.bytes), (11, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_epochsAreDistinct(self) -> None:
        """
        Messages of two epochs with the same position are two messages.
        """
        self.encodings.pieces(self.shape, messages(1))
        self.encodings.pieces(self.shape, messages(1, epoch="f"))
        self.assertEqual((self.shape.made, self.encodings.bytes), ([1, 1], 10))
        self.encodings.clear()

    def test_boundsCompression(self) -> None:
        """
        However many messages there are, and shapes that clients have chosen, no more than
        some bytes are compressed at once.  What is beyond is read by the same clients.
        """
        self.encodings = EncodingCache(TimerWheel(self.clock))
        payload = b'"' + b"x" * 60_000 + b'"'
        large = [Message("a", "e", position, 0.0, payload) for position in range(1, 4)]
        small = Message("a", "e", 4, 0.0, b'"x"')
        compression = Compression(100)
        shapes: list[Shape] = [
            *(
                WebSocketShape(time, compression.within(bits))
                for time in (False, True)
                for bits in WINDOWS
            ),
            *(
                GzipShape(SSEShape(unnamed=unnamed, chunked=False), compression)
                for unnamed in (False, True)
            ),
        ]
        compressed = 0
        for shape in shapes:
            pieces = self.encodings.pieces(shape, [*large, small])
            compressed += sum(len(piece) < 1000 for piece in pieces[:-1])
            self.assertEqual(pieces[-1], shape.message(small))
        self.assertEqual(compressed, MOST_AT_ONCE // (len(payload) + EACH_COMPRESSED))
        budget = self.encodings.budget
        self.assertEqual(budget.compressed, compressed)
        self.assertEqual(budget.unaffordable, len(shapes) * len(large) - compressed)
        self.assertEqual(pieces[0][0], 0, "a block that is stored")
        # What is replayed has the same budget.
        self.assertGreater(len(self.encodings.replayed(shapes[0], large[0])), len(payload))
        budget.renew()
        self.assertEqual(
            self.encodings.replayed(shapes[0], large[0]), shapes[0].message(large[0], True)
        )
        [piece] = self.encodings.pieces(shapes[0], [Message("a", "e", 5, 0.0, payload)])
        self.assertEqual(piece[0], 0xC1)
        self.encodings.clear()

    def test_noMessages(self) -> None:
        """
        For no messages, nothing is kept and no timer is set.
        """
        self.assertEqual(self.encodings.pieces(self.shape, []), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
