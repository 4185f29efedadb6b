"""
A queue in which no client waits for all that another one has brought.

Each client has a line of its own, in which the order is kept.  Of those at the
heads of the lines the one is next that would be finished first if all lines were
served at once, each at the same speed (weighted fair queuing, with equal weights).  So
a client that brings one thing at a time is served next, however many things the others
have waiting; and what costs much is served, too, once the others had as much.

To know what would be finished when, the queue goes through that other way of serving, too:
there a line may last longer than here, where all that it had is taken already, and as long
as it does, the others get less.  New clients that come without an end, each with little, would
get more and more there, so only L{MOST_LINES} of them count: what costs much waits for no more
than so many times its own cost.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from typing import Final, Generic, TypeVar

# How many lines have shares, at most.
MOST_LINES: Final = 256

T = TypeVar("T")

# When it would be finished, its number, its client, its cost, and the thing itself.
_Entry = tuple[float, int, object, int, T]


class FairQueue(Generic[T]):
    """
    Things that wait, each with what it costs.
    """

    def __init__(self) -> None:
        # What a line would have been served since the queue was empty, if all were
        # served at once.
        self._served = 0.0
        self._number = 0
        # When the last thing of each line would be finished: of the lines that would not be
        # empty yet.  They are in the heap with that time or with one that has grown since.
        self._finishes: Final[dict[object, float]] = {}
        self._lasting: Final[list[tuple[float, int, object]]] = []
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
        # Of equal ones the first that came is first; the thing itself is not compared.
        self._number += 1
        before = self._finishes.get(client)
        finish = (self._served if before is None else before) + cost
        self._finishes[client] = finish
        if before is None:
            heappush(self._lasting, (finish, self._number, client))
        heappush(self._waiting, (finish, self._number, client, cost, thing))

    def nextCost(self) -> int:
        """
        Return what the next thing costs.  There must be one.
        """
        return self._waiting[0][3]

    def take(self) -> T:
        """
        Remove the next thing.  There must be one.
        """
        _, _, _, cost, thing = heappop(self._waiting)
        if self._waiting:
            self._serve(cost)
        else:
            # So the sums stay exact.
            self._served = 0.0
            self._finishes.clear()
            self._lasting.clear()
        return thing

    def _serve(self, cost: float) -> None:
        """
        Go through what all lines would be served in the time in which one thing is.

        @param cost: Of this thing.
        """
        lasting, finishes = self._lasting, self._finishes
        while lasting:
            first, number, client = lasting[0]
            finish = finishes[client]
            if finish > first:
                heapreplace(lasting, (finish, number, client))
                continue
            lines = min(len(lasting), MOST_LINES)
            untilEmpty = (finish - self._served) * lines
            if untilEmpty > cost:
                self._served += cost / lines
                break
            cost -= untilEmpty
            self._served = finish
            heappop(lasting)
            del finishes[client]
