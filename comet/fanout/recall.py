"""
Pages of what was before a cursor, part by part.

A bus may answer with a part of the page that is asked for (L{comet.bus.parts}): the parts
are read one after the other, and others have their turn in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from attrs import evolve
from twisted.internet.defer import Deferred

from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import HistoryPage

# Asks the bus for what was before a cursor: at most so many messages, and so many bytes
# of payload.
AskBefore: TypeAlias = Callable[["Cursor | None", int, int], "Deferred[HistoryPage]"]


class Recall:
    """
    One page.
    """

    def __init__(self, ask: AskBefore, limit: int, maxBytes: int) -> None:
        """
        @param limit: How many messages the page has at most.

        @param maxBytes: How many bytes of payload it has at most, if it has more than one
            message.
        """
        self._ask = ask
        self._left = limit
        self._bytesLeft = maxBytes
        # What was read, which is later than what is still to be read.
        self._messages: Sequence[Message] = ()

    def read(self, before: Cursor | None) -> Deferred[HistoryPage]:
        """
        Read the page.  Called once.

        @return: As that of L{IMessageBus.history<comet.interfaces.messagebus.IMessageBus.history>}.
        """
        return self._ask(before, self._left, self._bytesLeft).addCallback(self._partRead)

    def _partRead(self, part: HistoryPage) -> HistoryPage | Deferred[HistoryPage]:
        size = sum([len(message.payload) for message in part.messages])
        if self._messages and size > self._bytesLeft:
            # A bus reads one message even if it is too large.
            return HistoryPage(self._messages, more=True)
        self._left -= len(part.messages)
        self._bytesLeft -= size
        if self._messages:
            part = evolve(part, messages=[*part.messages, *self._messages])
        if not (part.isPart and part.messages and self._left > 0 and self._bytesLeft > 0):
            return evolve(part, isPart=False) if part.isPart else part
        self._messages = part.messages
        return self.read(part.messages[0].cursor)
