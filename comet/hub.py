"""
The hub: the one gate that everything goes through, whatever the transport.

An application talks to it in plain Python::

    hub = Hub(MemoryBus(reactor), reactor)
    hub.publish("news", {"headline": "..."}).addCallback(print)
    hub.subscribe(["news", "chat/*"], "now", receiver)

and puts a L{CometResource<comet.web.resources.CometResource>} over it for the rest
of the world.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.access.rights import Access
from comet.deferreds import gather
from comet.errors import BadRequest, CometError, TooMany, Unavailable
from comet.fanout.application import ApplicationReader, Subscription, Where, readStartPositions
from comet.fanout.core import Fanout
from comet.fanout.polls import PollReader, PollShape, Waiter
from comet.fanout.reader import Opener, Reader, openReader
from comet.fanout.streams import StreamReader
from comet.framing.publications import Limits, fromValue
from comet.http.origins import Origins
from comet.interfaces import IAccess, IMessageBus, IReceiver
from comet.metrics import Metrics
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.model.messages import Close, Publication, Published
from comet.model.positions import StartPositions

R = TypeVar("R")
S = TypeVar("S", bound=StreamReader)


@frozen
class Settings:
    """
    What the hub allows.

    @ivar limits: The bounds of what is published, and how many names a reader
        has at most.

    @ivar heartbeat: After how many seconds of silence an endless transport
        tells where its reader stands.

    @ivar maxConnections: How many readers and sockets there are at most; 0
        is as many as the system allows.
    """

    limits: Limits = field(factory=Limits)
    heartbeat: float = 25.0
    maxConnections: int = 0


class Hub:
    """
    Lets clients publish and read, within what they may and what is allowed.

    @ivar access: Who may do what.

    @ivar origins: The web pages and host names that are trusted.

    @ivar settings: What is allowed.

    @ivar metrics: What has passed on each transport.

    @ivar isDraining: Whether the server is going down: it takes nothing new.
    """

    _log = Logger()

    def __init__(
        self,
        bus: IMessageBus,
        clock: IReactorTime,
        settings: Settings | None = None,
        access: IAccess | None = None,
        origins: Origins | None = None,
    ) -> None:
        """
        @param clock: The reactor.

        @param access: By default nobody but the application itself may
            publish, and anyone may read.

        @param origins: By default the server is known by C{localhost} and IP
            addresses only, and its own pages alone are trusted.
        """
        self.bus = bus
        self.clock = clock
        self.settings = Settings() if settings is None else settings
        self.access: IAccess = Access() if access is None else access
        self.origins = Origins() if origins is None else origins
        self.fanout = Fanout(bus, clock, self.settings.heartbeat)
        self.metrics = Metrics()
        self.isDraining = False
        self._retryWithin = 0.0
        self._underWay = 0
        self._waiting: list[Deferred[None]] = []

    # -- For applications

    def publish(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Deferred[Cursor]:
        """
        Publish to one or more channels, in the server's own name.

        @param data: Anything that JSON can say, or L{bytes}.

        @param event: The name of the event that it is.

        @param key: Makes it safe to publish again when it is not known whether
            it was stored.

        @return: Fires with the cursor of the message, or of the last one of
            several, once it is stored and was written to the readers.  Fails
            with a L{CometError}; nothing is stored then, except perhaps where
            it is L{Unknown<comet.errors.Unknown>}.
        """

        def publish() -> Deferred[Sequence[Published]]:
            limits = self.settings.limits
            publication = fromValue(channels, data, limits, event, key, "server")
            return self._store([publication])

        return maybeDeferred(publish).addCallback(lambda answers: answers[0].cursor)

    def subscribe(
        self, names: str | Sequence[str], since: Where, receiver: IReceiver
    ) -> Deferred[Subscription]:
        """
        Read some channels and patterns, in the server's own name.

        @param since: Where to begin: C{"now"} or L{None}, C{"earliest"},
            C{"-3"}, a cursor; or a mapping of names to these.

        @param receiver: Is called from within this method already, where held
            messages are wanted.

        @return: Fires with the subscription once everything that is stored
            will be heard.  Fails with a L{CometError}.
        """

        def subscribe() -> Deferred[Subscription]:
            startPositions = readStartPositions(names, since)
            self._checkDraining()
            reader = ApplicationReader(self.fanout, receiver)
            opened = reader.open(startPositions)
            opened.addCallbacks(
                lambda _: Subscription(reader), self._notOpened, errbackArgs=(reader,)
            )
            return opened

        return maybeDeferred(subscribe)

    # -- For the edges

    def store(
        self, client: Client, publications: Sequence[Publication]
    ) -> Deferred[Sequence[Published]]:
        """
        Publish for a client, all or nothing.

        @return: Fires with an answer to each publication once all are stored
            and were written to the readers; fails with a L{CometError}.
        """
        try:
            for publication in publications:
                self.checkPublish(client, publication.channels)
        except CometError:
            return _failed()
        return self._store(publications)

    def _store(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        answered: Deferred[Sequence[Published]] = Deferred()
        self.storeChecked(publications, answered.callback, answered.errback)
        return answered

    def storeChecked(
        self,
        publications: Sequence[Publication],
        done: Callable[[Sequence[Published]], object],
        failed: Callable[[Failure], object],
    ) -> None:
        """
        Publish what L{checkPublish} let pass just now, as L{store} does.

        @param done: Called with what that would fire with, perhaps before this
            returns; raises nothing.

        @param failed: Likewise, with what it would fail with.
        """
        if self.isDraining:
            failed(Failure(self._draining()))
            return
        self._underWay += 1
        stored: Any = maybeDeferred(self.bus.publish, publications)
        if stored.called and not stored.paused and not isinstance(stored.result, Failure):
            # As most are: to add callbacks would cost as much as to store it.
            self._wasStored(stored.result, done)
        else:
            stored.addCallbacks(
                self._wasStored, self._wasNotStored, callbackArgs=(done,), errbackArgs=(failed,)
            )

    def _wasStored(
        self, answers: Sequence[Published], done: Callable[[Sequence[Published]], object]
    ) -> None:
        self.fanout.whenFlushed(partial(self._isSettled, answers, done))

    def _isSettled(
        self, answers: Sequence[Published], done: Callable[[Sequence[Published]], object]
    ) -> None:
        # First of all: whoever drains may close its connection then.
        done(answers)
        self._isDone()

    def _wasNotStored(self, failure: Failure, failed: Callable[[Failure], object]) -> None:
        failed(failure)
        self._isDone()

    def forget(self, client: Client, channels: Sequence[str]) -> Deferred[None]:
        """
        Drop what is held of some channels, for a client.
        """

        def forget() -> Deferred[Any]:
            for channel in channels:
                self.access.checkDelete(client, channel)
            forgotten = [self.bus.forget(channel) for channel in channels]
            return gather(forgotten)

        return maybeDeferred(forget).addCallback(lambda _: None)

    def checkPublish(self, client: Client, channels: Sequence[str]) -> None:
        """
        May this client publish to these channels?

        @raise CometError: If not.
        """
        for channel in channels:
            self.access.checkPublish(client, channel)

    def check(self, client: Client, names: Sequence[str], held: int = 0) -> None:
        """
        May this client read these names, and is there room for it?

        @param held: How many names it reads already.

        @raise CometError: If not.
        """
        limits = self.settings.limits
        if held + len(names) > limits.maxChannels:
            raise BadRequest(
                f"{held + len(names)} names are too many for one reader: "
                f"{limits.maxChannels} are allowed"
            )
        for name in names:
            self.access.checkSubscribe(client, name)

    def admit(self) -> None:
        """
        Is there room for one more reader?

        @raise CometError: If not, with when to come again.
        """
        if self.isDraining:
            self._checkDraining()
        most = self.settings.maxConnections
        if most and len(self.fanout.readers) >= most:
            raise TooMany(f"there are {most} readers and sockets, which is all there may be")

    def openStream(
        self,
        client: Client,
        names: Sequence[str],
        since: StartPositions,
        makeReader: Callable[[], S],
        opener: Opener = openReader,
    ) -> S:
        """
        Begin an endless stream for a client.  What goes wrong later is told in
        the stream, and ends it.

        @param names: Channels and patterns; none, for one that begins without.

        @param makeReader: Makes a reader on L{fanout}; called only if it may
            be.

        @param opener: Opens the reader.  A caller that makes many readers of
            the same names in the same shape may give the C{open} of a
            L{JoinPoint<comet.fanout.joinpoint.JoinPoint>}.

        @raise CometError: If it may not be.
        """
        self.check(client, names)
        self.admit()
        reader = makeReader()
        opener(reader, names, since)
        return reader

    def openPoll(
        self,
        client: Client,
        names: Sequence[str],
        since: StartPositions,
        shape: PollShape[R],
        waiter: Waiter[R],
        wait: float,
        opener: Opener = openReader,
    ) -> PollReader[R]:
        """
        Begin a poll for a client.

        @param waiter: May be called before this returns.

        @param opener: As for L{openStream}.

        @raise CometError: If it may not be; the waiter was not called then.
        """
        self.check(client, names)
        if wait:
            self.admit()
        else:
            self._checkDraining()
        reader = PollReader(self.fanout, shape, waiter, wait)
        opener(reader, names, since)
        return reader

    def _notOpened(self, failure: Failure, reader: Reader) -> Failure:
        reader.ended()
        return failure

    # -- Its life

    @property
    def isReady(self) -> bool:
        """
        Whether clients should be sent here.
        """
        return not self.isDraining and self.bus.isAvailable

    @property
    def end(self) -> Cursor:
        """
        The cursor of somebody who has everything that there is by now.
        """
        return self.bus.end

    def _checkDraining(self) -> None:
        if self.isDraining:
            raise self._draining()

    def _draining(self) -> Unavailable:
        return Unavailable("the server is going down", self._retry())

    def _retry(self) -> float:
        """
        A random moment within the time that the server takes to go down.
        """
        return round(random.uniform(0.1, max(self._retryWithin, 0.1)), 3)

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Take nothing new, and send everyone away: each is told to come back at
        a random moment within some time, so that not all come at once.

        @param seconds: That time, and how long to wait for what is under way.

        @return: Fires when all have been told and what was being published is
            answered, or the time is over.
        """
        self.isDraining = True
        self._retryWithin = seconds
        for reader in list(self.fanout.readers):
            reader.close(Close("draining", "the server is going down", self._retry()))
        done = gather([self.fanout.whenDrained(), self._answered()])
        done.addTimeout(seconds, self.clock, onTimeoutCancel=lambda result, timeout: None)
        return done.addCallback(lambda _: None)

    def _answered(self) -> Deferred[None]:
        """
        @return: Fires when nothing is being published.
        """
        if not self._underWay:
            return succeed(None)
        answered: Deferred[None] = Deferred()
        self._waiting.append(answered)
        return answered

    def _isDone(self) -> None:
        """
        Something that was being published is answered.
        """
        self._underWay -= 1
        if not self._underWay:
            waiting, self._waiting = self._waiting, []
            for answered in waiting:
                answered.callback(None)


def _failed() -> Deferred[Any]:
    """
    @return: Has failed with the error that is being handled.
    """
    failed: Deferred[Any] = Deferred()
    failed.errback()
    return failed
