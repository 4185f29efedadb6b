"""
The work that is under way, after which the bus stops.
"""

from __future__ import annotations

from collections.abc import Callable


class WorkCount:
    """
    Counts the pieces of work that are under way.

    @ivar count: How many there are.  What begins a piece adds one.
    """

    __slots__ = ("_ended", "count")

    def __init__(self, ended: Callable[[], None]) -> None:
        """
        @param ended: Called after each piece that ends.
        """
        self._ended = ended
        self.count = 0

    def end(self) -> None:
        """
        Count one piece less.
        """
        self.count -= 1
        self._ended()
