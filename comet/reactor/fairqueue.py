"""
A queue in which no client waits for all that another one has brought.

Each client has a line of its own, in which the order is kept.  Of those at the
heads of the lines the one is next that would be finished first if all lines were
served at once, each at the same speed (weighted fair queuing, with equal weights).  So
a client that brings one thing at a time is served next, however many things the others
have waiting; and what costs much is served, too, once the others had as much.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# When it would be finished, its number, its client, its cost, and the thing itself.
_Entry = tuple[float, int, object, int, T]


class _Line:
    """
    The line of one client.

    @ivar finish: When the last thing in it would be finished.

    @ivar count: How many things are in it.
    """

    __slots__ = ("count", "finish")

    def __init__(self) -> None:
        self.finish = 0.0
        self.count = 0


class FairQueue(Generic[T]):
    """
    Things that wait, each with what it costs.
    """

    def __init__(self) -> None:
        # What a line would have been served since the queue was empty, if all were
        # served at once.
        self._served = 0.0
        self._number = 0
        self._lines: Final[dict[object, _Line]] = {}
        self._waiting: list[_Entry[T]] = []

    def __len__(self) -> int:
        """
        Return how many things wait.
        """
        return len(self._waiting)

    def add(self, client: object, thing: T, cost: int) -> None:
        """
        Add a thing to the end of a client's line.

        @param cost: In any unit; at least 1.
        """
        line = self._lines.get(client)
        if line is None:
            line = self._lines[client] = _Line()
        line.finish = max(line.finish, self._served) + cost
        line.count += 1
        # Of equal ones the first that came is first; the thing itself is not compared.
        self._number += 1
        heappush(self._waiting, (line.finish, self._number, client, cost, thing))

    def nextCost(self) -> int:
        """
        Return what the next thing costs.  There must be one.
        """
        return self._waiting[0][3]

    def take(self) -> T:
        """
        Remove the next thing.  There must be one.
        """
        _, _, client, cost, thing = heappop(self._waiting)
        self._served += cost / len(self._lines)
        line = self._lines[client]
        line.count -= 1
        if not line.count:
            del self._lines[client]
            if not self._lines:
                # So the sum stays exact.
                self._served = 0.0
        return thing
