"""
Who hears what is stored, for the buses that tell it in the same process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from comet.interfaces import IBusListener
from comet.model.cursors import Cursor
from comet.model.messages import Message


class _News(NamedTuple):
    """
    @ivar stored: Messages; a cursor where the head has moved to; L{None} for
        an interruption.

    @ivar heard: Fires when all listeners have heard of it.
    """

    stored: Sequence[Message] | Cursor | None
    heard: Deferred[None]


class Listeners:
    """
    The listeners of a bus.  Each hears everything, whatever its names.

    What is told from within a listener's call waits until all listeners have
    heard what was told before: so all hear all in the same order.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._names: dict[IBusListener, set[str]] = {}
        self._unheard: deque[_News] = deque()
        self._isTelling = False

    def __len__(self) -> int:
        """
        How many listeners there are.
        """
        return len(self._names)

    def add(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Let a listener hear some names, besides those that it hears.
        """
        added = set(names)
        if added:
            self._names.setdefault(listener, set()).update(added)

    def remove(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        End it for these names; those that it does not hear change nothing.
        """
        held = self._names.get(listener)
        if held is not None:
            held.difference_update(names)
            if not held:
                del self._names[listener]

    def clear(self) -> None:
        """
        Let nobody hear anything any more.
        """
        self._names.clear()

    def messagesStored(self, messages: Sequence[Message]) -> Deferred[None]:
        """
        Let everyone hear these messages.

        @return: Fires when they have: before this returns, unless it is called
            by a listener that is hearing something.
        """
        return self._tell(messages)

    def endMoved(self, end: Cursor) -> None:
        """
        Let everyone know that they have heard everything up to here.
        """
        self._tell(end)

    def interrupted(self) -> None:
        """
        Let everyone know that something may have been missed.
        """
        self._tell(None)

    def _tell(self, stored: Sequence[Message] | Cursor | None) -> Deferred[None]:
        if self._isTelling:
            heard: Deferred[None] = Deferred()
            self._unheard.append(_News(stored, heard))
            return heard
        self._isTelling = True
        try:
            self._tellAll(stored)
            while self._unheard:
                news = self._unheard.popleft()
                self._tellAll(news.stored)
                news.heard.callback(None)
        finally:
            self._isTelling = False
        return succeed(None)

    def _tellAll(self, stored: Sequence[Message] | Cursor | None) -> None:
        for listener in list(self._names):
            if listener not in self._names:
                # Another one has just let it go.
                continue
            try:
                if stored is None:
                    listener.interrupted()
                elif isinstance(stored, Cursor):
                    listener.endMoved(stored)
                else:
                    listener.messagesStored(stored)
            except Exception:
                self._log.failure("{listener} failed to hear", listener=listener)
