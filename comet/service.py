"""
The server as a service: bus, hub and endpoints, started together, and brought
down without hurry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError
from comet.hub import Hub
from comet.site import CometSite
from comet.statistics import StatisticsService


class CannotStart(Exception):
    """
    The server cannot be started; the text is for whoever tries.
    """


@frozen
class Listener:
    """
    Where something is served.

    @ivar description: The endpoint, as it was given.

    @ivar endpoint: The endpoint.

    @ivar factory: What is served there.
    """

    description: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory


class CometService(Service):
    """
    Serves a hub.  It is started once, and stopped once: a hub that was drained
    takes nobody any more.

    @ivar hub: The hub.

    @ivar ports: What is listened on, in the order of the listeners, while the
        service runs.
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
        self.ports: list[IListeningPort] = []
        self._listeners = listeners
        self._drain = drain
        self._listening = listening
        self._failed = failed
        self._statistics = StatisticsService(hub, hub.clock)
        self._started: Deferred[Any] | None = None
        self._isStopped = False

    def privilegedStartService(self) -> None:
        """
        Start the bus and listen, while the process may still listen on any
        port.

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
        self._started = started = maybeDeferred(self.hub.bus.start).addCallback(self._listen)
        started.addErrback(failures.append)
        if failures:
            raise self._cannotStart(failures[0])
        started.addCallback(lambda _: self._reportFailures(failures))

    def _listen(self, result: object) -> Deferred[Any] | None:
        if self._isStopped:
            return None
        listening = [self._listenOn(listener) for listener in self._listeners]
        return DeferredList(listening, consumeErrors=True).addCallback(self._listened)

    def _listenOn(self, listener: Listener) -> Deferred[IListeningPort]:
        def failed(failure: Failure) -> Failure:
            reason = self._cannotStart(failure)
            return Failure(CannotStart(f"cannot listen on {listener.description}: {reason}"))

        return maybeDeferred(listener.endpoint.listen, listener.factory).addErrback(failed)

    def _listened(self, results: Sequence[tuple[bool, Any]]) -> Failure | None:
        self.ports = [result for isListening, result in results if isListening]
        failures = [result for isListening, result in results if not isListening]
        if failures or self._isStopped:
            # All or nothing: no port stays open.
            self._closePorts()
            return failures[0] if failures else None
        self._statistics.startService()
        self._listening(self)
        return None

    def _cannotStart(self, failure: Failure) -> CannotStart:
        """
        What to tell of a failure; one that nobody expected is logged, too.
        """
        error = failure.value
        if isinstance(error, CannotStart):
            return error
        # What the system says is clearer than Twisted's text around it.
        cause = error.socketError if isinstance(error, CannotListenError) else error
        if isinstance(cause, OSError) and cause.strerror:
            return CannotStart(cause.strerror)
        isForeseen = isinstance(error, (CometError, CannotListenError))
        # When it was stopped meanwhile, it is only that which failed.
        if not isForeseen and not self._isStopped:
            self._log.failure("while the server started", failure)
        return CannotStart(failure.getErrorMessage())

    def _reportFailures(self, failures: Sequence[Failure]) -> None:
        # Who has stopped it does not wait for it to start.
        if failures and not self._isStopped:
            error = self._cannotStart(failures[0])
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
        done: Deferred[Any] = DeferredList([drained, self._drainSites(), self._closePorts()])
        return done.addCallback(lambda _: self.hub.bus.stop())

    def _drainSites(self) -> Deferred[Any]:
        sites = {each.factory for each in self._listeners if isinstance(each.factory, CometSite)}
        drained: Deferred[Any] = gatherResults([site.drain() for site in sites], consumeErrors=True)
        drained.addTimeout(
            self._drain, self.hub.clock, onTimeoutCancel=lambda result, timeout: None
        )
        return drained

    def _closePorts(self) -> Deferred[Any]:
        ports, self.ports = self.ports, []
        closed = [maybeDeferred(port.stopListening) for port in ports]
        for closing in closed:
            closing.addErrback(self._logFailure)
        return DeferredList(closed)

    def _logFailure(self, failure: Failure) -> None:
        self._log.failure("while the server stopped", failure)
