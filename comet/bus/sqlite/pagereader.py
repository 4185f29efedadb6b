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
from comet.bus.sqlite.holdings import Holdings
from comet.bus.sqlite.snapshot import ABOVE_ALL, Channel, Snapshot, Steps
from comet.bus.starts import beforeOldest
from comet.framing.stored import StoredMessage
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import HistoryPage, ReadResult

# Up to this number of channels, each is read by itself and the results are
# merged.  For more channels, the messages of the log are walked.
MERGED: Final = 128


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
            yield from self._snapshot.rest()
        last = end.position if upTo is None else min(upTo, end.position)
        messages, reached = self._page(after.position, last, *most)
        self._snapshot.isTired = True
        # Floors are told last: messages were dropped until now.
        floors = yield from self._holdings.floors(0 if isLost else after.position)
        gaps.update(floors)
        more = reached < last
        isShort = more and isPart(len(messages), limit, maxBytes)
        return ReadResult(after, messages, Cursor(after.epoch, reached), gaps, more, isShort)

    def _page(self, after: int, last: int, limit: int, maxBytes: int) -> tuple[list[Message], int]:
        """
        @return: Messages, and the position up to which they are complete.
        """
        page: list[StoredMessage] = []
        size, reached = 0, max(last, after)
        for position, stored in self._found(after, last):
            if stored is None:
                # Enough was examined.
                reached = position
                break
            payload = stored.payload
            length = len(payload) if isinstance(payload, bytes) else 0
            if page and (len(page) == limit or size + length > maxBytes):
                reached = page[-1].position
                break
            page.append(stored)
            size += length
        # What comet cannot have stored is left out; the reader goes on behind it.
        return self._snapshot.checked(page), reached

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
            channel = next((channel for channel, _ in self._snapshot.named()), None)
            if channel is None:
                return page.ended(self._snapshot.floor, before)
            positions = [
                position
                for (position,) in self._snapshot.execute(
                    "SELECT position FROM messages WHERE channel = ? AND position < ? "
                    "AND position > ? ORDER BY position DESC LIMIT ?",
                    (channel.id, upper, channel.floor, most),
                )
            ]
            page.fill(self._messagesOf(channel.name, positions))
            if page.isFull or len(positions) < most:
                return partialPage(page.ended(channel.floor, before), limit, maxBytes)
            # Some messages were not stored by comet.
            upper = positions[-1]
            yield from self._snapshot.pause()

    def _messagesOf(self, channel: str, positions: Iterable[int]) -> Iterator[Message]:
        for position in positions:
            yield from self._snapshot.checked([self._snapshot.stored(channel, position)])

    def _found(self, after: int, last: int) -> Iterator[tuple[int, StoredMessage | None]]:
        """
        The messages to be read, in order, by their positions; and, if enough was
        examined, the last position that was, with L{None}.
        """
        if after >= last:
            return
        snapshot, names = self._snapshot, self._names
        if len(names.channels) <= MERGED and snapshot.isFew(min(MERGED, last - after)):
            channels = [channel for channel, _ in snapshot.reached("+head > ?", after)]
            for position, name in self._merged(channels, after, last):
                yield position, snapshot.stored(name, position)
            return
        # It reaches all but the server's own channels.
        isWide = "**" in names.names
        for position, name, isLast, isHeld, stored in snapshot.walked(after, last, isWide):
            if isHeld and snapshot.bits(name):
                yield position, stored or snapshot.stored(name, position)
            if isLast:
                yield position, None

    def _merged(
        self, channels: Sequence[Channel], after: int, last: int
    ) -> Iterator[tuple[int, str]]:
        names = {channel.id: channel.name for channel in channels}
        held = [
            self._snapshot.execute(
                "SELECT position, channel FROM messages "
                "WHERE channel = ? AND position > ? AND position <= ? ORDER BY position",
                (channel.id, max(after, channel.floor), last),
            )
            for channel in channels
        ]
        for position, number in heapq.merge(*held):
            yield position, names[number]
