"""
Whether a client asks for little, so that it may wait before those that have work left.
"""

from __future__ import annotations

from typing import Final

from comet.reactor.turns import MUCH, TURN, Turns

# For how many seconds at most what a client says is dealt with, if it is little.  A request
# of HTTP/2 takes half of that, and more where many wait.
QUICK: Final = TURN


class ClientPace:
    """
    What a client has sent since it had no work left, and how long that has taken.

    A client asks for little if it has been served before, what it said last was little, too,
    and what it says now is little as far as that is known: no more than L{MUCH} bytes, and
    for no longer than L{QUICK}.  It may be dealt with in parts: where many wait, a share is
    shorter than one request takes.
    """

    __slots__ = ("_seconds", "_size", "_turns", "_wasLittle")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._size = 0
        self._seconds = 0.0
        # Whether the client was served, and what it said last was little.
        self._wasLittle = False

    @property
    def isLight(self) -> bool:
        """
        Whether the client asks for little.
        """
        return self._wasLittle and self._isLittle

    @property
    def _isLittle(self) -> bool:
        return self._size <= MUCH and self._seconds <= QUICK

    def came(self, size: int) -> None:
        """
        Count input.

        @param size: How many bytes it has.
        """
        self._size += size

    def worked(self, begun: float) -> float:
        """
        Count work for the client, from some time until now: see L{Turns.spend}.

        @param begun: In seconds.

        @return: The time of now.
        """
        now = self._turns.seconds()
        self._seconds += now - begun
        self._turns.spend(begun)
        return now

    def rest(self) -> None:
        """
        The client has no work left: what it says from now on is counted anew.
        """
        if self._size:
            self._wasLittle = self._isLittle
        self._size = 0
        self._seconds = 0.0
