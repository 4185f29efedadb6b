"""
Where the server listens: from the descriptions of endpoints, and on sockets
that another process has bound.

L{makeListener} is the one place where a description becomes something that
listens.  A port can be L{held<hold>}: it is bound, and the system queues who
comes, but nobody is accepted before it is L{released<release>}.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any, Final, Protocol, runtime_checkable

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError

_log = Logger()

# How many may wait to be accepted, unless the endpoint says how many; the system
# may allow less.
QUEUE: Final = 4096

# How many that are in Twisted's endpoints where their description does not say.
_NOT_CHOSEN: Final = 50


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


@runtime_checkable
class _Holdable(Protocol):
    """
    What a port has that is a descriptor of the reactor's, as are those of
    every endpoint of Twisted's but on Windows.
    """

    def stopReading(self) -> None: ...

    def startReading(self) -> None: ...


def hold(port: IListeningPort) -> bool:
    """
    Let a port accept nobody for now.

    @return: Whether it can be held.
    """
    if not isinstance(port, _Holdable):
        return False
    port.stopReading()
    return True


def release(port: IListeningPort) -> None:
    """
    Let a port that was held accept everybody.
    """
    if isinstance(port, _Holdable):
        port.startReading()


def makeListener(
    reactor: Any, description: str, factory: IProtocolFactory, inherited: int | None = None
) -> Listener:
    """
    Make what listens.

    @param description: An endpoint, as C{--listen} takes it.

    @param inherited: A descriptor of a socket that another process has bound
        to just that and that listens already; nothing is bound then.  It is
        closed when the endpoint listens: its port has one of its own.

    @raise ValueError: If the description is none; each kind of endpoint may
        raise others, too.
    """
    used = _Queueing(reactor) if inherited is None else _Inheriting(reactor, inherited)
    return Listener(description, serverFromString(used, description), factory)


class _Queueing:
    """
    A reactor whose ports let many wait to be accepted, where nothing else was
    asked for: readers come back all at once when a server was away.  Whoever
    finds no room in the queue is dropped by the system, and tries again a
    second later.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, *args: Any, backlog: int, **kwargs: Any) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self._reactor.listenTCP(*args, backlog=_queue(backlog), **kwargs)

    def listenSSL(self, *args: Any, backlog: int, **kwargs: Any) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        return self._reactor.listenSSL(*args, backlog=_queue(backlog), **kwargs)

    def listenUNIX(self, *args: Any, backlog: int, **kwargs: Any) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        return self._reactor.listenUNIX(*args, backlog=_queue(backlog), **kwargs)


def _queue(backlog: int) -> int:
    return QUEUE if backlog == _NOT_CHOSEN else backlog


class _Inheriting:
    """
    A reactor that, whatever it is told to bind, takes a socket that is bound
    already.  So an endpoint does all else that its description says: speaks
    TLS, reads what a proxy says of the client.
    """

    def __init__(self, reactor: Any, fileno: int) -> None:
        self._reactor = reactor
        self._fileno = fileno

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: object, factory: Any, *args: object, **kwargs: object) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self._adopt(factory)

    def listenSSL(
        self, port: object, factory: Any, contextFactory: Any, *args: object, **kwargs: object
    ) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return self._adopt(TLSMemoryBIOFactory(contextFactory, False, factory))

    def listenUNIX(self, address: object, factory: Any, *args: object, **kwargs: object) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        return self._adopt(factory)

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """
        See L{IReactorSocket<twisted.internet.interfaces.IReactorSocket>}: the
        descriptor is one of the process that bound it.
        """
        return self._adopt(factory)

    def _adopt(self, factory: Any) -> Any:
        with socket.socket(fileno=os.dup(self._fileno)) as bound:
            family = bound.family
        if family == socket.AF_UNIX:
            port = _adoptFile(self._reactor, self._fileno, factory)
        else:
            port = self._reactor.adoptStreamPort(self._fileno, family, factory)
        os.close(self._fileno)
        return port


