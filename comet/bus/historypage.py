"""
A page of the messages before a cursor: the rules of
L{IMessageBus.history<comet.interfaces.messagebus.IMessageBus.history>}, for every bus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve

from comet.bus.parts import isPart
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import HistoryPage

# The page before a cursor of which the log knows nothing.
LOST: Final = HistoryPage(isGap=True)


def isPast(before: Cursor | None, end: Cursor) -> bool:
    """
    Whether a cursor is one of this log, so that it is known what is before it.

    @param before: The cursor, or L{None} for the end.

    @param end: The cursor of the newest message.
    """
    return before is None or before.isKnownAt(end)


class PageBefore:
    """
    A page that is put together from its end.
    """

    def __init__(self, limit: int, maxBytes: int) -> None:
        """
        @param limit: How many messages there may be.

        @param maxBytes: How many bytes of payload they may have, if they are more
            than one.
        """
        self._isFull = False
        self._limit = limit
        self._bytesLeft = maxBytes
        # Newest first.
        self._messages: list[Message] = []

    @property
    def isFull(self) -> bool:
        """
        Whether a message had no room: older messages are held.
        """
        return self._isFull

    def fill(self, messages: Iterable[Message]) -> None:
        """
        Add messages, newest first, until one has no room.
        """
        for message in messages:
            left = self._bytesLeft - len(message.payload)
            if self._messages and (len(self._messages) == self._limit or left < 0):
                self._isFull = True
                break
            self._messages.append(message)
            self._bytesLeft = left

    def ended(self, floor: int, before: Cursor | None) -> HistoryPage:
        """
        Return the page, to which everything that is held was added until it was
        full.

        @param floor: The floor of the channel, now.

        @param before: The cursor before which the page ends, or L{None} for the end
            of the log.
        """
        return historyPage(self._messages, self._isFull, floor, before)


def historyPage(
    messages: Sequence[Message], more: bool, floor: int, before: Cursor | None
) -> HistoryPage:
    """
    Make a page.

    @param messages: The messages, newest first.

    @param more: Whether older messages are held.

    @param floor: The floor of the channel, now.

    @param before: The cursor before which the page ends, or L{None} for the end of
        the log.
    """
    # Nothing was ever before position 1.
    mayBeOlder = before is None or before.position > 1
    return HistoryPage(messages[::-1], more, not more and floor > 0 and mayBeOlder)


def partialPage(page: HistoryPage, limit: int, maxBytes: int) -> HistoryPage:
    """
    Say of a page whether it is only a part of what was asked for.

    @param page: A page of a bus that reads no more than a part at once
        (L{comet.bus.parts}).

    @param limit: As the caller asked.

    @param maxBytes: As the caller asked.
    """
    isShort = page.more and isPart(len(page.messages), limit, maxBytes)
    return evolve(page, isPart=True) if isShort else page
