"""
What is left to do for connections whose clients have left, very many in one moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from comet.logging.clientlog import ClientLogger
from comet.reactor.turns import Turns


class Hangups:
    """
    Calls that wait for other turns, all together in one place of the queue: so a client
    that comes behind thousands that leave waits for a share of that work, not for all.
    """

    _log = ClientLogger()

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._waiting: Final[deque[Callable[[], object]]] = deque()
        self._hasPlace = False

    def add(self, call: Callable[[], object]) -> None:
        """
        Call a function in another turn, after all that were added.
        """
        self._waiting.append(call)
        self._takePlace()

    def _takePlace(self) -> None:
        if not self._hasPlace:
            self._hasPlace = True
            self._turns.later(self._goOn)

    def _goOn(self) -> None:
        """
        Make some of the calls, until the share of this turn is over.
        """
        self._hasPlace = False
        waiting, turns = self._waiting, self._turns
        over = turns.seconds() + turns.share
        while waiting:
            call = waiting.popleft()
            try:
                call()
            except Exception:
                self._log.failure("{call} failed, called for a client that has left", call=call)
            if turns.seconds() >= over:
                break
        if waiting:
            self._takePlace()
