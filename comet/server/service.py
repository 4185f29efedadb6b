"""
The server as a Twisted service: it starts bus and ports together, and drains
the clients before it stops.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.application.service import Service
from twisted.internet.defer import (
    Deferred,
    DeferredList,
    inlineCallbacks,
    maybeDeferred,
)
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.hub.hub import Hub
from comet.logging.clientlog import TELLING_SECONDS, tellLeftOut
from comet.reactor.deferreds import gather
from comet.server.describedendpoints import makeEndpoint
from comet.server.lateness import LatenessService
from comet.server.ports import Ports
from comet.server.startfailure import CannotStart, cannotStart
from comet.server.statistics import StatisticsService
from comet.web.site import CometSite

# How often it is looked whether requests are under way, in seconds.
STEP: Final = 0.05


class CometService(Service):
    """
    Serve a hub at some endpoints::

        service = CometService(hub, [("tcp:8080", CometSite(CometResource(hub), 65536))])

    A service is started once and stopped once: a drained hub accepts no
    client again.

    @ivar portsClosed: Fires when all ports are closed.
    """

    name = "comet"
    _log = Logger()

    def __init__(
        self,
        hub: Hub,
        served: Sequence[tuple[str | IStreamServerEndpoint, IProtocolFactory]],
        drain: float = 10.0,
        listening: Callable[[CometService], None] = lambda service: None,
        failed: Callable[[CannotStart], None] = lambda error: None,
        notice: float = 0.0,
        isShared: bool = False,
        ended: Callable[[float], Deferred[Any] | None] = lambda left: None,
    ) -> None:
        """
        @param served: The endpoints, each with the factory that is served
            there.  An endpoint may be given by its description, such as
            C{tcp:8080}; the hub's clock has to be a reactor then.  With no
            endpoints the service starts the bus and drains the hub, and
            something else listens.

        @param drain: The time, in seconds, over which clients are spread at most
            when the service stops; and how long the service waits for requests
            under way.

        @param listening: Called once, with this service, when all endpoints
            accept connections.

        @param failed: Called if the start fails after C{startService} has
            returned.  The error is logged already.

        @param notice: For how many seconds the hub is not ready before the
            service begins to drain.

        @param isShared: As for L{Hub.drain}.

        @param ended: Called once the hub has stopped and all connections are cut, with how
            many seconds are left of C{drain}.  What it returns is waited for.

        @raise ValueError: If a description is not that of an endpoint.
        """
        self.hub = hub
        self._ports = Ports(
            [
                (makeEndpoint(hub.reactor, each) if isinstance(each, str) else each, factory)
                for each, factory in served
            ]
        )
        self._drain = drain
        self._notice = notice
        self._isShared = isShared
        self.hub.isStarting = True
        self.portsClosed: Deferred[Any] = Deferred()
        self._listening = listening
        self._failed = failed
        self._ended = ended
        self._statistics = StatisticsService(hub, hub.clock)
        self._telling = TimerService(TELLING_SECONDS, tellLeftOut)
        self._telling.clock = hub.clock
        self._lateness = LatenessService(hub.clock, hub.tally.lateness)
        self._started: Deferred[Any] | None = None
        self._isBusReady = False
        self._isStopped = False

    def configure(self, drain: float, notice: float) -> None:
        """
        Set other times for the end, as the service is made with.
        """
        self._drain, self._notice = drain, notice

    @property
    def ports(self) -> list[IListeningPort]:
        """
        The open ports, in the order of the endpoints; empty unless the service
        runs.
        """
        return self._ports.open

    def privilegedStartService(self) -> None:
        """
        Start the bus and bind the ports, while the process still has the
        privilege to bind any.  No connection is accepted before the bus is
        ready.

        @raise CannotStart: If the start fails at once.
        """
        super().privilegedStartService()
        self._start()

    def startService(self) -> None:
        """
        Start, unless L{privilegedStartService} has done so.

        @raise CannotStart: If the start fails at once.
        """
        super().startService()
        self._start()

    def _start(self) -> None:
        if self._started is not None:
            return
        failures: list[Failure] = []
        self._started = started = self._begin()
        started.addErrback(failures.append)
        if failures:
            raise cannotStart(failures[0])
        started.addCallback(lambda _: self._reportFailures(failures))

    def _begin(self) -> Deferred[Any]:
        """
        Start the bus and bind all ports, at the same time, and accept
        connections when both are done.

        @return: Fires when connections are accepted.  Fails with the first
            failure.
        """
        bus: Deferred[Any] = maybeDeferred(self.hub.bus.start).addCallback(self._busStarted)
        if bus.called and isinstance(bus.result, Failure):
            return bus

        bound = self._ports.bind(not self._isBusReady)
        both: Deferred[Any] = gather([bus, bound])
        return both.addCallbacks(self._accept, self._undoBoth, errbackArgs=(bus, bound))

    def _busStarted(self, result: object) -> Deferred[None]:
        self._isBusReady = True
        self.hub.control.start()
        if self.hub.events is not None:
            self.hub.events.start()
        # The first clients must not be told that it is not known what is revoked.
        return self.hub.control.whenLoaded().addCallback(self._isReady)

    def _isReady(self, result: object) -> None:
        self.hub.isStarting = False

    def _undoBoth(self, failure: Failure, *both: Deferred[Any]) -> Failure:
        for each in both:
            each.cancel()
        self._ports.close()
        return failure

    def _accept(self, result: object) -> Deferred[Any] | None:
        if self._isStopped:
            self._ports.close()
            return None
        return self._ports.accept().addCallback(self._serve)

    def _serve(self, result: object) -> None:
        if self._isStopped:
            self._ports.close()
            return
        self._statistics.startService()
        self._telling.startService()
        self._lateness.startService()
        self._listening(self)

    def _reportFailures(self, failures: Sequence[Failure]) -> None:
        # After a stop it is no news that the start was cancelled.
        if failures and not self._isStopped:
            error = cannotStart(failures[0])
            self._log.critical("comet cannot start: {error}", error=error)
            self._failed(error)

    def stopService(self) -> Deferred[Any]:
        """
        Tell load balancers, accept no more connections, send the clients away,
        finish the requests under way, and stop the bus.

        @return: Fires when that is done.  What is not done when the time to
            drain is over is cut: no connection, timer or thread is left.
        """
        super().stopService()
        if self._notice and self.ports:
            self.hub.isLeaving = True
            noticed: Deferred[Any] = deferLater(self.hub.clock, self._notice)
            return noticed.addCallback(lambda _: self._stop())
        return self._stop()

    def _stop(self) -> Deferred[Any]:
        self._isStopped = True
        ends = self.hub.clock.seconds() + self._drain
        if self._statistics.running:
            self._statistics.stopService()
            self._telling.stopService()
            self._lateness.stopService()
            tellLeftOut()
        if self._started is not None:
            # It does nothing if the start is over.
            self._started.cancel()
        # The hub drains before the ports close: a client that connects in
        # between is told to come back.
        drained = self.hub.drain(self._drain, self._isShared)
        drained.addErrback(self._logFailure)
        ports = list(self.ports)
        closed = self._ports.close()
        closed.chainDeferred(self.portsClosed)
        sites = self._finishRequests(ports)
        sites.addTimeout(self._drain, self.hub.clock, onTimeoutCancel=lambda result, timeout: None)
        done: Deferred[Any] = DeferredList([drained, sites, closed])
        done.addCallback(lambda _: self.hub.stop())
        # Before the end is waited for: what serves a client that is too slow ends with it.
        done.addCallback(lambda _: self._cutConnections())
        return done.addCallback(lambda _: self._ended(max(ends - self.hub.clock.seconds(), 0.0)))

    def _cutConnections(self) -> Deferred[None] | None:
        """
        Close the connections whose clients were told to go, and have not gone.

        @return: Fires when they are closed.
        """
        if not self._ports.cutConnections():
            return None
        # The reactor closes them in its next turn.
        return deferLater(self.hub.clock, 0)

    @property
    def _sites(self) -> set[CometSite]:
        return {factory for _, factory in self._ports.served if isinstance(factory, CometSite)}

    @inlineCallbacks
    def _finishRequests(self, ports: Sequence[IListeningPort]) -> Generator[Any, Any, None]:
        """
        Drain the sites, and wait until no request of HTTP/1 is under way.

        @param ports: The ports, which are closed.  Those of the lean edge know
            their connections.
        """
        yield gather([site.drain() for site in self._sites])
        while any(getattr(each, "isBusy", False) for each in (*self._sites, *ports)):
            yield deferLater(self.hub.clock, STEP)

    def _logFailure(self, failure: Failure) -> None:
        self._log.failure("the hub could not be drained", failure)
