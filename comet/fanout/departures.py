"""
Closing many readers, each at a moment of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

# How many readers are closed in a second: as many clients as may reconnect in a
# second without making one another wait.
RATE: Final = 1000.0

# The shortest time over which readers are spread, in seconds.
LEAST: Final = 0.1

# The part of the time to drain that may pass before the last reader is closed.  The
# rest is for its last words.
SPREAD: Final = 0.9

# How long is waited between two readers at least, in seconds.
STEP: Final = 0.01


def spanFor(readers: int, most: float) -> float:
    """
    Return over how many seconds some readers are spread.

    @param most: The most that it may take, unless that is less than L{LEAST}.
    """
    return max(min(most, readers / RATE), LEAST)


class Departures:
    """
    Closes readers in random order, evenly over a time.  Each is written to until
    its moment comes.
    """

    def __init__(
        self,
        readers: Iterable[Any],
        close: Callable[[Any], None],
        span: float,
        clock: IReactorTime,
    ) -> None:
        """
        @param close: Closes one reader, which may have left already.

        @param span: The time, in seconds.
        """
        self._left = list(readers)
        random.shuffle(self._left)
        self._count = len(self._left)
        self._close = close
        self._span = span
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._done: Deferred[None] = Deferred(self._cancelled)

    def start(self) -> Deferred[None]:
        """
        Begin.

        @return: Fires when all are closed.  To cancel it leaves the rest open.
        """
        self._began = self._clock.seconds()
        self._closeSome()
        return self._done

    def _closeSome(self) -> None:
        self._call = None
        passed = self._clock.seconds() - self._began
        stay = max(self._count - int(self._count * passed / self._span), 0)
        while len(self._left) > stay:
            self._close(self._left.pop())
        if self._left:
            pause = max(self._span / self._count, STEP)
            self._call = self._clock.callLater(pause, self._closeSome)
        else:
            self._done.callback(None)

    def _cancelled(self, done: Deferred[None]) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
