"""
What a client says, a little at a time.

A client may say thousands of small things in what is read at once, and to
answer all of them in one turn of the reactor would let everybody else wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

# How many bytes are dealt with in one turn.  A command has ten, in most cases;
# the smallest that has to be answered has two.
BYTES_PER_TURN: Final = 2048


class InputThrottle:
    """
    Gives on what is received in pieces that are small enough for one turn, and
    lets the transport read no more until all of it was given.
    """

    __slots__ = (
        "_buffered",
        "_clock",
        "_deliver",
        "_isPaused",
        "_isScheduled",
        "_isStopped",
        "_transport",
    )

    def __init__(
        self, clock: IReactorTime, transport: Any, deliver: Callable[[bytes], object]
    ) -> None:
        """
        @param transport: A push producer: what it produces is received here.

        @param deliver: Called with each piece, in order.
        """
        self._clock = clock
        self._transport = transport
        self._deliver = deliver
        self._buffered = b""
        self._isStopped = False
        self._isPaused = False
        self._isScheduled = False

    def dataReceived(self, data: bytes) -> None:
        """
        Take what came.
        """
        if self._buffered or self._isStopped or len(data) > BYTES_PER_TURN:
            self._buffered += data
            self._deliverPiece()
        else:
            self._deliver(data)

    def pauseProducing(self) -> None:
        """
        Give no more for now.
        """
        self._isStopped = True
        self._pause()

    def resumeProducing(self) -> None:
        """
        Go on with what is left, and with what comes.
        """
        self._isStopped = False
        self._deliverPiece()

    def stop(self) -> None:
        """
        The connection is lost: forget what is left.
        """
        self._buffered = b""
        self._isStopped = True

    def _deliverPiece(self) -> None:
        """
        Give a piece, unless one was given in this turn or it is held.
        """
        if self._buffered and not self._isScheduled and not self._isStopped:
            piece, self._buffered = self._buffered[:BYTES_PER_TURN], self._buffered[BYTES_PER_TURN:]
            if self._buffered:
                self._isScheduled = True
                self._clock.callLater(0, self._turnEnded)
            self._deliver(piece)
        if self._buffered or self._isStopped:
            self._pause()
        elif self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()

    def _turnEnded(self) -> None:
        self._isScheduled = False
        self._deliverPiece()

    def _pause(self) -> None:
        if not self._isPaused:
            self._isPaused = True
            self._transport.pauseProducing()
