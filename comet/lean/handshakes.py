"""
Connections over TLS on the lean edge, until the handshake is done.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from select import EPOLLERR, EPOLLHUP, EPOLLIN
from socket import socket
from ssl import SSLContext
from typing import Final, Protocol

from comet.framing.tlsrecords import HelloReader
from comet.lean.edge import READING, Edge, EdgeConnection
from comet.lean.tlssocket import TLSSocket
from comet.reactor.timers import NOT_SET

# How many bytes of a handshake are read at once, and how many it may have.
_READ_SIZE: Final = 8192
_MOST_READ: Final = 65536

# How many bytes a hello may have, of which the client tells the size before it sends them.
# OpenSSL takes that much memory at once, up to 128 KB for a client that sends nothing more;
# a real one has a few KB.
_MOST_SAID: Final = 16384

_GONE: Final = EPOLLERR | EPOLLHUP


class _Receiving(EdgeConnection, Protocol):
    """
    A connection that can be given its first input, and the end of it.
    """

    def received(self, data: bytes) -> None: ...

    def endInput(self) -> None: ...


# Makes the connection that follows, of the socket and its descriptor.
MakeConnection = Callable[[TLSSocket, int], _Receiving]


class Handshake:
    """
    A connection whose client has not done its handshake.

    A handshake takes a fraction of a millisecond, and thousands may begin in the same
    moment.  So each part of one waits for its share of a turn, behind the connections that
    are there, as the first request of a client does: the connection stays L{new
    <EdgeConnection.isNew>} until it is over.
    """

    isNew = True
    isPolling = False
    isBusy = False
    wanted = READING

    __slots__ = (
        *("_edge", "_hello", "_left", "_makeConnection"),
        *("fd", "isIdle", "socket", "timerSlot"),
    )

    def __init__(
        self, edge: Edge, socket: TLSSocket, fd: int, makeConnection: MakeConnection
    ) -> None:
        """
        @param makeConnection: Makes the connection that follows.
        """
        self.socket = socket
        self.fd = fd
        self.timerSlot = NOT_SET
        # Whether the client has had some time, so that it may be closed.
        self.isIdle = False
        self._edge = edge
        self._makeConnection = makeConnection
        self._left = _MOST_READ
        self._hello: HelloReader | None = HelloReader()
        edge.add(self)

    def ready(self, events: int) -> None:
        """
        See L{EdgeConnection.ready}.
        """
        if not events & EPOLLIN:
            if events & _GONE:
                self.close()
            return
        try:
            data = self.socket.raw.recv(_READ_SIZE)
            early = self._shake(data)
        except BlockingIOError:
            return
        except OSError:
            # The client has left, or speaks no TLS that the server does.
            self.close()
            return
        if early is not None:
            self._finish(early)

    def _shake(self, data: bytes) -> bytes | None:
        """
        Go on with the handshake.

        @param data: What has come; empty if the client has ended.

        @return: As L{TLSSocket.shake}.

        @raise OSError: If it fails.
        """
        self._left -= len(data)
        if not data or self._left < 0:
            raise ConnectionAbortedError
        hello = self._hello
        if hello is not None and hello.largest(data) > _MOST_SAID:
            raise ConnectionAbortedError
        early = self.socket.shake(data)
        if not self.socket.expectsHello:
            self._hello = None
        return early

    def _finish(self, early: bytes) -> None:
        """
        Go on with the connection that follows.

        @param early: What the client has said behind its handshake.
        """
        edge, sock, fd = self._edge, self.socket, self.fd
        if edge.isElsewhere(sock.protocol):
            edge.handOver(self, early)
            return
        self.leave()
        connection = self._makeConnection(sock, fd)
        try:
            if early:
                connection.received(early)
            if sock.isOver and connection.fd >= 0:
                connection.endInput()
        except Exception:
            edge.broken(connection)

    def graceOver(self) -> None:
        """
        See L{EdgeConnection.graceOver}.
        """
        self.isIdle = True
        self._edge.hub.fanout.wheel.set(self, self._edge.handshakeTime)

    def timedOut(self) -> None:
        """
        See L{Timed.timedOut<comet.reactor.timers.Timed.timedOut>}.
        """
        self.close()

    def leave(self) -> None:
        """
        See L{EdgeConnection.leave}.
        """
        self._edge.hub.fanout.wheel.clear(self)
        self._edge.forget(self.fd)
        self.fd = -1

    def close(self) -> None:
        """
        See L{EdgeConnection.close}.
        """
        if self.fd >= 0:
            self.leave()
            self.socket.close()


def secured(
    edge: Edge, getContext: Callable[[], SSLContext], makeConnection: MakeConnection
) -> Callable[[socket, int], object]:
    """
    Put TLS in front of what makes connections.

    @param getContext: Returns the context of the next connection.
    """
    return partial(_begin, edge, getContext, makeConnection)


def _begin(
    edge: Edge,
    getContext: Callable[[], SSLContext],
    makeConnection: MakeConnection,
    client: socket,
    fd: int,
) -> Handshake:
    return Handshake(edge, TLSSocket(client, getContext()), fd, makeConnection)
