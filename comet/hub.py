"""
The hub: the one gate that every request passes, on every transport.

An application talks to it in plain Python::

    hub = Hub(MemoryBus(reactor), reactor)
    hub.publish("news", {"headline": "..."}).addCallback(print)
    hub.subscribe(["news", "chat/*"], "now", receiver)

and puts a L{CometResource<comet.web.resources.CometResource>} over it for clients
outside.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import threadable
from twisted.python.failure import Failure

from comet.access.lookups import Lookup, byCredential, identifyClient
from comet.access.rights import Access
from comet.bursts import Bursts
from comet.capacity import UPLOAD_BYTES, PartialCommands, Refusals, Uploads
from comet.clocks import steadyClock
from comet.deferreds import gather
from comet.errors import BadRequest, CometError, TooMany, Unavailable
from comet.fanout.application import ApplicationReader, Subscription, Where, readStartPositions
from comet.fanout.core import Fanout
from comet.fanout.departures import LEAST, SPREAD, Departures, spanFor
from comet.fanout.history import HistoryReader
from comet.fanout.iterator import Messages
from comet.fanout.polls import PollReader, PollShape, Waiter
from comet.fanout.reader import Opener, Reader, openReader
from comet.fanout.receivers import makeReceiver
from comet.fanout.streams import StreamReader
from comet.fanout.unsent import POLL_BYTES
from comet.framing.publications import Limits, fromValue
from comet.http.credentials import Credential, Credentials
from comet.http.origins import Origins
from comet.http.reads import DEFAULT_PAGE, MAX_LIMIT
from comet.interfaces import IAccess, IMessageBus, IPublisherAccess, IReceiver
from comet.metrics import Metrics
from comet.model.channels import parseChannel
from comet.model.clients import Client
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Close, Message, Publication, Published
from comet.model.positions import HistoryPage, StartPositions
from comet.overrides import speaksFor
from comet.threads import checkThread

# How many seconds a reader has, that was sent away last, to take its last words
# before its connection is cut; and then to be closed.
LAST_MOMENT: Final = 1.0

R = TypeVar("R")
S = TypeVar("S", bound=StreamReader)

# After how many seconds a client may ask again that found the server full.
FULL_RETRY: Final = 5.0


@frozen
class Settings:
    """
    What the hub allows.

    @ivar limits: How large a publication may be, and how many names a reader may
        have.

    @ivar heartbeat: After how many seconds of silence a stream is told where
        its reader stands.

    @ivar maxConnections: How many readers there may be at once; 0 for as many
        as the system allows.

    @ivar room: For how many readers the system has room; 0 if there is no limit.

    @ivar uploadBytes: How many bytes the bodies of requests may have that are on
        their way, all together.  Clients that may not publish to every channel
        have a part of them.  As many bytes may have the commands that have half
        come.

    @ivar identifySeconds: For how many seconds a client waits for the access object
        to find out which client it is.
    """

    limits: Limits = field(factory=Limits)
    heartbeat: float = 25.0
    maxConnections: int = 0
    room: int = 0
    uploadBytes: int = UPLOAD_BYTES
    identifySeconds: float = 10.0


class Hub:
    """
    Lets clients publish and read, within their rights and the settings.

    @ivar access: Tells which client has which rights.

    @ivar origins: The web pages and host names that are trusted.

    @ivar settings: The limits.

    @ivar reactor: What the hub was made with.

    @ivar clock: The clock of all timers, which goes on when the time of the
        system is set.

    @ivar bursts: Stores what is published.

    @ivar turns: Those that have input of their clients left.

    @ivar metrics: Counts what passes on each transport.

    @ivar refusals: Counts and logs clients for which there was no room.

    @ivar uploads: Counts the bytes of bodies that are on their way.

    @ivar partialCommands: Counts the bytes of commands that have half come.

    @ivar isStarting: Whether the server has not started yet.

    @ivar isLeaving: Whether the server will drain soon.  It takes everything
        until then, but is not ready.

    @ivar isDraining: Whether the server is going down, and takes no new readers.
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

        @param access: By default only the application itself may publish, and
            every client may read.

        @param origins: By default the server is known by C{localhost} and IP
            addresses only, and its own pages alone are trusted.
        """
        self.bus = bus
        self.reactor = clock
        self.clock = steadyClock(clock)
        self.settings = Settings() if settings is None else settings
        self.access: IAccess = Access() if access is None else access
        self.origins = Origins() if origins is None else origins
        self.fanout = Fanout(bus, self.clock, self.settings.heartbeat)
        self.bursts = Bursts(bus, self.fanout)
        self.turns = self.fanout.turns
        self.metrics = Metrics()
        self.refusals = Refusals(self.fanout.seconds)
        self.uploads = Uploads(self.settings.uploadBytes, self.refusals)
        self.partialCommands = PartialCommands(self.settings.uploadBytes, self.refusals)
        self.isStarting = self.isLeaving = self.isDraining = False
        self._retryWithin = 0.0
        # The access object that was last looked at, and what was found.
        self._seenAccess: IAccess | None = None
        self._clientOf: Callable[[Credential | None], Client] | None = None

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

        @param data: A value that JSON can express, or L{bytes}.

        @param event: The name of the message's event.

        @param key: An idempotency key, which makes it safe to publish again
            after L{Unknown<comet.errors.Unknown>}.

        @return: Fires with the cursor of the message, or of the last one of
            several, once it is stored and was written to the readers.  Fails
            with a L{CometError} if nothing was stored, or with
            L{Unknown<comet.errors.Unknown>} if that cannot be known.

        @raise RuntimeError: If this is not the thread of the reactor; in another
            one, call L{publishFromThread}.
        """
        checkThread("hub.publish")

        def publish() -> Deferred[Sequence[Published]]:
            limits = self.settings.limits
            publication = fromValue(channels, data, limits, event, key, "server")
            answered: Deferred[Sequence[Published]] = Deferred()
            # Now: the application may look into the bus next.
            self.bursts.publish([publication], answered.callback, answered.errback)
            return answered

        return maybeDeferred(publish).addCallback(lambda answers: answers[0].cursor)

    def publishFromThread(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Cursor:
        """
        Publish as L{publish} does, from another thread than that of the reactor,
        and wait until the message is stored.

        @return: The cursor of the message, or of the last one of several.

        @raise CometError: If nothing was stored.

        @raise Unknown: If that cannot be known.

        @raise RuntimeError: If this is the thread of the reactor, which would wait
            for itself.
        """
        if threadable.isInIOThread():
            raise RuntimeError(
                "hub.publishFromThread was called in the thread of the reactor: call hub.publish"
            )
        # A program without threads need not load it.
        from twisted.internet.threads import blockingCallFromThread

        publish: Callable[..., Any] = self.publish
        reactor: Any = self.reactor
        cursor: Cursor = blockingCallFromThread(reactor, publish, channels, data, event, key)
        return cursor

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Where,
        receiver: IReceiver | Callable[[Message], object],
    ) -> Deferred[Subscription]:
        """
        Read channels and patterns, in the server's own name.

        @param since: The start position: C{"now"} or L{None}, C{"earliest"},
            C{"-3"}, a cursor; or a mapping of names to these.

        @param receiver: An L{IReceiver}, or a function that is called with each
            message; what a function is not told is logged.  May be called before this
            returns, if the reader starts at held messages.

        @return: Fires with the subscription once every message that is stored
            will be received.  Fails with a L{CometError}.

        @raise RuntimeError: If this is not the thread of the reactor.

        @raise TypeError: If the receiver is neither an L{IReceiver} nor a function, or
            a coroutine function; see L{messages}.
        """
        checkThread("hub.subscribe")
        receives = makeReceiver(receiver)

        def subscribe() -> Deferred[Subscription]:
            self.bursts.store()
            startPositions = readStartPositions(names, since)
            self._checkDraining()
            reader = ApplicationReader(self.fanout, receives)
            reader.subscription = subscription = Subscription(reader)
            opened = reader.open(startPositions)
            opened.addCallbacks(lambda _: subscription, self._notOpened, errbackArgs=(reader,))
            return opened

        return maybeDeferred(subscribe)

    def messages(self, names: str | Sequence[str], since: Where = None) -> Messages:
        """
        Read channels and patterns in a coroutine, in the server's own name::

            async for message in hub.messages("news"):
                print(message.data)

        @param since: As for L{subscribe}.
        """
        subscribe = partial(self.subscribe, names, since)
        reactor: Any = self.reactor
        later = getattr(reactor, "callFromThread", lambda call: call())
        return Messages(subscribe, later)

    def history(
        self, channel: str, before: str | Cursor | None = None, limit: int = DEFAULT_PAGE
    ) -> Deferred[HistoryPage]:
        """
        Read the newest messages of a channel before a cursor, in the server's own
        name.  To read on into the past, give the cursor of the oldest message of
        one page as C{before} of the next.

        @param before: The cursor; the message that it is of is not read.  L{None}
            for the newest messages.

        @param limit: How many messages to read at most: 1 to L{MAX_LIMIT}.  A page
            has at most a megabyte of data, or one message.

        @return: Fires with the page.  Its messages are in the order of positions;
            C{more} tells whether older ones are held, and C{isGap} whether older
            ones are gone.  Fails with a L{CometError}.

        @raise RuntimeError: If this is not the thread of the reactor.
        """
        checkThread("hub.history")

        def recall() -> Deferred[HistoryPage]:
            if not 1 <= limit <= MAX_LIMIT:
                raise BadRequest(f"limit is {limit}; 1 to {MAX_LIMIT} is allowed")
            cursor = None if before is None else parseCursor(str(before))
            self.bursts.store()
            return self.fanout.history(parseChannel(channel), cursor, limit, POLL_BYTES)

        return maybeDeferred(recall)

    @property
    def filter(self) -> Callable[[Publication], Publication] | None:
        """
        Called with each publication before it is stored, whoever publishes it, on
        every transport: those of clients once their right is checked, and those of
        the application, of the publisher C{"server"}.  It returns what is stored in its
        place: the publication itself, or what L{withData} makes of it; or it raises a
        L{CometError}, which refuses the request as a whole.  It must not take long.

        A publication that is repeated with its key is compared as it is stored.
        """
        return self.bursts.filter

    @filter.setter
    def filter(self, filter: Callable[[Publication], Publication] | None) -> None:
        self.bursts.filter = filter

    def withData(self, publication: Publication, data: Any) -> Publication:
        """
        Return a publication with other data, for L{filter}.

        @raise CometError: If the data are not allowed.
        """
        limits, own = self.settings.limits, publication
        return fromValue(own.channels, data, limits, own.event, own.key, own.publisher)

    # -- For the edges

    def identify(self, credentials: Credentials) -> Client | Lookup:
        """
        Find out which client sends a request.

        @return: The client; or a lookup that is not over, if the access object
            answers later.

        @raise CometError: If the request is refused.
        """
        seconds = self.settings.identifySeconds
        return identifyClient(self.access, credentials, self.fanout.wheel, seconds)

    @property
    def clientOf(self) -> Callable[[Credential | None], Client] | None:
        """
        Tells which client has a credential, if the access object needs nothing else
        of a request; L{None} if it needs more: then call L{identify}.
        """
        if self.access is not self._seenAccess:
            self._seenAccess, self._clientOf = self.access, byCredential(self.access)
        return self._clientOf

    def store(
        self, client: Client, publications: Sequence[Publication], isAwaited: bool = False
    ) -> Deferred[Sequence[Published]]:
        """
        Publish for a client: all publications or none.  A caller that has called
        L{checkPublish} may add them to L{bursts} instead.

        @param isAwaited: Whether the client can publish nothing more in this turn
            before this is answered: then it is stored at once, behind what was
            published before.

        @return: Fires with what became of each publication, in their order,
            once all are stored and were written to the readers.  Fails with a
            L{CometError}.
        """
        try:
            for publication in publications:
                self.checkPublish(client, publication.channels)
        except CometError:
            return _failed()
        answered: Deferred[Sequence[Published]] = Deferred()
        store = self.bursts.publish if isAwaited else self.bursts.add
        store(publications, answered.callback, answered.errback)
        return answered

    def forget(self, client: Client, channels: Sequence[str]) -> Deferred[None]:
        """
        Delete the messages of some channels, for a client.

        @return: Fires once they are deleted.  Fails with a L{CometError}.
        """

        def forget() -> Deferred[Any]:
            self.bursts.store()
            for channel in channels:
                self.access.checkDelete(client, channel)
            forgotten = [self.bus.forget(channel) for channel in channels]
            return gather(forgotten)

        return maybeDeferred(forget).addCallback(lambda _: None)

    def checkPublish(self, client: Client, channels: Sequence[str]) -> None:
        """
        Check that a client may publish to these channels.

        @raise CometError: If it may not.
        """
        for channel in channels:
            self.access.checkPublish(client, channel)

    def checkPublisher(self, client: Client) -> None:
        """
        Check that there may be a channel to which this client may publish, before
        anything that it publishes is read.  An access that does not know lets
        every client pass.

        @raise CometError: If there is none.
        """
        access = self.access
        if IPublisherAccess.providedBy(access) and speaksFor(
            type(access), "checkPublisher", "checkPublish"
        ):
            access.checkPublisher(client)

    def check(self, client: Client, names: Sequence[str], held: int = 0) -> None:
        """
        Check that a client may read these names, and that they are not too many
        for one reader.

        @param held: How many names the reader has already.

        @raise CometError: If one of that is not so.
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
        Check that there may be one more reader.

        @raise CometError: If not; it tells the client when to come again.
        """
        if self.isDraining:
            self._checkDraining()
        most = self.settings.maxConnections
        if most and len(self.fanout.readers) >= most:
            self.refusals.add(f"there are {most} readers and sockets, as --max-connections allows")
            raise TooMany(f"there are {most} readers and sockets, which is all there may be")
        room = self.settings.room
        if room and len(self.fanout.readers) >= room:
            self.refusals.add(f"there are {room} readers, for which the open files are enough")
            raise self.full()

    def full(self) -> Unavailable:
        """
        Return the error for a client for which the process has no open file left.
        """
        return Unavailable("the server is full", FULL_RETRY)

    def openStream(
        self,
        client: Client,
        names: Sequence[str],
        since: StartPositions,
        makeReader: Callable[[], S],
        opener: Opener = openReader,
    ) -> S:
        """
        Open a stream for a client.  A later failure is told in the stream, and
        ends it.

        @param names: Channels and patterns; may be empty for a stream that adds
            names later.

        @param makeReader: Makes a reader on L{fanout}.  Called once, after all
            checks.

        @param opener: Opens the reader.  A caller that makes many readers of
            the same names in the same shape may give the C{open} of a
            L{JoinPoint<comet.fanout.joinpoint.JoinPoint>}.

        @raise CometError: If the client may not read; no reader was made.
        """
        self.check(client, names)
        self.admit()
        self.bursts.store()
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
        Open a poll for a client.

        @param waiter: Is answered once, perhaps before this returns.

        @param wait: For how many seconds the poll may wait for a message; 0 if
            it must be answered at once.

        @param opener: As for L{openStream}.

        @raise CometError: If the client may not read; the waiter was not called.
        """
        self.check(client, names)
        if wait:
            self.admit()
        else:
            self._checkDraining()
        self.bursts.store()
        reader = PollReader(self.fanout, shape, waiter, wait)
        opener(reader, names, since)
        return reader

    def openHistory(
        self,
        client: Client,
        names: Sequence[str],
        before: Cursor,
        shape: PollShape[R],
        waiter: Waiter[R],
    ) -> PollReader[R]:
        """
        Open a poll for a client that reads before a cursor.

        @param names: One channel.

        @param waiter: Is answered once, perhaps before this returns.

        @raise CometError: If the client may not read; the waiter was not called.
        """
        self.check(client, names)
        self._checkDraining()
        self.bursts.store()
        reader = HistoryReader(self.fanout, shape, waiter)
        reader.recall(names[0], before)
        return reader

    def _notOpened(self, failure: Failure, reader: Reader) -> Failure:
        reader.ended()
        return failure

    # -- Readiness and draining

    @property
    def isReady(self) -> bool:
        """
        Whether a load balancer should send clients here.
        """
        return not self.whyNotReady

    @property
    def whyNotReady(self) -> str:
        """
        What keeps the server from taking clients: C{draining}, C{starting}, or
        C{bus} where the bus is not available.  Empty if nothing does.
        """
        if self.isLeaving or self.isDraining:
            return "draining"
        if self.isStarting:
            return "starting"
        return "" if self.bus.isAvailable else "bus"

    @property
    def end(self) -> Cursor:
        """
        The log end, as a cursor.

        @raise Unavailable: If it is not known yet, as before the bus has started.
        """
        self.bursts.store()
        end = self.bus.end
        if not end.epoch:
            raise Unavailable("the bus has not started")
        return end

    def _checkDraining(self) -> None:
        if self.isDraining:
            raise self._draining()

    def _draining(self) -> Unavailable:
        return Unavailable("the server is going down", self._retry())

    def _retry(self) -> float:
        """
        A random delay, in seconds, within the time that the server takes to
        stop: clients that reconnect do not all come at once.
        """
        return round(random.uniform(LEAST, max(self._retryWithin, LEAST)), 3)

    def drain(self, seconds: float, isShared: bool = False) -> Deferred[None]:
        """
        Take no new readers, and close all that there are.  Their clients do not
        all come back at once: they are spread over C{seconds}, or a second for
        each thousand of them, if that is less.

        Publications are still taken, until the bus is stopped.

        @param seconds: The longest time over which clients are spread, and how
            long to wait for publications under way.

        @param isShared: Whether other servers on the same bus take the clients.
            Each reader is closed at its own moment then, and its client comes
            back at once.  Otherwise all are closed now, and the clients told to
            come back at their moments.

        @return: Fires when all connections of closed readers are closed and all
            publications are answered, or the time is over.
        """
        self.isDraining = self.fanout.isDraining = True
        readers = list(self.fanout.readers)
        span = spanFor(len(readers), seconds)
        self._retryWithin = LEAST if isShared else span
        closed: Deferred[None] = succeed(None)
        if isShared and span <= seconds:
            closed = Departures(readers, self._dismiss, span * SPREAD, self.clock).start()
        else:
            for reader in readers:
                self._dismiss(reader)
        closed.addCallback(lambda _: self.fanout.whenDrained())
        done = gather([closed, self.bursts.whenAnswered()])
        done.addTimeout(seconds, self.clock, onTimeoutCancel=lambda result, timeout: None)
        return done.addCallback(lambda _: None)

    def _dismiss(self, reader: Any) -> None:
        reader.close(Close("draining", "the server is going down", self._retry()))

    def stop(self) -> Deferred[None]:
        """
        Stop the bus, and keep nothing for clients.  Call it when the hub is
        drained.

        @return: Fires when neither a timer nor a connection of a reader is left.
        """
        self.isDraining = self.fanout.isDraining = True
        for reader in list(self.fanout.readers):
            self._dismiss(reader)
        stopped = self._within(LAST_MOMENT, self.fanout.whenDrained())
        stopped.addCallback(lambda _: self.fanout.cut())
        # A sink of an application's own may never report that it is lost.
        stopped.addCallback(lambda _: self._within(LAST_MOMENT, self.fanout.whenDrained()))
        stopped.addCallback(lambda _: self.fanout.stop())
        return stopped.addCallback(lambda _: self.bus.stop())

    def _within(self, seconds: float, done: Deferred[None]) -> Deferred[None]:
        """
        Wait for something no longer than some seconds.
        """
        return done.addTimeout(seconds, self.clock, onTimeoutCancel=lambda result, timeout: None)


def _failed() -> Deferred[Any]:
    """
    @return: A Deferred that has failed with the error being handled.
    """
    failed: Deferred[Any] = Deferred()
    failed.errback()
    return failed
