"""
What is left to do of earlier ticks.  A large group of polls is answered in
parts, one a turn, so that other clients, and those that poll again, are served
in between.  The publisher of such a message is answered behind the parts; publishers of
other messages do not wait for them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TypeAlias

from comet.logging.clientlog import ClientLogger

# Whether the call takes long, so that one is enough for a turn; and the call.  Each
# publication has one, so it is a plain tuple.
Call: TypeAlias = tuple[bool, Callable[[], None]]


class Backlog:
    """
    Calls that are made in order, with at most one part a turn.

    @ivar calls: The calls that are left.

    @ivar first: Those that wait for no part.
    """

    _log = ClientLogger()

    def __init__(self) -> None:
        self.calls: deque[Call] = deque()
        self.first: deque[Callable[[], None]] = deque()
        # How many groups of polls are left that get the message at each position.
        self._late: Counter[int] = Counter()

    def __len__(self) -> int:
        """
        How many calls are left.
        """
        return len(self.calls) + len(self.first)

    @property
    def late(self) -> AbstractSet[int]:
        """
        The positions of messages of which parts are left.
        """
        return self._late.keys()

    def addParts(self, parts: Iterable[Callable[[], None]], positions: AbstractSet[int]) -> None:
        """
        Add calls that take long after all that are left.

        @param positions: Those of the messages that they write.
        """
        self._late.update(positions)
        for part in parts:
            self.add(part, isPart=True)
        self.add(partial(self._written, positions), isPart=False)

    def _written(self, positions: AbstractSet[int]) -> None:
        late = self._late
        for position in positions:
            late[position] -= 1
            if not late[position]:
                del late[position]

    def whenWritten(self, positions: AbstractSet[int], call: Callable[[], None]) -> None:
        """
        Add a call behind the parts that write some messages.
        """
        if self._late and not self._late.keys().isdisjoint(positions):
            self.add(call, isPart=False)
        else:
            self.first.append(call)

    def add(self, call: Callable[[], None], isPart: bool) -> None:
        """
        Add a call after all that are left.

        @param isPart: Whether the call takes long.
        """
        self.calls.append((isPart, call))

    def go(self) -> None:
        """
        Make the calls up to the second part.  A call that fails is logged, and
        the others are made.
        """
        hadPart = False
        calls, first = self.calls, self.first
        while True:
            if calls and not calls[0][0]:
                call = calls.popleft()[1]
            elif first:
                call = first.popleft()
            elif calls and not hadPart:
                hadPart = True
                call = calls.popleft()[1]
            else:
                break
            try:
                call()
            except Exception:
                self._log.failure(
                    "A call left by an earlier tick failed; {left} calls are left",
                    left=len(self),
                )
