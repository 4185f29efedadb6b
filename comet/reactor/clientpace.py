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

    @ivar size: How many bytes the client has sent since it had no work left.  The owner adds to
        it what comes.
    """

    __slots__ = ("_seconds", "_turns", "_wasLittle", "size")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._seconds = 0.0
        # Whether the client was served, and what it said last was little.
        self._wasLittle = False
        self.size = 0

    @property
    def isLight(self) -> bool:
        """
        Whether the client asks for little.
        """
        return self._wasLittle and self.size <= MUCH and self._seconds <= QUICK

    def worked(self, begun: float, isDone: bool) -> float:
        """
        Count work for the client, from some time until now: see L{Turns.spend}.

        @param begun: In seconds.

        @param isDone: Whether the client has no work left: what it says from now on is
            counted anew.

        @return: The time of now.
        """
        turns = self._turns
        now = turns.seconds()
        self._seconds += now - begun
        turns.spend(begun)
        if isDone:
            if self.size:
                self._wasLittle = self.size <= MUCH and self._seconds <= QUICK
                self.size = 0
            self._seconds = 0.0
        return now
