"""
What is left to do of a turn: a group of many polls is answered in parts, so
that whoever comes back, and everybody else, has his turn in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from twisted.logger import Logger


class _Call(NamedTuple):
    """
    @ivar isPart: Whether it takes its time, so that one is enough for a turn.
    """

    isPart: bool
    call: Callable[[], None]


class Backlog:
    """
    Does one part a turn, and what is to be done after it.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._calls: deque[_Call] = deque()

    def __len__(self) -> int:
        """
        How much is left to do.
        """
        return len(self._calls)

    def add(self, call: Callable[[], None], isPart: bool) -> None:
        """
        Do something after all that is left to do.

        @param isPart: Whether it takes its time.
        """
        self._calls.append(_Call(isPart, call))

    def go(self) -> None:
        """
        Do the next part, and all up to the one after it.
        """
        hadPart = False
        while self._calls and not (hadPart and self._calls[0].isPart):
            isPart, call = self._calls.popleft()
            hadPart = hadPart or isPart
            try:
                call()
            except Exception:
                self._log.failure("what was left of a turn failed")
