"""
Reads the messages of the names of a snapshot, a page at a time: those after a
cursor, and those of one channel before a cursor.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from comet.bus.historypage import LOST, PageBefore, isPast, partialPage
from comet.bus.parts import isPart, partOf
from comet.bus.sqlite.holdings import FIRST, Holdings
from comet.bus.sqlite.snapshot import ABOVE_ALL, Entry, Snapshot, Steps
from comet.bus.starts import beforeOldest
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import HistoryPage, ReadResult

# Up to this number of channels, each is read by itself and the results are
# merged.  For more channels, the messages of the log are walked.
MERGED: Final = 128

# How many messages before a cursor are read together.
_FEW: Final = 16


class PageReader:
    """
    Reads pages of messages.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._names = snapshot.names
        self._holdings = Holdings(snapshot)

    def read(self, after: Cursor, limit: int, maxBytes: int, upTo: int | None) -> Steps[ReadResult]:
        """
        See L{comet.interfaces.messagebus.IMessageBus.read}.
        """
        names = self._names.names
        most = partOf(limit, maxBytes)
        gaps: dict[str, int] = {}
        end = self._snapshot.end
        isLost = not after.isKnownAt(end)
        if isLost:
            oldest = yield from self._holdings.oldest(self._names.bitsOf(names))
            after = Cursor(end.epoch, beforeOldest(oldest.values(), end))
            gaps = dict.fromkeys(names, 0)
        last = end.position if upTo is None else min(upTo, end.position)
        entries, reached = yield from self._page(after.position, last, *most)
        # What comet cannot have stored is left out; the reader goes on behind it.
        messages = yield from self._snapshot.messages(entries)
        # Floors are told last: messages were dropped until now.
        floors = yield from self._holdings.floors(0 if isLost else after.position)
        gaps.update(floors)
        more = reached < last
        isShort = more and isPart(len(messages), limit, maxBytes)
        return ReadResult(after, messages, Cursor(after.epoch, reached), gaps, more, isShort)

    def _page(
        self, after: int, last: int, limit: int, maxBytes: int
    ) -> Steps[tuple[list[Entry], int]]:
        """
        Choose the messages to be read.

        @return: These, and the position up to which they are complete.
        """
        snapshot, names = self._snapshot, self._names
        page = _Page(limit, maxBytes, after)
        if after >= last:
            page.reached = after
        elif len(names.channels) <= MERGED and snapshot.isFew(min(MERGED, last - after)):
            held: list[list[Entry]] = []
            for channel in list(snapshot.reached("+head > ?", after)):
                # One more than is wanted tells that there is more.
                held.append(snapshot.entries(channel, after, last + 1, limit + 1))
                yield from snapshot.rest()
            page.add(heapq.merge(*held), last)
        else:
            examined, most = 0, min(FIRST, snapshot.together)
            while page.reached < last and not page.isFull and examined < snapshot.examined:
                yield from snapshot.rest()
                page.add(*snapshot.walked(page.reached, last, most))
                examined, most = examined + most, snapshot.together
        return page.entries, page.reached

    def history(self, before: Cursor | None, limit: int, maxBytes: int) -> Steps[HistoryPage]:
        """
        See L{comet.interfaces.messagebus.IMessageBus.history}.  The channel is the one name of
        this snapshot.
        """
        if not isPast(before, self._snapshot.end):
            return LOST
        page = PageBefore(*partOf(limit, maxBytes))
        upper = ABOVE_ALL if before is None else before.position
        # One more than is wanted tells whether there is more.
        most = min(partOf(limit, maxBytes)[0] + 1, self._snapshot.examined)
        while True:
            channel = next(iter(self._snapshot.named()), None)
            if channel is None:
                return page.ended(self._snapshot.floor, before)
            entries = self._snapshot.entries(channel, 0, upper, most, isNewest=True)
            page.fill(self._messagesOf(entries))
            if page.isFull or len(entries) < most:
                return partialPage(page.ended(channel.floor, before), limit, maxBytes)
            # Some messages were not stored by comet.
            upper = entries[-1].position
            yield from self._snapshot.pause()

    def _messagesOf(self, entries: Sequence[Entry]) -> Iterator[Message]:
        """
        Read messages, newest first, as far as the caller takes them.
        """
        for start in range(0, len(entries), _FEW):
            yield from self._snapshot.messagesNow(entries[start : start + _FEW])


class _Page:
    """
    The messages that one answer has.

    @ivar entries: These, in the order of positions.

    @ivar reached: The position up to which they are complete.

    @ivar isFull: Whether a message had no room.
    """

    def __init__(self, limit: int, maxBytes: int, after: int) -> None:
        self.entries: list[Entry] = []
        self.reached = after
        self.isFull = False
        self._limit = limit
        self._bytesLeft = maxBytes

    def add(self, entries: Iterable[Entry], reached: int) -> None:
        """
        Add messages, in the order of positions, until one has no room.

        @param reached: The position up to which these are complete.
        """
        for entry in entries:
            self._bytesLeft -= entry.length
            if self.entries and (len(self.entries) == self._limit or self._bytesLeft < 0):
                self.isFull = True
                reached = self.entries[-1].position
                break
            self.entries.append(entry)
        self.reached = reached
