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
SIP: Final = 2048


class InputThrottle:
    """
    Gives on what is received in pieces that are small enough for one turn, and
    lets the transport read no more until all of it was given.
    """

    __slots__ = ("_clock", "_give", "_isHeld", "_isPaused", "_isWaiting", "_rest", "_transport")

    def __init__(
        self, clock: IReactorTime, transport: Any, give: Callable[[bytes], object]
    ) -> None:
        """
        @param transport: A push producer: what it produces is received here.

        @param give: Called with each piece, in order.
        """
        self._clock = clock
        self._transport = transport
        self._give = give
        self._rest = b""
        self._isHeld = False
        self._isPaused = False
        self._isWaiting = False

    def received(self, data: bytes) -> None:
        """
        Take what came.
        """
        if self._rest or self._isHeld or len(data) > SIP:
            self._rest += data
            self._goOn()
        else:
            self._give(data)

    def pauseProducing(self) -> None:
        """
        Give no more for now.
        """
        self._isHeld = True
        self._pause()

    def resumeProducing(self) -> None:
        """
        Go on with what is left, and with what comes.
        """
        self._isHeld = False
        self._goOn()

    def stop(self) -> None:
        """
        The connection is lost: forget what is left.
        """
        self._rest = b""
        self._isHeld = True

    def _goOn(self) -> None:
        """
        Give a piece, unless one was given in this turn or it is held.
        """
        if self._rest and not self._isWaiting and not self._isHeld:
            piece, self._rest = self._rest[:SIP], self._rest[SIP:]
            if self._rest:
                self._isWaiting = True
                self._clock.callLater(0, self._turned)
            self._give(piece)
        if self._rest or self._isHeld:
            self._pause()
        elif self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()

    def _turned(self) -> None:
        self._isWaiting = False
        self._goOn()

    def _pause(self) -> None:
        if not self._isPaused:
            self._isPaused = True
            self._transport.pauseProducing()
