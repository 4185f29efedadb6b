"""
Throttle a client's input: deal with a little of it in each turn of the reactor.

A client may send thousands of small commands at once, and to answer all of them
in one turn would make all other clients wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

# Bytes of input that are dealt with in one turn.  Most commands have ten or
# more; the smallest that has to be answered has two.
BYTES_PER_TURN: Final = 2048


class InputThrottle:
    """
    Delivers a client's input in pieces that are small enough for one turn, and
    pauses the transport until all of them are delivered.
    """

    __slots__ = (
        "_buffered",
        "_clock",
        "_deliver",
        "_ended",
        "_isOver",
        "_isPaused",
        "_isScheduled",
        "_isStopped",
        "_transport",
    )

    def __init__(
        self, clock: IReactorTime, transport: Any, deliver: Callable[[bytes], object]
    ) -> None:
        """
        @param transport: A push producer: the source of the input.

        @param deliver: Called with each piece, in order.
        """
        self._clock = clock
        self._transport = transport
        self._deliver = deliver
        self._buffered = b""
        self._isStopped = False
        self._isPaused = False
        self._isScheduled = False
        self._isOver = False
        # Called once all input is delivered, after its end.
        self._ended: Callable[[], object] | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Deliver some input, or keep it for a later turn.
        """
        if self._buffered or self._isStopped or len(data) > BYTES_PER_TURN:
            self._buffered += data
            self._deliverPiece()
        else:
            self._deliver(data)

    def pauseProducing(self) -> None:
        """
        Deliver nothing for now, and pause the transport.
        """
        self._isStopped = True
        self._pause()

    def resumeProducing(self) -> None:
        """
        Deliver what was kept, and what will be received.
        """
        self._isStopped = False
        self._deliverPiece()

    def endInput(self, ended: Callable[[], object]) -> None:
        """
        The client has closed its writing side.  From now on the transport is left
        alone: where it is read again, it would tell the end again.  Called again,
        this does nothing.

        @param ended: Called once all input is delivered.
        """
        if not self._isOver:
            self._isOver = True
            self._ended = ended
            self._deliverPiece()

    def stop(self) -> None:
        """
        The connection is lost: discard what was kept.
        """
        self._buffered = b""
        self._ended = None
        self._isStopped = True

    def _deliverPiece(self) -> None:
        """
        Deliver one piece, unless this turn has had one or delivery is paused.
        Then pause or resume the transport.
        """
        if self._buffered and not self._isScheduled and not self._isStopped:
            piece, self._buffered = self._buffered[:BYTES_PER_TURN], self._buffered[BYTES_PER_TURN:]
            if self._buffered:
                self._isScheduled = True
                self._clock.callLater(0, self._turnEnded)
            self._deliver(piece)
        if self._buffered or self._isStopped:
            self._pause()
            return
        if self._isPaused:
            self._isPaused = False
            if not self._isOver:
                self._transport.resumeProducing()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _turnEnded(self) -> None:
        self._isScheduled = False
        self._deliverPiece()

    def _pause(self) -> None:
        if not self._isPaused:
            self._isPaused = True
            if not self._isOver:
                self._transport.pauseProducing()
