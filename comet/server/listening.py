"""
Where the server listens: endpoints made of descriptions, sockets that another
process has bound, and ports that hold their clients until the server is ready.

L{makeEndpoint} is the one place where a description becomes an endpoint.  A port
can be L{held<hold>}: it is bound, and the system queues new connections, but
none is accepted before the port is L{released<release>}.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import CometError
from comet.limits.acceptshare import AcceptShare
from comet.reactor.clocks import steadyClock
from comet.server.certificates import RenewingReactor
from comet.server.locks import lockSocket
from comet.server.proxied import ProxiedEndpoint
from comet.server.systemd import systemdEndpoint
from comet.settings.configuration import ConfigurationError

_log = Logger()

# How many connections may wait to be accepted, unless the endpoint's description
# says how many.  The system may allow fewer.
QUEUE: Final = 4096

# Twisted's default for that: the value of an endpoint whose description says none.
_NOT_CHOSEN: Final = 50

# How many clients a port of Twisted's accepts in one turn.  Each takes up to half a
# millisecond, until it is gone again, and there may be three such ports: more would take
# longer than all that clients ask for in a turn.
MOST_ACCEPTED: Final = 4

# The highest number of a port of TCP.
MAX_PORT: Final = 65535

# An endpoint, and what is served at it.
Serving = tuple[IStreamServerEndpoint, IProtocolFactory]


@implementer(IStreamServerEndpoint)
@frozen
class DescribedEndpoint:
    """
    An endpoint that knows its description, for logs and error messages.

    @ivar description: The description, as the user gave it.

    @ivar endpoint: The endpoint that was made of it.
    """

    description: str
    endpoint: IStreamServerEndpoint

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See L{IStreamServerEndpoint}.
        """
        return self.endpoint.listen(protocolFactory)


def descriptionOf(endpoint: IStreamServerEndpoint) -> str:
    """
    Return what a message calls an endpoint: its description if it has one, or
    else the name of its class.
    """
    if isinstance(endpoint, DescribedEndpoint):
        return endpoint.description
    return type(endpoint).__name__


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


def makeEndpoint(
    reactor: Any,
    description: str,
    inherited: int | None = None,
    room: Callable[[], int] | None = None,
) -> DescribedEndpoint:
    """
    Make an endpoint of its description.

    @param description: An endpoint, as C{--listen} takes it.

    @param inherited: The descriptor of a socket that another process has bound
        to this address and that listens already.  Nothing is bound then.  The
        descriptor is closed when the endpoint listens: the port has its own.

    @param room: As for L{AcceptShare}, where other processes accept from that socket.

    @raise ConfigurationError: If the text says all that the user needs to make it
        work.

    @raise ValueError: If it is not the description of an endpoint.  Some kinds
        of endpoint raise other exceptions, too.
    """
    used = _Queueing(reactor) if inherited is None else _Inheriting(reactor, inherited, room)
    return DescribedEndpoint(description, _parse(used, description))


def _parse(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    Make an endpoint of its description, as Twisted does, but for the kinds that
    comet has a better one of.
    """
    kind, _, rest = description.partition(":")
    if kind == "haproxy":
        return ProxiedEndpoint(_parse(reactor, rest))
    if kind == "ssl":
        _needTLS()
        reactor = RenewingReactor(reactor, description)
    if kind != "systemd":
        made: IStreamServerEndpoint = serverFromString(reactor, description)
        # Twisted asks the system only when it listens, and the answer is a traceback.
        port = getattr(made, "_port", None)
        if isinstance(port, int) and not 0 <= port <= MAX_PORT:
            raise ConfigurationError(f"{str(port)[:64]} is no port; 0 to {MAX_PORT} are")
        return made
    options = dict(_option(each) for each in rest.split(":"))
    unknown = options.keys() - {"domain", "index", "name"}
    if unknown or "domain" not in options:
        raise ConfigurationError(
            "'systemd:domain=INET:index=0' and 'systemd:domain=UNIX:name=http' are"
        )
    if isinstance(reactor, _Inheriting):
        return _InheritedEndpoint(reactor)
    return systemdEndpoint(reactor, **options)


def _needTLS() -> None:
    """
    Refuse to serve TLS without the packages for it.

    @raise ConfigurationError: If they are not installed.
    """
    try:
        # They are not installed with comet, but with an extra.
        import twisted.internet.ssl  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "it needs packages that are not installed: pip install 'comet-push[tls]'"
        ) from None


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


@implementer(IStreamServerEndpoint)
@frozen
class _InheritedEndpoint:
    """
    The endpoint of a socket of systemd's that the parent has bound.
    """

    reactor: _Inheriting

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See L{IStreamServerEndpoint}.
        """
        return maybeDeferred(self.reactor.adopt, protocolFactory)


class _Queueing:
    """
    A reactor whose ports queue up to L{QUEUE} connections, unless a description
    asks for another number.  After a restart all readers reconnect at once.  The
    system drops a connection that finds no room in the queue, and the client's
    system tries again only a second later.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, *args: Any, backlog: int, **kwargs: Any) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return _acceptingSome(self._reactor.listenTCP(*args, backlog=_queue(backlog), **kwargs))

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *, backlog: int, **kwargs: Any
    ) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        from comet.transports.sharedtls import encrypted

        secure = encrypted(contextFactory, factory)
        return self.listenTCP(port, secure, backlog=backlog, **kwargs)

    def listenUNIX(
        self, address: Any, factory: Any, *, backlog: int, mode: int, wantPID: bool
    ) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.  The lock
        that C{wantPID} asks for is a L{FileLock<comet.server.locks.FileLock>}.
        """
        path = os.fsdecode(address)
        lock = lockSocket(path) if wantPID and not path.startswith("\0") else None
        try:
            port = self._reactor.listenUNIX(
                address, factory, backlog=_queue(backlog), mode=mode, wantPID=False
            )
        except BaseException:
            if lock is not None:
                lock.unlock()
            raise
        # Twisted unlocks it when the port is closed.
        port.lockFile = lock
        return port

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """
        See L{IReactorSocket<twisted.internet.interfaces.IReactorSocket>}.
        """
        if addressFamily == getattr(socket, "AF_UNIX", None):
            return _adoptFile(self._reactor, fileDescriptor, factory)
        return self._reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)


