"""
Ports that hold their clients until the server is ready, opened and closed together.

A port can be L{held<hold>}: it is bound, and the system queues new connections, but
none is accepted before the port is L{released<release>}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.server.describedendpoints import descriptionOf
from comet.server.startfailure import CannotStart, cannotStart

_log = Logger()

# An endpoint, and what is served at it.
Serving = tuple[IStreamServerEndpoint, IProtocolFactory]


@runtime_checkable
class _Holdable(Protocol):
    """
    A port that the reactor polls as a descriptor.  Twisted's own endpoints all
    give such ports, except on Windows.
    """

    def stopReading(self) -> None: ...

    def startReading(self) -> None: ...


@runtime_checkable
class _Cuttable(Protocol):
    """
    A port, or a factory, that knows its connections.
    """

    def cutConnections(self) -> bool: ...


def hold(port: IListeningPort) -> bool:
    """
    Let a port accept no connections for now.

    @return: Whether the port can be held.
    """
    if not isinstance(port, _Holdable):
        return False
    port.stopReading()
    return True


def release(port: IListeningPort) -> None:
    """
    Let a held port accept connections again.
    """
    if isinstance(port, _Holdable):
        port.startReading()


class Ports:
    """
    The ports of several endpoints, opened and closed together.

    @ivar served: The endpoints, each with the factory that serves it.

    @ivar open: The ports, in the order of the endpoints.  Empty until all
        endpoints listen, and after the ports are closed.
    """

    def __init__(self, served: Sequence[Serving]) -> None:
        self.served = served
        self.open: list[IListeningPort] = []
        self._found: list[IListeningPort | None] = [None] * len(served)
        self._isHeld = True
        self._closed: list[IListeningPort] = []

    def bind(self, isHeld: bool = True) -> Deferred[Any]:
        """
        Listen on all endpoints, or on none.

        @param isHeld: Whether no connection is accepted before L{accept} is
            called.  A port that cannot be held is closed again, and L{accept}
            opens it.

        @return: Fires when all endpoints listen.  Fails with L{CannotStart}.
        """
        self._isHeld = isHeld
        listening = [
            self._listenOn(*served) if port is None else succeed(port)
            for served, port in zip(self.served, self._found, strict=True)
        ]
        bound: Deferred[Any] = DeferredList(listening, consumeErrors=True)
        return bound.addCallback(self._listened)

    def accept(self) -> Deferred[Any]:
        """
        Accept connections: release the held ports, and open those that could
        not be held.  Call it after L{bind} has fired.

        @return: Fires when all ports accept.  Fails with L{CannotStart}.
        """
        if not self._isHeld:
            return succeed(None)
        for port in self.open:
            release(port)
        return self.bind(False)

    def descriptors(self) -> list[int]:
        """
        Return the descriptors of the sockets, to be inherited by a worker.

        @raise CannotStart: If a port has no descriptor.
        """
        descriptors = []
        for (endpoint, _), port in zip(self.served, self._found, strict=True):
            fileno: Callable[[], int] | None = getattr(port, "fileno", None)
            if fileno is None:
                raise CannotStart(f"several processes cannot share {descriptionOf(endpoint)}")
            descriptors.append(fileno())
        return descriptors

    def close(self) -> Deferred[Any]:
        """
        Close all open ports.

        @return: Fires when all are closed.  It never fails: a port that cannot
            be closed is logged.
        """
        ports, self.open = self.open, []
        self._closed += ports
        self._found = [None] * len(self.served)
        closed = [maybeDeferred(port.stopListening) for port in ports]
        for port, closing in zip(ports, closed, strict=True):
            closing.addErrback(_logNotClosed, port)
        return DeferredList(closed)

    def cutConnections(self) -> bool:
        """
        Close the connections that are left on the closed ports, and those of the
        factories, at once.

        @return: Whether some of them will be closed in the next turn only.
        """
        factories = {id(factory): factory for _, factory in self.served}
        owners = [*self._closed, *factories.values()]
        cut = [each.cutConnections() for each in owners if isinstance(each, _Cuttable)]
        return any(cut)

    def _listenOn(
        self, endpoint: IStreamServerEndpoint, factory: IProtocolFactory
    ) -> Deferred[IListeningPort | None]:
        def failed(failure: Failure) -> Failure:
            reason = cannotStart(failure)
            return Failure(CannotStart(f"cannot listen on {descriptionOf(endpoint)}: {reason}"))

        def listens(port: IListeningPort) -> Any:
            if not self._isHeld or hold(port):
                return port
            # Now it is known that the address is free; accept() opens it again.
            return maybeDeferred(port.stopListening).addCallback(lambda _: None)

        listening: Deferred[Any] = maybeDeferred(endpoint.listen, factory)
        return listening.addCallback(listens).addErrback(failed)

    def _listened(self, results: Sequence[tuple[bool, Any]]) -> Failure | None:
        self._found = [result if isListening else None for isListening, result in results]
        self.open = [port for port in self._found if port is not None]
        failures: list[Failure] = [result for isListening, result in results if not isListening]
        if failures:
            self.close()
            return failures[0]
        return None


def _logNotClosed(failure: Failure, port: IListeningPort) -> None:
    _log.failure("{port} could not be closed", failure, port=port)
