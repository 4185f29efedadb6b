"""
Readers that are answered once with what was before a cursor: scrolling back.
"""

from __future__ import annotations

from typing import TypeVar

from comet.fanout.core import Fanout
from comet.fanout.polls import PollReader
from comet.fanout.states import State
from comet.fanout.waiters import PollShape, Waiter
from comet.model.cursors import Cursor
from comet.model.positions import HistoryPage

R = TypeVar("R")


class HistoryReader(PollReader[R]):
    """
    A poll that reads the newest messages of a channel before a cursor.  The
    response has this cursor.

    It is open until the bus answers, and never live.
    """

    __slots__ = ()

    def __init__(self, fanout: Fanout, shape: PollShape[R], waiter: Waiter[R]) -> None:
        PollReader.__init__(self, fanout, shape, waiter, 0.0)

    def recall(self, channel: str, before: Cursor) -> None:
        """
        Ask the bus.  Called once, in the place of L{open}.
        """
        fanout = self.fanout
        fanout.readers[self] = None
        self.progress.cursor = before
        most = fanout.unsent.pollBytes
        asked = fanout.questions.history(
            channel, self.asker, before, self.shape.limit, most, self.isGone
        )
        asked.addCallback(self._recalled, channel).addErrback(self.failed)
        if self._time and self.state is not State.CLOSED:
            fanout.wheel.set(self, self._time)

    def _recalled(self, page: HistoryPage, channel: str) -> None:
        if self.state is State.CLOSED:
            return
        self._messages = [(message, False) for message in page.messages]
        self._gap = (channel,) if page.isGap else ()
        self._answerNow(page.more)
