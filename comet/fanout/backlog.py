"""
What is left to do of earlier ticks.  A large group of polls is answered in
parts, one a turn, so that other clients, and those that poll again, are served
in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from comet.clientlog import ClientLogger


class _Call(NamedTuple):
    """
    @ivar isPart: Whether the call takes long, so that one is enough for a turn.
    """

    isPart: bool
    call: Callable[[], None]


class Backlog:
    """
    Calls that are made in order, with at most one part a turn.
    """

    _log = ClientLogger()

    def __init__(self) -> None:
        self._calls: deque[_Call] = deque()

    def __len__(self) -> int:
        """
        How many calls are left.
        """
        return len(self._calls)

    def add(self, call: Callable[[], None], isPart: bool) -> None:
        """
        Add a call after all that are left.

        @param isPart: Whether the call takes long.
        """
        self._calls.append(_Call(isPart, call))

    def go(self) -> None:
        """
        Make the calls up to the second part.  A call that fails is logged, and
        the others are made.
        """
        hadPart = False
        while self._calls and not (hadPart and self._calls[0].isPart):
            isPart, call = self._calls.popleft()
            hadPart = hadPart or isPart
            try:
                call()
            except Exception:
                self._log.failure(
                    "A call left by an earlier tick failed; {left} calls are left",
                    left=len(self._calls),
                )
