"""
The listeners of a bus, and the order in which they hear.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed

from comet.interfaces.messagebus import IBusListener
from comet.logging.clientlog import ClientLogger
from comet.model.cursors import Cursor
from comet.model.messages import Message


class _News(NamedTuple):
    """
    @ivar stored: Messages; or the cursor to which the log end has moved; or
        L{None} for an interruption.

    @ivar heard: Fires when all listeners have heard of it.
    """

    stored: Sequence[Message] | Cursor | None
    heard: Deferred[None]


class Listeners:
    """
    The listeners of a bus.  Each hears everything that is stored, also of names
    that it does not listen to.

    What a listener causes from within a call waits until all listeners have
    heard what came before.  So all listeners hear everything in the same order.

    @ivar isTelling: Whether a listener is hearing something.
    """

    _log = ClientLogger()

    def __init__(self) -> None:
        self._names: dict[IBusListener, set[str]] = {}
        self._unheard: deque[_News] = deque()
        self.isTelling = False

    def __len__(self) -> int:
        """
        How many listeners there are.
        """
        return len(self._names)

    def add(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Let a listener hear some names, in addition to those that it hears
        already.
        """
        added = set(names)
        if added:
            self._names.setdefault(listener, set()).update(added)

    def remove(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Stop telling a listener of these names.  Names that it does not listen
        to are ignored.
        """
        held = self._names.get(listener)
        if held is not None:
            held.difference_update(names)
            if not held:
                del self._names[listener]

    def clear(self) -> None:
        """
        Forget all listeners.
        """
        self._names.clear()

    def messagesStored(self, messages: Sequence[Message]) -> Deferred[None]:
        """
        Tell all listeners that these messages were stored.

        @return: Fires when all have heard: before this method returns, unless a
            listener that is hearing something is the caller.
        """
        return self.tell(messages) or succeed(None)

    def endMoved(self, end: Cursor) -> None:
        """
        Tell all listeners that they have heard everything up to this cursor.
        """
        self.tell(end)

    def interrupted(self) -> None:
        """
        Tell all listeners that they may have missed messages.
        """
        self.tell(None)

    def tell(self, stored: Sequence[Message] | Cursor | None) -> Deferred[None] | None:
        """
        Tell all listeners one of these: that messages were stored, to where the log
        end has moved, or of an interruption.

        @return: L{None} if all have heard; else fires when they have.
        """
        if self.isTelling:
            heard: Deferred[None] = Deferred()
            self._unheard.append(_News(stored, heard))
            return heard
        self.isTelling = True
        try:
            self._tellAll(stored)
            while self._unheard:
                news = self._unheard.popleft()
                self._tellAll(news.stored)
                news.heard.callback(None)
        finally:
            self.isTelling = False
        return None

    def _tellAll(self, stored: Sequence[Message] | Cursor | None) -> None:
        for listener in list(self._names):
            if listener not in self._names:
                # Another listener has just removed it.
                continue
            try:
                if stored is None:
                    listener.interrupted()
                elif isinstance(stored, Cursor):
                    listener.endMoved(stored)
                else:
                    listener.messagesStored(stored)
            except Exception:
                self._log.failure("bus listener {listener} failed to hear", listener=listener)
