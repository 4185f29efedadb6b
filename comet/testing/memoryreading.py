"""
A subscription of a client that has no socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from comet.client import received
from comet.client.cursorfile import CursorFile
from comet.client.failures import Closed, Ended
from comet.client.received import Closing, Envelope, readEnvelope
from comet.client.standing import Standing
from comet.fanout.application import Subscription, readerOf
from comet.framing.envelope import encodeEnvelope
from comet.hub.hub import Hub
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.testing.memoryclient import MemoryClient


class _Owner(Protocol):
    """
    The client whose subscription it is.
    """

    server: Any
    isClosed: bool
    readings: set[MemoryReading]

    @property
    def client(self) -> Client:
        """
        The client, as the server knows it.
        """


class _Reader(MemoryClient):
    """
    Reads for a subscription.
    """

    def __init__(self, hub: Hub, client: Client, reading: MemoryReading) -> None:
        super().__init__(hub, client)
        self._reading = reading

    def subscriptionOpened(self, subscription: Subscription) -> None:
        super().subscriptionOpened(subscription)
        # Where the furthest of its names begins, as on the wire.
        self._reading.opened(readerOf(subscription).position)

    def messageReceived(self, message: Message, replay: bool) -> None:
        self._reading.arrived.append(readEnvelope(encodeEnvelope(message, True, replay)))

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        self._reading.arrived.append(Envelope(cursor, gap=tuple(names)))


class MemoryReading:
    """
    One subscription, which comes back when the server has ended it.

    Its methods are called while the server is held.

    @ivar arrived: What has arrived, and was not taken.
    """

    def __init__(
        self,
        owner: _Owner,
        standing: Standing,
        file: CursorFile | None,
        onClose: Callable[[Closing], object] | None,
    ) -> None:
        self.arrived: deque[Envelope] = deque()
        self._owner = owner
        self._standing = standing
        self._file = file
        self._onClose = onClose
        self._reader: _Reader | None = None
        self._error: Exception | None = None

    @property
    def cursor(self) -> str | None:
        """
        The cursor up to which everything was taken, or L{None} before there is one.
        """
        cursor = self._standing.cursor
        return None if cursor is None else str(cursor)

    def handled(self) -> None:
        """
        Write the cursor file.
        """
        if self._file is not None:
            self._file.write(self._standing.encode())

    def opened(self, cursor: Cursor) -> None:
        """
        The reader stands here, before any message.
        """
        self._standing.opened(Envelope(cursor))

    def take(self) -> received.Message | received.Gap | None:
        """
        Take the next item, if it has arrived; open the subscription before, if it is not.

        @raise CometError: What the server refuses, or L{Ended<comet.client.failures.Ended>}, or
            L{Closed<comet.client.failures.Closed>}.
        """
        self.handled()
        while True:
            while self.arrived:
                item = self._itemOf(self.arrived.popleft())
                if item is not None:
                    return item
            self._check()
            if self._reader is not None:
                return None
            self._open()

    def _check(self) -> None:
        """
        Find out whether the reader is still there.
        """
        if self._owner.isClosed:
            raise Closed("the client is closed")
        if self._error is not None:
            raise self._error
        close = None if self._reader is None else self._reader.closed
        if close is not None:
            self._reader = None
            self._closed(close)

    def _closed(self, close: Close) -> None:
        if close.retry is None:
            self._error = Ended(close.code, close.message, self._standing.names)
            raise self._error
        if self._onClose is not None:
            # The test does not wait, however long a client would.
            self._onClose(Closing(close.code, close.message, close.retry))

    def _open(self) -> None:
        server, standing = self._owner.server, self._standing
        asked = standing.parameters()
        since: Any = asked["since"]
        if standing.isSplit:
            since = {name: asked.get(f"since.{name}", since) for name in standing.names}
        reader = _Reader(server.hub, self._owner.client, self)
        try:
            server.wait(lambda: reader.subscribe(standing.names, since))
        except Exception as error:
            self._error = error
            raise
        self._reader = reader

    def _itemOf(self, envelope: Envelope) -> received.Message | received.Gap | None:
        for cursor, message in envelope.messages:
            return message if self._standing.isNew(cursor, message) else None
        # The messages that are still held follow.
        self._standing.opened(envelope)
        return received.Gap(str(envelope.cursor), envelope.gap)

    def close(self) -> None:
        """
        End it.
        """
        self._owner.readings.discard(self)
        self.arrived.clear()
        if self._error is None:
            self._error = Closed("the subscription is closed")
        if self._reader is not None:
            self._reader.leave()
            self._reader = None
