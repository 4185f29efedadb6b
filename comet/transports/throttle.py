"""
Throttle a client's input: deal with some of it in each turn of the reactor.

A client may send thousands of small commands at once, and to answer all of them
in one turn would make all other clients wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from comet.reactor.clientpace import ClientPace
from comet.reactor.turns import Turns
from comet.transports.connected import connectionFailed
from comet.transports.peers import addressOf

# How many bytes are delivered at once.
PIECE: Final = 2048


def _discard(data: bytes) -> bool:
    """
    Take input after the end.
    """
    return False


class InputThrottle:
    """
    Delivers a client's input until the share of the turn is over, and pauses the
    transport until all of it is delivered: see L{comet.reactor.turns}.  Where the delivery
    raises an exception, the connection is cut.
    """

    __slots__ = (
        "_buffered",
        "_deliver",
        "_ended",
        "_hasRest",
        "_isDelivering",
        "_isOver",
        "_isPaused",
        "_isStopped",
        "_isWaiting",
        "_pace",
        "_pausedAt",
        "_pausedFor",
        "_shareOver",
        "_transport",
        "_turns",
    )

    def __init__(self, turns: Turns, transport: Any, deliver: Callable[[bytes], bool]) -> None:
        """
        @param transport: A push producer: the source of the input.

        @param deliver: Called with each piece, in order.  Before each command but
            the first in what it has, it asks L{mayGoOn}.  It returns True if it
            was told not to, and keeps the rest.  Then it is called with no bytes
            when it may go on.
        """
        self._turns = turns
        self._transport = transport
        self._deliver = deliver
        self._buffered = b""
        self._hasRest = False
        self._isDelivering = False
        self._isStopped = False
        self._isPaused = False
        self._isWaiting = False
        self._isOver = False
        self._pace = ClientPace(turns)
        self._shareOver = 0.0
        # Seconds: when the transport was paused last, and for how long before.
        self._pausedAt = self._pausedFor = 0.0
        # Called once all input is delivered, after its end.
        self._ended: Callable[[], object] | None = None

    @property
    def mayGoOn(self) -> bool:
        """
        Whether another command may be carried out in this turn.
        """
        return not self._isStopped and self._turns.seconds() < self._shareOver

    @property
    def address(self) -> str:
        """
        The client's IP address; empty if it has none.
        """
        return addressOf(self._transport)

    def readFor(self) -> float:
        """
        Return a time that goes on while the client's input is read, and stands still
        while it is not, in seconds from any moment.
        """
        now = self._pausedAt if self._isPaused else self._turns.seconds()
        return now - self._pausedFor

    def dataReceived(self, data: bytes) -> None:
        """
        Deliver some input, or keep it for a later turn.
        """
        self._buffered += data
        self._pace.size += len(data)
        if self._turns.mustWait(len(data)) and not (self._isDelivering or self._isStopped):
            self._pause()
            self._wait(self._pace.isLight)
        else:
            self._deliverSome()

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
        if self._isDelivering:
            return
        if self._hasRest or self._buffered:
            # This may be called for many clients at once.
            self._wait()
        else:
            self._deliverSome()

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
            self._deliverSome()

    def stop(self) -> None:
        """
        The connection is lost: discard what was kept.
        """
        self._buffered = b""
        self._hasRest = False
        self._ended = None
        self._isStopped = True
        # It belongs to whom the throttle belongs to: without it both are freed at once.
        self._deliver = _discard

    def _deliverSome(self) -> None:
        """
        Deliver input, unless it waits for another turn or delivery is paused.  Then
        pause or resume the transport.
        """
        if self._isDelivering:
            return
        if not (self._isWaiting or self._isStopped):
            begun = self._turns.seconds()
            self._shareOver = begun + self._turns.share
            self._isDelivering = True
            try:
                while self._hasRest or self._buffered:
                    piece = b""
                    if not self._hasRest:
                        piece, self._buffered = self._buffered[:PIECE], self._buffered[PIECE:]
                    self._hasRest = self._deliver(piece)
                    if (self._hasRest or self._buffered) and not self.mayGoOn:
                        break
            except Exception:
                self._failed()
                return
            finally:
                self._isDelivering = False
                isLeft = self._hasRest or self._buffered or self._isStopped
                self._pace.worked(begun, not isLeft)
        if self._hasRest or self._buffered or self._isStopped:
            self._pause()
            if not self._isStopped:
                self._wait(self._pace.isLight)
            return
        if self._isPaused:
            self._isPaused = False
            self._pausedFor += self._turns.seconds() - self._pausedAt
            if not self._isOver:
                self._transport.resumeProducing()
        ended, self._ended = self._ended, None
        if ended is not None:
            try:
                ended()
            except Exception:
                self._failed()

    def _failed(self) -> None:
        """
        Discard what was kept, and cut the connection: the exception being handled
        was raised.
        """
        self.stop()
        connectionFailed(self._transport)

    def _wait(self, isLight: bool = False) -> None:
        """
        Deliver the rest in another turn.

        @param isLight: See L{Turns.later<comet.reactor.turns.Turns.later>}.
        """
        if not self._isWaiting:
            self._isWaiting = True
            self._turns.later(self._goOn, isLight)

    def _goOn(self) -> None:
        self._isWaiting = False
        self._deliverSome()

    def _pause(self) -> None:
        if not self._isPaused:
            self._isPaused = True
            self._pausedAt = self._turns.seconds()
            if not self._isOver:
                self._transport.pauseProducing()
