"""
A client without a socket, for the tests of an application.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from comet.fanout.application import Subscription, Where, readerOf
from comet.framing.publications import fromValue
from comet.hub.hub import Hub
from comet.interfaces.receiver import IReceiver
from comet.model.channels import parseName
from comet.model.clients import ANONYMOUS, Client
from comet.model.cursors import Cursor
from comet.model.messages import Close, Gap, Message


@implementer(IReceiver)
class MemoryClient:
    """
    A client that reads and publishes in the process of the test.  It passes the gate
    that every client passes: rights, limits, and whether the server is draining.

    @ivar client: The client, as the access object knows it.

    @ivar messages: The messages that it was sent, in the order in which they came.

    @ivar gaps: The gaps that it was told of.

    @ivar closed: Why the server has ended its subscription; L{None} if it has not.
    """

    def __init__(self, hub: Hub, client: Client = ANONYMOUS) -> None:
        """
        @param client: Which client it is; see also
            L{MemoryHub.connect<comet.testing.memoryhub.MemoryHub.connect>}.
        """
        self.client = client
        self.messages: list[Message] = []
        self.gaps: list[Gap] = []
        self.closed: Close | None = None
        self._hub = hub
        self._subscription: Subscription | None = None
        self._cursor: Cursor | None = None

    @property
    def data(self) -> list[Any]:
        """
        The data of its messages.
        """
        return [message.data for message in self.messages]

    @property
    def names(self) -> tuple[str, ...]:
        """
        The channels and patterns that it reads.
        """
        return () if self._subscription is None else self._subscription.names

    @property
    def cursor(self) -> Cursor | None:
        """
        The cursor with which it can read on after it has left or was closed; L{None}
        if it has never read.
        """
        return self._cursor if self._subscription is None else self._subscription.cursor

    def publish(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Deferred[Cursor]:
        """
        Publish to one or more channels.

        @return: Fires with the cursor of the last message, when the turn ends.  Fails
            with a L{CometError<comet.errors.CometError>}.
        """

        def publish() -> Deferred[Cursor]:
            limits, name = self._hub.settings.limits, self.client.publisher
            publication = fromValue(channels, data, limits, event, key, name)
            stored = self._hub.store(self.client, [publication])
            return stored.addCallback(lambda answers: answers[0].cursor)

        return maybeDeferred(publish)

    def subscribe(self, names: str | Sequence[str], since: Where = None) -> Deferred[None]:
        """
        Read channels and patterns, in addition to those that it reads.

        @param since: As for L{Hub.subscribe}.

        @return: Fires when it reads.  Fails with a
            L{CometError<comet.errors.CometError>} if it may not.
        """

        def subscribe() -> Deferred[Any]:
            asked = [parseName(name) for name in ([names] if isinstance(names, str) else names)]
            self._hub.check(self.client, asked, len(self.names))
            if self._subscription is not None:
                return self._subscription.add(asked, since)
            self._hub.admit()
            return self._hub.subscribe(asked, since, self)

        return maybeDeferred(subscribe).addCallback(lambda _: None)

    def unsubscribe(self, names: str | Sequence[str]) -> None:
        """
        Stop reading some names.
        """
        if self._subscription is not None:
            self._subscription.remove(names)

    def leave(self) -> None:
        """
        Go away, as a client does whose connection is lost.
        """
        if self._subscription is not None:
            self._subscription.unsubscribe()
            self._ended()

    def subscriptionOpened(self, subscription: Subscription) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """
        self._subscription = subscription
        # So that the hub finds it by its client, to disconnect it or to tell of it.
        reader = readerOf(subscription)
        reader.client = self.client
        reader.isCounted = True
        if self._hub.attendance is not None:
            self._hub.attendance.namesChanged(reader)
        self.closed = None

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        See L{IReceiver.messageReceived}.
        """
        self.messages.append(message)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        See L{IReceiver.gapFound}.
        """
        self.gaps.append(Gap(cursor, tuple(names)))

    def subscriptionClosed(self, close: Close) -> None:
        """
        See L{IReceiver.subscriptionClosed}.
        """
        self.closed = close
        self._ended()

    def _ended(self) -> None:
        if self._subscription is not None:
            self._cursor = self._subscription.cursor
            self._subscription = None
