"""
Messages for C{async for}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import CometError, Forbidden, Unavailable
from comet.fanout.application import Subscription
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Gap, Message
from comet.reactor.threads import checkThread

# From how many items on nothing more is read, until they are taken.
MOST: Final = 64


@implementer(IReceiver)
class _Inbox:
    """
    Keeps a few items until the iterator takes them.

    It does not refer to the iterator, which so ends when nothing else does.
    """

    def __init__(self) -> None:
        # Each item, with the cursor at which the reader stands behind it.
        self.items: deque[tuple[Message | Gap, Cursor]] = deque()
        self.subscription: Subscription | None = None
        self.close: Close | None = None
        self.error: Failure | None = None
        self.waiting: Deferred[None] | None = None
        self._isPaused = False

    def subscriptionOpened(self, subscription: Subscription) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """
        self.subscription = subscription

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        See L{IReceiver.messageReceived}.
        """
        self._add(message)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        See L{IReceiver.gapFound}.
        """
        self._add(Gap(cursor, tuple(names)))

    def _add(self, item: Message | Gap) -> None:
        subscription = self.subscription
        assert subscription is not None, "the receiver is told its subscription first"
        self.items.append((item, subscription.cursor))
        if len(self.items) >= MOST and not self._isPaused:
            self._isPaused = True
            subscription.pauseProducing()
        self._wake()

    def take(self) -> tuple[Message | Gap, Cursor]:
        """
        Take the next item, and read on behind the last.
        """
        item = self.items.popleft()
        if not self.items and self._isPaused and self.subscription is not None:
            self._isPaused = False
            self.subscription.resumeProducing()
        return item

    def subscriptionClosed(self, close: Close) -> None:
        """
        See L{IReceiver.subscriptionClosed}.
        """
        self.close = close
        self._wake()

    def failed(self, failure: Failure) -> None:
        """
        The subscription could not be opened.
        """
        self.error = failure
        self._wake()

    def end(self) -> None:
        """
        Read no more.
        """
        self.items.clear()
        self.close = self.close or Close("draining", "the iterator is closed")
        subscription, self.subscription = self.subscription, None
        if subscription is not None:
            subscription.unsubscribe()
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(None)


class Messages:
    """
    The messages of some names, for C{async for} in a coroutine of Twisted's; between
    them, a L{Gap<comet.model.messages.Gap>} where some are lost.

    It begins to read when it is first asked for a message.  It reads no further
    ahead than some hundred messages, or what the bus gives at once: a slow loop costs
    no memory, and is told of a gap where the log no longer holds what it has not
    taken.

    It ends when the hub stops, with L{aclose}, or when nothing refers to it any more,
    as behind a C{break}.

    @ivar cursor: Where the loop stands: a new iterator with the same names that starts
        here goes on behind the message that was given last.  L{None} before the first.
    """

    def __init__(
        self, subscribe: Callable[[IReceiver], Deferred[Subscription]], later: Callable[..., object]
    ) -> None:
        """
        @param subscribe: Subscribes a receiver.

        @param later: Calls a function in the reactor's thread, from any thread.
        """
        self.cursor: Cursor | None = None
        self._subscribe = subscribe
        self._later = later
        self._inbox = _Inbox()
        self._isBegun = False

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message | Gap:
        """
        Return the next message or gap.

        @raise StopAsyncIteration: If the hub has stopped, or the iterator is closed.

        @raise CometError: If the names cannot be read, or not any longer.

        @raise RuntimeError: If another coroutine waits for a message of this iterator;
            or in another thread than that of the reactor.
        """
        checkThread("hub.messages")
        inbox = self._inbox
        if not self._isBegun:
            self._isBegun = True
            self._begin(inbox)
        while not inbox.items:
            if inbox.error is not None:
                inbox.error.raiseException()
            if inbox.close is not None:
                raise _ended(inbox.close)
            if inbox.waiting is not None:
                raise RuntimeError("another coroutine waits for a message of this iterator")
            waiting: Deferred[None] = Deferred()
            inbox.waiting = waiting
            try:
                await waiting
            finally:
                if inbox.waiting is waiting:
                    # The coroutine that waited was cancelled.
                    inbox.waiting = None
        item, self.cursor = inbox.take()
        return item

    def _begin(self, inbox: _Inbox) -> None:
        if inbox.close is not None:
            return

        def opened(subscription: Subscription) -> None:
            # It may have been closed before the bus has answered.
            if inbox.close is not None:
                subscription.unsubscribe()

        self._subscribe(inbox).addCallbacks(opened, inbox.failed)

    async def aclose(self) -> None:
        """
        Read no more, and drop what was not taken.
        """
        self._inbox.end()

    async def __aenter__(self) -> Messages:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.aclose()

    def __del__(self) -> None:
        inbox = self._inbox
        if inbox.subscription is not None or (self._isBegun and inbox.close is None):
            # The garbage collector may run in any thread.
            self._later(inbox.end)


def _ended(close: Close) -> Exception:
    """
    Return what ends a loop.
    """
    if close.code == "draining":
        return StopAsyncIteration()
    kind: type[CometError] = Forbidden if close.code == "forbidden" else Unavailable
    return kind(close.message)
