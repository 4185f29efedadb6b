"""
The readers of clients: how many there may be, whose they are, and what ends with them.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from comet.access.leases import Leases
from comet.access.rights import Access
from comet.control.audience import Audience
from comet.control.control import Control
from comet.errors import (
    TooMany,
    Unavailable,
)
from comet.fanout.application import Subscription
from comet.fanout.core import Fanout
from comet.fanout.departures import LEAST
from comet.fanout.history import HistoryReader
from comet.fanout.polls import PollReader
from comet.fanout.reader import Opener, Reader, openReader
from comet.fanout.spared import SparedReaders
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.fanout.waiters import PollShape, Waiter
from comet.hooks.subscribehook import NO_STARTS, ReadLookup, SubscribeHook
from comet.hub.bursts import Bursts
from comet.hub.gate import Gate
from comet.hub.hubsettings import Settings
from comet.interfaces.access import IAccess
from comet.interfaces.messagebus import IMessageBus
from comet.limits.capacity import Refusals
from comet.limits.clientlimits import NOWHERE, ClientLimits, Peer
from comet.logging.accesslog import AccessLog
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.model.positions import StartPosition, StartPositions
from comet.reactor.clocks import steadyClock

R = TypeVar("R")
S = TypeVar("S", bound=StreamReader)

# By how many seconds a poll may last longer than it is to wait, at most.
WHEEL_LATE: Final = 1.0

# After how many seconds a client may ask again that found the server full.
FULL_RETRY: Final = 5.0


class Readership(Gate):
    """
    Opens readers for clients, and follows them until they are closed.

    @ivar reactor: What the hub was made with.

    @ivar clock: The clock of all timers, which goes on when the time of the
        system is set.

    @ivar bursts: Stores what is published.

    @ivar clientLimits: Applies the limits of one client.

    @ivar control: Gives orders to all nodes, and obeys theirs.  L{CometService
        <comet.server.service.CometService>} starts it; who starts the bus without that
        calls its C{start} then.

    @ivar subscribeHook: Asks about reading; L{None} where no name is asked about.

    @ivar refusals: Counts and logs clients for which there was no room.

    @ivar accessLog: Is told of requests and readers; L{None} if none is kept.

    @ivar isDraining: Whether the server is going down, and takes no new readers.
    """

    def __init__(
        self,
        bus: IMessageBus,
        clock: IReactorTime,
        settings: Settings,
        access: IAccess | None,
        subscribe: Callable[..., Deferred[Subscription]],
    ) -> None:
        """
        @param subscribe: See L{Hub.subscribe<comet.hub.inprocess.InProcess.subscribe>}.
        """
        self.bus = bus
        self.reactor = clock
        self.clock = steadyClock(clock)
        self.fanout = Fanout(bus, self.clock, settings.heartbeat)
        self.bursts = Bursts(bus, self.fanout)
        # The time of day: a credential says when it ends.
        leases = Leases(
            self.fanout.wheel,
            time.time,
            lambda: self.access,
            self.clientChanged,
            self.checkRead,
        )
        self._audience = Audience(self.fanout)
        self.control = Control(bus, self._audience, leases, subscribe, self.clock)
        super().__init__(
            access,
            settings,
            leases,
            self.control.revocations,
            self.control.askedAnew,
            self.fanout.wheel,
        )
        self.clientLimits = ClientLimits(settings.clients, self.fanout.seconds)
        self.refusals = Refusals(self.fanout.seconds)
        self.accessLog: AccessLog | None = None
        self.subscribeHook: SubscribeHook | None = None
        self._spared = SparedReaders()
        self.isDraining = False
        self._retryWithin = 0.0

    def askToRead(
        self, client: Client, names: Sequence[str], held: int = 0, peer: Peer = NOWHERE
    ) -> Mapping[str, StartPosition] | ReadLookup:
        """
        Find out whether a client may read some names: L{check<comet.hub.gate.Gate.check>}
        them, and ask about those that have to be asked about.  A caller calls this only
        where there is a L{subscribeHook}, and before it opens a reader.

        @param peer: Where the client is.

        @return: Where some of them begin unless the client has said so; or a lookup that is
            not over.

        @raise CometError: If it may not.
        """
        self.check(client, names, held)
        hook = self.subscribeHook
        return NO_STARTS if hook is None else hook.ask(client, names, peer)

    def admit(self) -> None:
        """
        Check that there may be one more reader.

        @raise CometError: If not; it tells the client when to come again.
        """
        if self.isDraining:
            self._checkDraining()
        most, room = self.settings.maxConnections, self.settings.room
        if not (most or room):
            return
        readers = len(self.fanout.readers) - self.control.isFollowing
        if most and readers >= most:
            self.refusals.add(f"there are {most} readers and sockets, as --max-connections allows")
            raise TooMany(f"there are {most} readers and sockets, which is all there may be")
        if room and readers >= room:
            self.refusals.add(f"there are {room} readers, for which the open files are enough")
            raise self.full()

    @property
    def mostReaders(self) -> float:
        """
        How many readers there may be in L{Fanout.readers<comet.fanout.core.Fanout.readers>};
        infinity if there is no limit.
        """
        most, room = self.settings.maxConnections, self.settings.room
        return min(most or math.inf, room or math.inf) + self.control.isFollowing

    def mayRepeat(self, client: Client, wait: float) -> bool:
        """
        Tell whether what L{openPoll} has checked for a client holds for the rest of this
        turn, for all requests that are the same: except for the number of readers.

        @param wait: As for L{openPoll}.
        """
        access = self.access
        return (
            type(access) is Access
            and access.settings.hook is None
            and self.subscribeHook is None
            and self._revoked.isQuiet
            and not (self.isDraining or self.clientLimits.isCountingReaders)
            and (client.until is None or self.secondsLeft(client) >= wait + WHEEL_LATE)
        )

    def _admitClient(self, client: Client, peer: Peer) -> str | None:
        """
        Check that a client may have one more reader, where that is limited.

        @return: What to give to L{_count}.

        @raise TooMany: If it may not.
        """
        try:
            return self.clientLimits.checkReader(client, peer)
        except TooMany:
            self.refusals.add("a client has all readers and sockets that one may have")
            raise

    def _count(self, reader: Reader, client: Client, place: str | None) -> None:
        """
        Count a reader for its client, until it is closed.
        """
        if place is not None and reader.state is not State.CLOSED:
            limits = self.clientLimits
            limits.addReader(reader, client, place)
            self.fanout.readerEnded = self._readerEnded

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
        peer: Peer = NOWHERE,
        readerID: str | None = None,
        connection: object | None = None,
        transport: str = "",
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

        @param peer: Where the client is.

        @param readerID: See L{spareReader}.

        @param connection: See L{Reader.connection<comet.fanout.reader.Reader.connection>}.

        @param transport: The name of the transport, for the access log.

        @raise CometError: If the client may not read; no reader was made.
        """
        if client.until is not None:
            # It may have waited for the hooks.
            self.checkKnown(client)
        self.check(client, names)
        self.admit()
        isCounted = self.clientLimits.isCountingReaders
        place = self._admitClient(client, peer) if isCounted else None
        self.bursts.store()
        # The peer may hand its socket over to the reader.
        address = "" if self.accessLog is None else peer.address
        reader = makeReader()
        reader.client = client
        reader.connection = connection
        if self.accessLog is not None:
            self._logReader(self.accessLog, reader, address, transport)
        if isCounted:
            self._count(reader, client, place)
        if client.until is not None:
            self._lease(reader, client)
        if readerID is not None:
            self.spareReader(reader, readerID)
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
        peer: Peer = NOWHERE,
        readerID: str | None = None,
        connection: object | None = None,
        answered: PollReader[R] | None = None,
    ) -> PollReader[R]:
        """
        Open a poll for a client.

        @param waiter: Is answered once, perhaps before this returns.

        @param wait: For how many seconds the poll may wait for a message; 0 if
            it must be answered at once.

        @param opener: As for L{openStream}.

        @param peer: Where the client is.

        @param readerID: See L{spareReader}.

        @param connection: See L{Reader.connection<comet.fanout.reader.Reader.connection>}.

        @param answered: The reader of a poll that L{DirectWaiter.pollsSent} has ended, of
            the same waiter in the same shape for the same time: it is opened again.

        @raise CometError: If the client may not read; the waiter was not called.
        """
        left = math.inf if client.until is None else self.secondsLeft(client)
        self.check(client, names)
        isCounted = wait and self.clientLimits.isCountingReaders
        if wait:
            self.admit()
        else:
            self._checkDraining()
        place = self._admitClient(client, peer) if isCounted else None
        if self.bursts.added:
            self.bursts.store()
        if answered is None:
            reader = PollReader(self.fanout, shape, waiter, wait)
        else:
            reader = answered
            reader.state = State.OPENING
        reader.client = client
        reader.connection = connection
        if isCounted:
            self._count(reader, client, place)
        # Most polls are over before, and need no second timer.  Whom the backend knows may
        # finish the poll: the next one asks.
        if wait and left < wait + WHEEL_LATE:
            self._lease(reader, client)
        if readerID is not None:
            self.spareReader(reader, readerID)
        opener(reader, names, since)
        return reader

    def openHistory(
        self,
        client: Client,
        names: Sequence[str],
        before: Cursor,
        shape: PollShape[R],
        waiter: Waiter[R],
        connection: object | None = None,
    ) -> PollReader[R]:
        """
        Open a poll for a client that reads before a cursor.

        @param names: One channel.

        @param waiter: Is answered once, perhaps before this returns.

        @param connection: See L{Reader.connection<comet.fanout.reader.Reader.connection>}.

        @raise CometError: If the client may not read; the waiter was not called.
        """
        self.checkKnown(client)
        self.check(client, names)
        self._checkDraining()
        self.bursts.store()
        reader = HistoryReader(self.fanout, shape, waiter)
        reader.connection = connection
        reader.recall(names[0], before)
        return reader

    def _lease(self, reader: Reader, client: Client) -> None:
        """
        Let a reader last no longer than its client is known.
        """
        if reader.state is State.CLOSED:
            return
        self.fanout.readerEnded = self._readerEnded
        self.leases.begin(reader, client)

    def spareReader(self, reader: Reader, id: str) -> None:
        """
        Let a reader be spared the messages that exclude an id, which its client has given
        it, from now on.

        @param id: A checked id, in the place of the one that the reader may have.
        """
        if reader.state is not State.CLOSED:
            self.fanout.readerEnded = self._readerEnded
            self.fanout.spare = self._spared.spare
            self._spared.add(reader, id)

    def clientChanged(self, reader: Reader, client: Client) -> None:
        """
        A reader is another client's from now on.

        @raise TooMany: If that client may not have one more; nothing is changed.
        """
        self._revoked.admit(client)
        self.clientLimits.clientChanged(reader, client)
        reader.client = client
        if client.until is None:
            self.leases.end(reader)
        else:
            self._lease(reader, client)

    def _logReader(self, log: AccessLog, reader: Reader, address: str, transport: str) -> None:
        if reader.state is not State.CLOSED:
            self.fanout.readerEnded = self._readerEnded
            log.readerBegun(reader, address, transport)

    def _readerEnded(self, reader: Reader) -> None:
        if self.accessLog is not None:
            self.accessLog.readerEnded(reader)
        self._spared.remove(reader)
        self.clientLimits.connections.remove(reader)
        self.leases.end(reader)

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
