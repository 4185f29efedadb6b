"""
Readers that have more of the log to read, and go on with it in later turns.

A client that comes back after a long time may have thousands of messages to read, and
after an interruption of the bus all clients have some.  In each turn only a few of them
read on, in the order in which they came, so that other clients have their time, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from comet.fanout.delivery import Member
from comet.logging.clientlog import ClientLogger
from comet.reactor.turns import SHARE, Turns

# How many readers go on reading in one turn, if they have time for it.
MOST_DUE: Final = 64


class DueReaders:
    """
    Lets readers read on, a few in each turn.

    @ivar readers: Those that wait, in their order.
    """

    _log = ClientLogger()

    def __init__(self, turns: Turns, tickSoon: Callable[[], None]) -> None:
        """
        @param turns: Tells whether this turn has time left.

        @param tickSoon: Has L{go} called later.
        """
        self._turns = turns
        self._tickSoon = tickSoon
        self.readers: deque[Member] = deque()

    def later(self, reader: Member) -> None:
        """
        Let a reader go on reading in a later turn, so that others have theirs.
        """
        self.readers.append(reader)
        self._tickSoon()

    def soon(self, reader: Member) -> None:
        """
        Let a reader go on reading: at once, if no other waits and the turn has time for
        it.
        """
        turns = self._turns
        if self.readers or turns.isSpent:
            self.later(reader)
            return
        begun = turns.seconds()
        reader.pump()
        turns.spend(begun)

    def go(self) -> None:
        """
        Let some of the readers read on, in this turn.
        """
        readers, seconds = self.readers, self._turns.seconds
        over = seconds() + SHARE if readers else 0.0
        for _ in range(min(len(readers), MOST_DUE)):
            reader = readers.popleft()
            try:
                reader.pump()
            except Exception:
                self._log.failure("{reader} failed to read the log", reader=reader)
                reader.failed()
            if seconds() >= over:
                break
        if readers:
            self._tickSoon()