def _acceptingSome(port: Any) -> Any:
    """
    Let a port accept no more than L{MOST_ACCEPTED} clients in a turn.  Twisted lets it
    accept as many as come, and to begin TLS with each takes a while.
    """
    if not isinstance(port, Port):
        return port
    doRead = port.doRead

    def accept() -> None:
        port.numberAccepts = min(port.numberAccepts, MOST_ACCEPTED)
        doRead()

    port.doRead = accept  # type: ignore[method-assign]
    return port


class _SharingPort:
    """
    Lets a port of Twisted's accept its L{AcceptShare}.
    """

    def __init__(self, port: Any, reactor: Any, room: Callable[[], int]) -> None:
        self._port = port
        self._doRead = port.doRead
        self._share = AcceptShare(self, steadyClock(reactor), room)
        port.doRead = self._accept

    def _accept(self) -> None:
        most = self._share.allowed(MOST_ACCEPTED)
        if most:
            self.acceptSome(most)

    def acceptSome(self, most: int) -> None:
        """
        See L{AcceptingPort.acceptSome<comet.limits.acceptshare.AcceptingPort.acceptSome>}.
        """
        port = self._port
        if port.connected:
            port.numberAccepts = min(port.numberAccepts, most)
            self._doRead()

    def stopReading(self) -> None:
        """
        See L{AcceptingPort.stopReading<comet.limits.acceptshare.AcceptingPort.stopReading>}.
        """
        self._port.stopReading()

    def startReading(self) -> None:
        """
        See L{AcceptingPort.startReading<comet.limits.acceptshare.AcceptingPort.startReading>}.
        """
        # It may be closed by now.
        if self._port.connected:
            self._port.startReading()


def _queue(backlog: int) -> int:
    return QUEUE if backlog == _NOT_CHOSEN else backlog


class _Inheriting:
    """
    A reactor that takes a socket that is already bound, instead of binding the
    address that it is given.  The endpoint still does everything else that its
    description says: it speaks TLS, or reads the PROXY protocol.
    """

    def __init__(self, reactor: Any, fileno: int, room: Callable[[], int] | None) -> None:
        self._reactor = reactor
        self._fileno = fileno
        self._room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: object, factory: Any, *args: object, **kwargs: object) -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self.adopt(factory)

    def listenSSL(
        self, port: object, factory: Any, contextFactory: Any, *args: object, **kwargs: object
    ) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        from comet.transports.sharedtls import encrypted

        return self.adopt(encrypted(contextFactory, factory))

    def listenUNIX(self, address: object, factory: Any, *args: object, **kwargs: object) -> Any:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        return self.adopt(factory)

    def adopt(self, factory: Any) -> Any:
        """
        Listen on the socket.
        """
        with socket.socket(fileno=os.dup(self._fileno)) as bound:
            family = bound.family
        if family == socket.AF_UNIX:
            port = _adoptFile(self._reactor, self._fileno, factory)
            if self._room is not None:
                _SharingPort(port, self._reactor, self._room)
        else:
            port = _acceptingSome(self._reactor.adoptStreamPort(self._fileno, family, factory))
            if self._room is not None and isinstance(port, Port):
                _SharingPort(port, self._reactor, self._room)
        os.close(self._fileno)
        return port


def _adoptFile(reactor: Any, fileno: int, factory: Any) -> Any:
    """
    Listen on a UNIX socket that another process has bound: the parent, or
    systemd.  Leave its file alone, and the socket open.  Twisted would change the
    file's permissions when a process adopts the socket, and remove the file and
    shut the socket down when a process closes it.
    """
    from twisted.internet.unix import Port

    class SharedPort(Port):
        """
        A port that leaves the socket open for the other processes.
        """

        _shouldShutdown = False

        def _logConnectionLostMsg(self) -> None:
            _log.info("(UNIX Port {name} Closed)", name=os.fsdecode(self._bindPath[1:]))

    port: Any = SharedPort._fromListeningDescriptor(reactor, fileno, factory)
    # A name that begins with NUL is in the abstract namespace: Twisted then looks
    # for no file.
    port._bindPath = b"\0" + port._bindPath
    port.startListening()
    return port


class CannotStart(Exception):
    """
    The server cannot start.  The text is for the user who tries to start it.
    """

    # twistd cuts what a daemon cannot start with after 100 bytes, of which the
    # full name of the class is a part: a short one leaves room for the reason.
    __module__ = "comet.server"


def cannotStart(failure: Failure) -> CannotStart:
    """
    Turn a failure of the start into the error for the user.  A failure of an
    unexpected kind is logged with its traceback, too.
    """
    error = failure.value
    if isinstance(error, CannotStart):
        return error
    # The system's text is clearer than Twisted's text around it.
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return CannotStart(cause.strerror)
    if not isinstance(error, (CometError, CannotListenError, CancelledError)):
        _log.failure("the server failed to start", failure)
    return CannotStart(failure.getErrorMessage())


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
