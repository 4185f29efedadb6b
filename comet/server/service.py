"""
The server as a service: bus, hub and endpoints, started together, and brought
down without hurry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import (
    Deferred,
    DeferredList,
    FirstError,
    gatherResults,
    maybeDeferred,
)
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.hub import Hub
from comet.server.listening import CannotStart, Listener, Ports, cannotStart
from comet.server.statistics import StatisticsService
from comet.web.site import CometSite


class CometService(Service):
    """
    Serves a hub.  It is started once, and stopped once: a hub that was drained
    takes nobody any more.

    @ivar hub: The hub.
    """

    name = "comet"
    _log = Logger()

    def __init__(
        self,
        hub: Hub,
        listeners: Sequence[Listener],
        drain: float = 10.0,
        listening: Callable[[CometService], None] = lambda service: None,
        failed: Callable[[CannotStart], None] = lambda error: None,
    ) -> None:
        """
        @param drain: Within how many seconds clients are told to come back
            when the service is stopped.

        @param listening: Called when all listeners listen.

        @param failed: Called when it turns out, after the service was started
            and before it listens, that it cannot be; that is logged already.
        """
        self.hub = hub
        self._ports = Ports(listeners)
        self._drain = drain
        self._listening = listening
        self._failed = failed
        self._statistics = StatisticsService(hub, hub.clock)
        self._started: Deferred[Any] | None = None
        self._isBusReady = False
        self._isStopped = False

    @property
    def ports(self) -> list[IListeningPort]:
        """
        What is listened on, in the order of the listeners, while the service
        runs.
        """
        return self._ports.open

    def privilegedStartService(self) -> None:
        """
        Start the bus and listen, while the process may still listen on any
        port.  Nobody is accepted before the bus is ready.

        @raise CannotStart: If it is known at once that it cannot be.
        """
        super().privilegedStartService()
        self._start()

    def startService(self) -> None:
        """
        Start, if that was not done before.

        @raise CannotStart: If it is known at once that it cannot be.
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
        Start the bus, and listen on everything at once, while that is allowed;
        but accept nobody before the bus is ready.

        @return: Fires when both are done; fails with what failed first.
        """
        bus: Deferred[Any] = maybeDeferred(self.hub.bus.start).addCallback(self._busStarted)
        if bus.called and isinstance(bus.result, Failure):
            return bus

        bound = self._ports.bind(not self._isBusReady)
        both: Deferred[Any] = gatherResults([bus, bound], consumeErrors=True)
        return both.addCallbacks(self._accept, self._notBoth, errbackArgs=(bus, bound))

    def _busStarted(self, result: object) -> None:
        self._isBusReady = True

    def _notBoth(self, failure: Failure, *both: Deferred[Any]) -> Failure:
        for each in both:
            each.cancel()
        self._ports.close()
        first = failure.value
        return first.subFailure if isinstance(first, FirstError) else failure

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
        self._listening(self)

    def _reportFailures(self, failures: Sequence[Failure]) -> None:
        # Who has stopped it does not wait for it to start.
        if failures and not self._isStopped:
            error = cannotStart(failures[0])
            self._log.critical("comet cannot start: {error}", error=error)
            self._failed(error)

    def stopService(self) -> Deferred[Any]:
        """
        Accept no more, send everyone away, finish what is under way.

        @return: Fires when that is done, or the time for it is over.
        """
        super().stopService()
        self._isStopped = True
        if self._statistics.running:
            self._statistics.stopService()
        if self._started is not None:
            # If it is still starting.
            self._started.cancel()
        # Not ready before the ports are closed: who comes in between is told.
        drained = self.hub.drain(self._drain)
        drained.addErrback(self._logFailure)
        done: Deferred[Any] = DeferredList([drained, self._drainSites(), self._ports.close()])
        return done.addCallback(lambda _: self.hub.bus.stop())

    def _drainSites(self) -> Deferred[Any]:
        sites = {
            each.factory for each in self._ports.listeners if isinstance(each.factory, CometSite)
        }
        drained: Deferred[Any] = gatherResults([site.drain() for site in sites], consumeErrors=True)
        drained.addTimeout(
            self._drain, self.hub.clock, onTimeoutCancel=lambda result, timeout: None
        )
        return drained

    def _logFailure(self, failure: Failure) -> None:
        self._log.failure("while the server stopped", failure)
