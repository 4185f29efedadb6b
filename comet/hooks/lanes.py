"""
Lanes: what waits goes on in the order in which it came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable


class Ticket:
    """
    A place in some lanes.

    @ivar keys: The keys of the lanes.

    @ivar go: Called when it is the ticket's turn.

    @ivar isReady: Whether nothing but those before it is waited for.
    """

    __slots__ = ("go", "isReady", "keys")

    def __init__(self, keys: tuple[Hashable, ...], go: Callable[[], object]) -> None:
        self.keys = keys
        self.go = go
        self.isReady = False


class Lanes:
    """
    A lane for each key.  A ticket goes on once it is ready and the first in all of its
    lanes; so it never waits for one that has none of its keys.
    """

    def __init__(self) -> None:
        # None of them is empty.
        self._lanes: dict[Hashable, deque[Ticket]] = {}

    def __len__(self) -> int:
        """
        How many lanes are taken.
        """
        return len(self._lanes)

    def areFree(self, keys: Iterable[Hashable]) -> bool:
        """
        Tell whether nothing waits in some lanes.
        """
        lanes = self._lanes
        return not lanes or not any(key in lanes for key in keys)

    def enter(self, keys: Iterable[Hashable], go: Callable[[], object]) -> Ticket:
        """
        Take the last place in some lanes.

        @param keys: Those of the lanes.

        @param go: Called once when it is the ticket's turn, which has left its lanes by
            then.  It must not raise; it may enter lanes.
        """
        ticket = Ticket(tuple(dict.fromkeys(keys)), go)
        for key in ticket.keys:
            self._lanes.setdefault(key, deque()).append(ticket)
        return ticket

    def ready(self, ticket: Ticket) -> None:
        """
        Let a ticket go on in its turn, and then those that have waited for it alone.
        """
        ticket.isReady = True
        due = deque([ticket])
        while due:
            first = due.popleft()
            if self._isDue(first):
                due.extend(self._leave(first))
                first.go()

    def _isDue(self, ticket: Ticket) -> bool:
        lanes = self._lanes
        # One that has gone already is in no lane any more.
        return ticket.isReady and all(
            key in lanes and lanes[key][0] is ticket for key in ticket.keys
        )

    def _leave(self, ticket: Ticket) -> list[Ticket]:
        """
        Take a ticket out of its lanes.

        @return: Those that are the first now.
        """
        following = []
        for key in ticket.keys:
            lane = self._lanes[key]
            lane.popleft()
            if lane:
                following.append(lane[0])
            else:
                del self._lanes[key]
        return following
