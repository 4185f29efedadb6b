"""
Catch-ups: the responses to polls that have read the log, for others that begin where they
began.

How it works
============

Thousands of polls are answered with one message, and come back.  More is published
meanwhile, so that each of them finds the same messages behind the same cursor.  The first
reads them from the log, and its response is made of them; the others get that response.

A group keeps the responses, by the cursor from which they begin, as its readers have the
same names and the same shape.  A response is given only if it has all that there is:

  - The log has not grown since it was made; or nothing that was heard since is of the
    group's names.  A flush of the group drops the responses that end before it.

  - Nothing may have been missed: an interruption drops all of them, and so does a client
    that deletes messages.

A response is kept for a moment, L{KEPT_SECONDS} at most, since the log forgets messages.
None is kept where the bus has other nodes: what their clients delete is not heard of here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.reactor.timers import NOT_SET, TimerWheel

# For how many seconds a response is kept at most.
KEPT_SECONDS: Final = 0.25

# How many bytes of messages the responses have in all, from how many cursors of one group.
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_CURSORS: Final = 16

# About how many bytes a message has in a response beside its payload.
_AROUND: Final = 128


class CatchUp(NamedTuple):
    """
    A response to a poll that has read the log.

    @ivar response: The response.

    @ivar cursor: Where its reader stands.

    @ivar end: Where the log ended when it was made.

    @ivar messages: How many messages it has.

    @ivar size: How many bytes of payload these have.
    """

    response: Any
    cursor: Cursor
    end: Cursor
    messages: int
    size: int


class Keeping(Protocol):
    """
    What is needed here of a group.

    @ivar catchUps: The responses that it keeps, by the cursor from which they begin; or
        L{None}.
    """

    catchUps: dict[Cursor, CatchUp] | None


def withLast(kept: dict[Cursor, CatchUp], last: Message) -> dict[Cursor, CatchUp] | None:
    """
    Return the responses that a group may keep when it is given messages, up to this one;
    L{None} if there are none.
    """
    return {
        start: made
        for start, made in kept.items()
        if made.cursor.epoch == last.epoch and made.cursor.position >= last.position
    } or None


class CatchUps:
    """
    Bounds the responses that groups keep.
    """

    def __init__(self, wheel: TimerWheel, hasNodes: bool) -> None:
        """
        @param hasNodes: Whether other nodes may delete messages.
        """
        self.timerSlot = NOT_SET
        self._wheel = wheel
        self._groups: dict[Keeping, None] = {}
        self._bytes = 0
        self._isStopped = hasNodes

    def __len__(self) -> int:
        """
        How many groups may have a response.
        """
        return len(self._groups)

    def add(self, group: Keeping, start: Cursor, made: CatchUp) -> None:
        """
        Keep a response for other readers of a group.

        @param start: The cursor from which all its names were read.
        """
        size = made.size + made.messages * _AROUND
        if self._isStopped or size > MOST_BYTES // 2:
            return
        if self._bytes + size > MOST_BYTES:
            self.clear()
        kept = group.catchUps
        if kept is None or len(kept) >= MOST_CURSORS:
            group.catchUps = kept = {}
        kept[start] = made
        self._groups[group] = None
        # What groups drop is counted on: the timer is near.
        self._bytes += size
        if self.timerSlot == NOT_SET:
            self._wheel.set(self, KEPT_SECONDS)

    def clear(self) -> None:
        """
        Drop all responses.
        """
        if self._groups:
            groups, self._groups = self._groups, {}
            for group in groups:
                group.catchUps = None
            self._bytes = 0
            self._wheel.clear(self)

    def timedOut(self) -> None:
        """
        Drop all, L{KEPT_SECONDS} after the first was kept.
        """
        self.clear()

    def stop(self) -> None:
        """
        Keep nothing from now on.
        """
        self._isStopped = True
        self.clear()
