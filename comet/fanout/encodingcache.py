"""
The encoding cache: messages as bytes, made once for each shape in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from comet.framing import Shape
from comet.framing.budget import CompressionBudget
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.reactor.timers import NOT_SET, TimerWheel

# How many bytes of encoded messages are kept in all, and for how many seconds:
# long enough for readers that reconnect together after a failure.
MOST_BYTES: Final = 8 * 1024 * 1024
KEPT_SECONDS: Final = 5.0


class EncodingCache:
    """
    Keeps encoded messages of one epoch, by shape, for a short while.

    @ivar budget: How much may still be compressed; what is beyond is encoded as it is.
        The fan-out renews it with each tick, and with each part of the log that a reader
        is given.
    """

    def __init__(self, wheel: TimerWheel, mostBytes: int = MOST_BYTES) -> None:
        self.budget = CompressionBudget()
        self._wheel = wheel
        self._mostBytes = mostBytes
        self._pieces: dict[Shape, dict[int, bytes]] = {}
        # The shape that was asked for last, and its part of these.
        self._lastShape: Shape | None = None
        self._last: dict[int, bytes] = {}
        self._isCompressed = False
        self._epoch = ""
        self._begun: tuple[Shape, Cursor, bytes, bytes] | None = None
        self.timerSlot = NOT_SET
        self.bytes = 0

    def opened(self, shape: Shape, cursor: Cursor, opening: bytes) -> bytes:
        """
        The first bytes for a reader that starts at a cursor.  The last result
        is kept, since many readers often come at once and start at the same
        cursor.
        """
        begun = self._begun
        if begun is not None and begun[:3] == (shape, cursor, opening):
            return begun[3]
        data = opening + shape.prelude + shape.frame([shape.cursor(cursor)])
        self._begun = (shape, cursor, opening, data)
        return data

    def pieces(self, shape: Shape, messages: Sequence[Message]) -> list[bytes]:
        """
        These messages encoded in a shape, not as replayed ones.
        """
        if not messages:
            return []
        if messages[0].epoch != self._epoch:
            self.clear()
            self._epoch = messages[0].epoch
        if shape is self._lastShape:
            # To hash a shape takes a call.
            known = self._last
        else:
            known = self._last = self._pieces.setdefault(shape, {})
            self._lastShape = shape
            self._isCompressed = isCompressed(shape)
        # Any: only a shape that compresses has the method.
        compressing: Any = shape
        found = []
        for message in messages:
            piece = known.get(message.position)
            if piece is None:
                if self._isCompressed:
                    piece = compressing.messageWithin(message, self.budget)
                else:
                    piece = shape.message(message)
                known[message.position] = piece
                self.bytes += len(piece)
            found.append(piece)
        if self.bytes > self._mostBytes:
            self.clear()
        elif self.timerSlot == NOT_SET:
            self._wheel.set(self, KEPT_SECONDS)
        return found

    def replayed(self, shape: Shape, message: Message) -> bytes:
        """
        A message encoded in a shape as a replayed one, which is not kept.
        """
        if isCompressed(shape):
            compressing: Any = shape
            piece: bytes = compressing.messageWithin(message, self.budget, True)
            return piece
        return shape.message(message, replay=True)

    def clear(self) -> None:
        """
        Drop all encoded messages.
        """
        self._pieces.clear()
        self._lastShape = None
        self._last = {}
        self.bytes = 0
        self._wheel.clear(self)

    def stop(self) -> None:
        """
        Keep nothing from now on.
        """
        self._mostBytes = -1
        self._begun = None
        self.clear()

    def timedOut(self) -> None:
        """
        Drop all, L{KEPT_SECONDS} after the first was kept.
        """
        self.clear()


def isCompressed(shape: Shape) -> bool:
    """
    Whether a shape compresses messages.
    """
    return getattr(shape, "compression", None) is not None
