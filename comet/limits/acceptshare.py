"""
How a port that several workers share lets the others accept clients first, where this
worker has more than its share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

# For how many seconds a worker waits for the others, in all and at a time.  A worker with
# very much to do accepts a few clients in this time.  One that hangs takes none, and the
# others take them then, this much later.
PATIENCE: Final = 0.02
STEP: Final = 0.002

# How many clients it accepts then.
SOME: Final = 8


class AcceptingPort(Protocol):
    """
    A port of which a worker accepts clients.
    """

    def stopReading(self) -> None:
        """
        Accept no clients.
        """

    def startReading(self) -> None:
        """
        Accept clients again.
        """

    def acceptSome(self, most: int) -> object:
        """
        Accept clients that wait: so many at most, and none where none waits.
        """


class AcceptShare:
    """
    The share of one port.
    """

    __slots__ = ("_call", "_clock", "_over", "_port", "_room")

    def __init__(self, port: AcceptingPort, clock: IReactorTime, room: Callable[[], int]) -> None:
        """
        @param room: Tells how many clients this worker may take before it has more than
            its share.
        """
        self._port = port
        self._clock = clock
        self._room = room
        self._over = 0.0
        self._call: IDelayedCall | None = None

    def allowed(self, most: int) -> int:
        """
        Return how many clients the port may accept now.

        @param most: How many it accepts at most.

        @return: 0 where the other workers come first: the port has stopped reading then,
            and reads again soon.
        """
        room = self._room()
        if room > 0:
            return min(room, most)
        self._port.stopReading()
        self._over = self._clock.seconds() + PATIENCE
        self._wait()
        return 0

    def _wait(self) -> None:
        self.cancel()
        self._call = self._clock.callLater(STEP, self._look)

    def _look(self) -> None:
        self._call = None
        room = self._room()
        if room <= 0 and self._clock.seconds() < self._over:
            self._wait()
            return
        self._port.startReading()
        self._port.acceptSome(max(room, SOME))

    def cancel(self) -> None:
        """
        Start nothing any more: the port was closed, or stopped for another reason.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
