"""
The server as a service: bus, hub and endpoints, started together, and brought
down without hurry.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.hub import Hub

# How often the garbage collector looks at new objects.  Readers are many and
# live long: to walk all of them at every moment would cost more than it finds.
_GC_THRESHOLDS: Final = (50_000, 20, 50)


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
    Serves a hub.

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
    ) -> None:
        """
        @param drain: Within how many seconds clients are told to come back
            when the service is stopped.

        @param listening: Called when all listeners listen.
        """
        self.hub = hub
        self.ports: list[IListeningPort] = []
        self._listeners = listeners
        self._drain = drain
        self._listening = listening
        self._started: Deferred[Any] | None = None

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
            raise CannotStart(_reason(failures[0]))
        started.addCallback(lambda _: self._reportFailures(failures))

    def _listen(self, result: object) -> Deferred[Any]:
        listening = [self._listenOn(listener) for listener in self._listeners]
        return gatherResults(listening, consumeErrors=True).addCallback(self._allListen)

    def _listenOn(self, listener: Listener) -> Deferred[IListeningPort]:
        def failed(failure: Failure) -> Failure:
            reason = f"cannot listen on {listener.description}: {failure.getErrorMessage()}"
            return Failure(CannotStart(reason))

        return maybeDeferred(listener.endpoint.listen, listener.factory).addErrback(failed)

    def _allListen(self, ports: list[IListeningPort]) -> None:
        self.ports = ports
        self._listening(self)
        # What is there now stays.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    def _reportFailures(self, failures: list[Failure]) -> None:
        for failure in failures:
            self._log.critical("comet cannot start: {reason}", reason=_reason(failure))

    def stopService(self) -> Deferred[Any]:
        """
        Accept no more, send everyone away, finish what is under way.

        @return: Fires when that is done, or the time for it is over.
        """
        super().stopService()
        # Not ready before the ports are closed: who comes in between is told.
        drained = self.hub.drain(self._drain)
        ports, self.ports = self.ports, []
        closed = [maybeDeferred(port.stopListening) for port in ports]
        done: Deferred[Any] = gatherResults([drained, *closed], consumeErrors=True)
        return done.addBoth(lambda _: self.hub.bus.stop())


def _reason(failure: Failure) -> str:
    if failure.check(CannotStart):
        return failure.getErrorMessage()
    subFailure = getattr(failure.value, "subFailure", None)
    if isinstance(subFailure, Failure):
        return _reason(subFailure)
    return str(getattr(failure.value, "detail", failure.getErrorMessage()))
