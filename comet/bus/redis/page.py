"""
A page of the log that is put together from several steps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter, itemgetter

from comet.bus.redis.channelreplies import IndexSlice
from comet.bus.redis.messagereplies import LogPage
from comet.model.messages import Message
from comet.model.patterns import NameSet

_position = attrgetter("position")
_first = itemgetter(0)


class Page:
    """
    A page that is put together from several steps.

    @ivar limit: How many messages there may be.

    @ivar maxBytes: After how many bytes of payload it ends.

    @ivar messages: The messages, in the order of positions.

    @ivar reached: The position up to which they are complete.

    @ivar isFull: Whether no more messages fit.
    """

    def __init__(self, limit: int, maxBytes: int, after: int) -> None:
        self.limit = limit
        self.maxBytes = maxBytes
        self.messages: list[Message] = []
        self.reached = after
        self.isFull = False
        self._size = 0

    @property
    def room(self) -> int:
        """
        How many more messages there may be.
        """
        return self.limit - len(self.messages)

    @property
    def bytesLeft(self) -> int:
        """
        How many bytes of payload still fit, at least one.
        """
        return max(self.maxBytes - self._size, 1)

    def add(self, extracts: Sequence[LogPage], end: int) -> None:
        """
        Add extracts, which all begin where the page has come to.

        @param end: The position up to which there is nothing but what the
            extracts are of.
        """
        # After the end of an incomplete extract, its messages are not known.
        stop = min([end, *(each.reached for each in extracts if each.more)])
        news = [message for each in extracts for message in each.messages]
        if len(extracts) > 1:
            news.sort(key=_position)
        for message in news:
            if message.position > stop:
                break
            size = self._size + len(message.payload)
            if self.messages and (len(self.messages) == self.limit or size > self.maxBytes):
                stop = self.messages[-1].position
                self.isFull = True
                break
            self.messages.append(message)
            self._size = size
        self.isFull = self.isFull or len(self.messages) >= self.limit
        self.reached = stop


def chosen(part: IndexSlice, after: int, names: NameSet, most: int) -> tuple[list[str], int]:
    """
    Find the channels with messages after a position that the names match.

    @param most: How many channels at most.

    @return: The channels, and up to which position these are all.
    """
    found: dict[str, bool] = {}
    reached = part.reached
    for position, name in part.entries[bisect_right(part.entries, after, key=_first) :]:
        if name not in found:
            isMatch = bool(names.matching(name))
            if isMatch and not most:
                reached = position - 1
                break
            most -= isMatch
            found[name] = isMatch
    return [name for name, isMatch in found.items() if isMatch], reached
