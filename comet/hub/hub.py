"""
The hub: the one gate that every request passes, on every transport.  It is built up in
layers, one idea in each: who sends a request and what it may do (L{comet.hub.gate}), its
readers (L{comet.hub.readership}), members and events (L{comet.hub.membership}), what the
hooks say (L{comet.hub.hooked}), what clients publish (L{comet.hub.publishers}); what the
application publishes and reads (L{comet.hub.inprocess}), and what it orders
(L{comet.hub.clientorders}).  Here is what they share, and the end.

An application talks to it in plain Python::

    hub = Hub(MemoryBus(reactor), reactor)
    hub.publish("news", {"headline": "..."}).addCallback(print)
    hub.subscribe(["news", "chat/*"], "now", receiver)

and puts a L{CometResource<comet.web.resources.CometResource>} over it for clients
outside.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from comet.errors import (
    Unavailable,
)
from comet.fanout.departures import LEAST, SPREAD, Departures, spanFor
from comet.http.forwarded import Proxies
from comet.http.origins import Origins
from comet.hub.clientorders import ClientOrders
from comet.hub.hubsettings import Settings
from comet.hub.siblings import Siblings
from comet.interfaces.access import IAccess
from comet.interfaces.messagebus import IMessageBus
from comet.limits.capacity import PartialCommands, Uploads
from comet.metrics.traffic import Metrics
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.nodes.asking import Nodes
from comet.nodes.figures import figuresOf
from comet.reactor.deferreds import gather

# How many seconds a reader has, that was sent away last, to take its last words
# before its connection is cut; and then to be closed.
LAST_MOMENT: Final = 1.0

# Why a server takes no clients: see L{Hub.whyNotReady}.
REASONS: Final = ("draining", "starting", "bus", "revocations")


class Hub(ClientOrders):
    """
    Lets clients publish and read, within their rights and the settings.

    @ivar origins: The web pages and host names that are trusted.

    @ivar proxies: The proxies that are trusted; L{None} if there is none.

    @ivar turns: Those that have input of their clients left.

    @ivar metrics: Counts what passes on each transport.

    @ivar tally: Counts messages and readers, and how long things take.

    @ivar nodes: Asks all nodes what an admin wants to see, and answers the others.

    @ivar uploads: Counts the bytes of bodies that are on their way.

    @ivar partialCommands: Counts the bytes of commands that have half come.

    @ivar siblings: The other workers of the server; L{None} where there are none.

    @ivar isStarting: Whether the server has not started yet.

    @ivar isLeaving: Whether the server will drain soon.  It takes everything
        until then, but is not ready.
    """

    def __init__(
        self,
        bus: IMessageBus,
        clock: IReactorTime,
        settings: Settings | None = None,
        access: IAccess | None = None,
        origins: Origins | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        """
        @param clock: The reactor.

        @param access: By default only the application itself may publish, and
            every client may read.

        @param origins: By default the server is known by C{localhost} and IP
            addresses only, and its own pages alone are trusted.

        @param proxies: By default what proxies tell is not believed.
        """
        super().__init__(
            bus, clock, Settings() if settings is None else settings, access, self.subscribe
        )
        self.origins = Origins() if origins is None else origins
        self.proxies = proxies
        self.turns = self.fanout.turns
        self.metrics = Metrics()
        self.tally = self.fanout.tally
        self.nodes = Nodes(
            bus,
            self.control,
            self.fanout,
            self.subscribe,
            self.clock,
            lambda: figuresOf(self.fanout, self.metrics, self.whyNotReady),
        )
        self.uploads = Uploads(self.settings.uploadBytes, self.refusals)
        self.partialCommands = PartialCommands(self.settings.uploadBytes, self.refusals)
        self.siblings: Siblings | None = None
        self.isStarting = self.isLeaving = False

    def configure(self, settings: Settings) -> None:
        """
        Go by other settings from now on.  What is under way goes on as it began;
        readers that are open take the new heartbeat after the next one.
        """
        self.settings = settings
        self.fanout.heartbeat = settings.heartbeat
        self.uploads.most = self.partialCommands.most = settings.uploadBytes
        self.clientLimits.configure(settings.clients)

    @property
    def isReady(self) -> bool:
        """
        Whether a load balancer should send clients here.
        """
        return not self.whyNotReady

    @property
    def whyNotReady(self) -> str:
        """
        What keeps the server from taking clients, one of L{REASONS}: C{draining},
        C{starting}, C{bus} where the bus is not available, or C{revocations} where it is
        not known what is revoked, so that no token is taken.  Empty if nothing does.
        """
        if self.isLeaving or self.isDraining:
            return "draining"
        if self.isStarting:
            return "starting"
        if not self.bus.isAvailable:
            return "bus"
        return "" if self.control.revocations.isLoaded else "revocations"

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
        closed.addCallback(lambda _: self.fanout.leaving.whenDrained())
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
        self.control.stop()
        self._audience.stop()
        if self.attendance is not None:
            self.attendance.stop()
        for reader in list(self.fanout.readers):
            self._dismiss(reader)
        stopped = self._within(LAST_MOMENT, self.fanout.leaving.whenDrained())
        stopped.addCallback(lambda _: self.fanout.leaving.cut())
        # A sink of an application's own may never report that it is lost.
        stopped.addCallback(lambda _: self._within(LAST_MOMENT, self.fanout.leaving.whenDrained()))
        stopped.addCallback(lambda _: self.fanout.stop())
        if self.events is not None:
            stopped.addCallback(lambda _: self.events and self.events.stop())
        return stopped.addCallback(lambda _: self.bus.stop())

    def _within(self, seconds: float, done: Deferred[None]) -> Deferred[None]:
        """
        Wait for something no longer than some seconds.
        """
        return done.addTimeout(seconds, self.clock, onTimeoutCancel=lambda result, timeout: None)
