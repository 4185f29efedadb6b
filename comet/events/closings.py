"""
Telling on C{$events} which readers are closed, and why.
"""

from __future__ import annotations

import secrets
from collections import deque
from itertools import count, islice
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError
from comet.fanout.streams import StreamReader
from comet.framing.strictjson import encode
from comet.interfaces.messagebus import IMessageBus
from comet.logging.clientlog import ClientLogger
from comet.model.events import CHANNEL, CLOSED
from comet.model.messages import Close, Publication
from comet.presence.keptchannels import KeptChannels

# How many are published together, and how many may wait.
TOGETHER: Final = 100
MOST: Final = 100_000

# After how many seconds what could not be published is published again.
AGAIN: Final = 1.0


class Closings:
    """
    Publishes an event for each channel of each stream that is closed on this node.

    @ivar kept: Of which channels events are told.

    @ivar dropped: How many events there was no room for.
    """

    _log = Logger()
    _busLog = ClientLogger()

    def __init__(self, bus: IMessageBus, clock: IReactorTime, kept: KeptChannels) -> None:
        self._bus = bus
        self._clock = clock
        self.kept = kept
        self.dropped = 0
        # The codes of readers that are being closed.
        self._codes: dict[Any, str] = {}
        self._untold: deque[Publication] = deque()
        # What makes each event one: the same is not told twice.
        self._life = secrets.token_hex(8)
        self._numbers = count()
        self._call: IDelayedCall | None = None
        self._isTelling = self._isStopped = False
        self._done: Deferred[None] | None = None

    @property
    def waiting(self) -> int:
        """
        How many events wait.
        """
        return len(self._untold)

    def readerClosed(self, reader: Any, close: Close) -> None:
        """
        A reader is being closed by the server.
        """
        if isinstance(reader, StreamReader):
            self._codes[reader] = close.code

    def readerEnded(self, reader: Any) -> None:
        """
        A reader is closed.
        """
        if not isinstance(reader, StreamReader):
            return
        code = self._codes.pop(reader, None)
        for channel in self.kept.of(reader.progress.names):
            self._tell(channel, reader.client.name or None, code)

    def _tell(self, channel: str, client: str | None, code: str | None) -> None:
        if len(self._untold) >= MOST:
            self.dropped += 1
            self._busLog.warn("a reader was closed, which is not told: too many such events wait")
            return
        data = {"channel": channel, "client": client, "code": code}
        key = f"closed/{self._life}/{next(self._numbers)}"
        self._untold.append(
            Publication((CHANNEL,), encode(data), CLOSED, publisher="server", key=key)
        )
        self._publishSoon(0.0)

    def _publishSoon(self, delay: float) -> None:
        if self._call is None and not self._isTelling and not self._isStopped:
            self._call = self._clock.callLater(delay, self._publish)

    def _publish(self) -> None:
        self._call = None
        told = list(islice(self._untold, TOGETHER))
        self._isTelling = True
        published: Deferred[Any] = self._bus.publish(told)
        published.addCallbacks(self._published, self._failed, callbackArgs=(len(told),))

    def _published(self, answers: object, count: int) -> None:
        self._isTelling = False
        for _ in range(count):
            self._untold.popleft()
        if self._untold:
            self._publishSoon(0.0)
        elif self._done is not None:
            done, self._done = self._done, None
            done.callback(None)

    def _failed(self, failure: Failure) -> None:
        self._isTelling = False
        if not failure.check(CometError):
            self._log.failure("the bus failed to take which readers are closed", failure)
        self._publishSoon(AGAIN)

    def told(self) -> Deferred[None]:
        """
        Called once.

        @return: Fires when all that was to be told is published, or L{stop} is called.
        """
        if not self._untold:
            return succeed(None)
        self._done = done = Deferred[None]()
        return done

    def stop(self) -> None:
        """
        Publish nothing more.
        """
        self._isStopped = True
        if self._untold:
            self.dropped += len(self._untold)
            self._log.warn(
                "of {count} readers that were closed it could not be told", count=len(self._untold)
            )
        if self._call is not None:
            self._call.cancel()
            self._call = None
        done, self._done = self._done, None
        if done is not None:
            done.callback(None)
