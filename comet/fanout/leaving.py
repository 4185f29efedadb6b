"""
Closed readers that are still connected, since their clients have not taken the last
words; and when the server may stop, since all of them are gone and nothing is left to
write.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from comet.fanout.delivery import Member


class Leaving:
    """
    Knows the closed readers whose connections are not closed yet.

    @ivar readers: These readers.

    @ivar waiting: Fire when the server has drained: see L{whenDrained}.
    """

    def __init__(self, isWriting: Callable[[], object]) -> None:
        """
        @param isWriting: Tells whether something is left to write to other clients.
        """
        self._isWriting = isWriting
        self.readers: dict[Member, None] = {}
        self.waiting: list[Deferred[None]] = []

    def add(self, reader: Member) -> None:
        """
        A reader is closed, and its last words are written.
        """
        self.readers[reader] = None

    def connectionClosed(self, reader: Member) -> None:
        """
        The connection of a closed reader is closed.
        """
        self.readers.pop(reader, None)
        self.tellDrained()

    def whenDrained(self) -> Deferred[None]:
        """
        @return: Fires when no closed reader has its connection still, and nothing
            is left to write.
        """
        drained: Deferred[None] = Deferred()
        self.waiting.append(drained)
        self.tellDrained()
        return drained

    def tellDrained(self) -> None:
        """
        Fire what waits for that, if it is so now.  Called after each tick, which may
        have written what was left.
        """
        while self.waiting and not (self.readers or self._isWriting()):
            self.waiting.pop(0).callback(None)

    def cut(self) -> None:
        """
        Close the connections of closed readers that have not taken their last
        words.
        """
        for reader in list(self.readers):
            reader.cut()