def _adoptFile(reactor: Any, fileno: int, factory: Any) -> Any:
    """
    Listen on a socket of the file system, and leave its file alone: Twisted
    gives it other permissions when a process takes the socket over, and
    removes it when one of them leaves.
    """
    from twisted.internet.unix import Port

    class SharedPort(Port):
        """
        Leaves the socket open, for the others.
        """

        _shouldShutdown = False

        def _logConnectionLostMsg(self) -> None:
            _log.info("(UNIX Port {name} Closed)", name=os.fsdecode(self._bindPath[1:]))

    port: Any = SharedPort._fromListeningDescriptor(reactor, fileno, factory)
    # The names that begin so are of no file.
    port._bindPath = b"\0" + port._bindPath
    port.startListening()
    return port


class CannotStart(Exception):
    """
    The server cannot be started; the text is for whoever tries.
    """


def cannotStart(failure: Failure) -> CannotStart:
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
    if not isinstance(error, (CometError, CannotListenError, CancelledError)):
        _log.failure("while the server started", failure)
    return CannotStart(failure.getErrorMessage())


class Ports:
    """
    The ports of some listeners.

    @ivar listeners: Where to listen.

    @ivar open: What is listened on, in the order of the listeners; empty
        before all of it is, and when it is closed.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = listeners
        self.open: list[IListeningPort] = []
        self._found: list[IListeningPort | None] = [None] * len(listeners)
        self._isHeld = True

    def bind(self, isHeld: bool = True) -> Deferred[Any]:
        """
        Listen on everything, or nothing.

        @param isHeld: Whether nobody is to be accepted before L{accept} is
            called.  A port that cannot be held is closed again, and opened
            then.

        @return: Fires when all listen; fails with L{CannotStart}.
        """
        self._isHeld = isHeld
        listening = [
            self._listenOn(listener) if port is None else succeed(port)
            for listener, port in zip(self.listeners, self._found, strict=True)
        ]
        bound: Deferred[Any] = DeferredList(listening, consumeErrors=True)
        return bound.addCallback(self._listened)

    def accept(self) -> Deferred[Any]:
        """
        Accept whoever comes, once all that can be bound and held is.

        @return: Fires when everybody is accepted; fails with L{CannotStart}.
        """
        if not self._isHeld:
            return succeed(None)
        for port in self.open:
            release(port)
        return self.bind(False)

    def descriptors(self) -> list[int]:
        """
        The sockets, for another process.

        @raise CannotStart: If there is a port that has none.
        """
        for listener, port in zip(self.listeners, self._found, strict=True):
            if not hasattr(port, "fileno"):
                raise CannotStart(f"several processes cannot share {listener.description}")
        ports: list[Any] = self.open
        return [port.fileno() for port in ports]

    def close(self) -> Deferred[Any]:
        """
        Close what is open.

        @return: Fires when that is done, whatever went wrong.
        """
        ports, self.open = self.open, []
        self._found = [None] * len(self.listeners)
        closed = [maybeDeferred(port.stopListening) for port in ports]
        for closing in closed:
            closing.addErrback(lambda failure: _log.failure("while a port was closed", failure))
        return DeferredList(closed)

    def _listenOn(self, listener: Listener) -> Deferred[IListeningPort | None]:
        def failed(failure: Failure) -> Failure:
            reason = cannotStart(failure)
            return Failure(CannotStart(f"cannot listen on {listener.description}: {reason}"))

        def listens(port: IListeningPort) -> Any:
            if not self._isHeld or hold(port):
                return port
            # That it may be listened on is known; it is done again later.
            return maybeDeferred(port.stopListening).addCallback(lambda _: None)

        listening: Deferred[Any] = maybeDeferred(listener.endpoint.listen, listener.factory)
        return listening.addCallback(listens).addErrback(failed)

    def _listened(self, results: Sequence[tuple[bool, Any]]) -> Failure | None:
        self._found = [result if isListening else None for isListening, result in results]
        self.open = [port for port in self._found if port is not None]
        failures: list[Failure] = [result for isListening, result in results if not isListening]
        if failures:
            self.close()
            return failures[0]
        return None
