"""
How many readers an order has ended, on all nodes.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred


class EndedCount:
    """
    Adds up what other nodes have ended.

    @ivar count: The sum.

    @ivar done: Fires when all have told.
    """

    def __init__(self, others: int) -> None:
        """
        @param others: How many other nodes there are.
        """
        self.count = 0
        self.done: Deferred[None] = Deferred()
        self._left = others
        self._check()

    def add(self, count: int) -> None:
        """
        Another node has ended so many.
        """
        self.count += count
        self._left -= 1
        self._check()

    def _check(self) -> None:
        if self._left <= 0 and not self.done.called:
            self.done.callback(None)
