"""
Reactors as endpoints see them: one that binds an address with a long queue, and one that
takes a socket that is bound already.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.tcp import Port
from twisted.logger import Logger

from comet.server.acceptingports import SharingPort, acceptingSome
from comet.server.locks import lockSocket

_log = Logger()

# How many connections may wait to be accepted, unless the endpoint's description
# says how many.  The system may allow fewer.
QUEUE: Final = 4096

# Twisted's default for that: the value of an endpoint whose description says none.
_NOT_CHOSEN: Final = 50


class QueueingReactor:
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
        return acceptingSome(self._reactor.listenTCP(*args, backlog=_queue(backlog), **kwargs))

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


class InheritingReactor:
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
                SharingPort(port, self._reactor, self._room)
        else:
            port = acceptingSome(self._reactor.adoptStreamPort(self._fileno, family, factory))
            if self._room is not None and isinstance(port, Port):
                SharingPort(port, self._reactor, self._room)
        os.close(self._fileno)
        return port


def _queue(backlog: int) -> int:
    return QUEUE if backlog == _NOT_CHOSEN else backlog


def _adoptFile(reactor: Any, fileno: int, factory: Any) -> Any:
    """
    Listen on a UNIX socket that another process has bound: the parent, or
    systemd.  Leave its file alone, and the socket open.  Twisted would change the
    file's permissions when a process adopts the socket, and remove the file and
    shut the socket down when a process closes it.
    """
    from twisted.internet.unix import Port as UNIXPort

    class SharedPort(UNIXPort):
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
