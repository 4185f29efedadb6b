"""
What the connections of a lean port share: the C{epoll}, and the way to Twisted's
edge.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from select import EPOLLIN, EPOLLRDHUP, epoll
from types import TracebackType
from typing import Any, Final, Protocol

from twisted.internet.address import IPv4Address, IPv6Address

from comet.http.pace import HEAD_TIME
from comet.hub.hub import Hub
from comet.interfaces.sockets import ClientSocket
from comet.lean.epollreactor import LeanEPollReactor
from comet.lean.hangups import Hangups
from comet.limits.capacity import SOME
from comet.logging.clientlog import ClientLogger
from comet.reactor.timers import NOT_SET
from comet.reactor.turns import SHARE
from comet.reactor.waitingevents import WaitingEvents

# How many bytes of a refused client's input are read.
MAX_UNREAD: Final = 65536

# The events for which a connection is watched that is read: that its client has ended
# is told beside what it has sent.
READING: Final = EPOLLIN | EPOLLRDHUP

# For how many seconds, at least, a new connection has no deadline.
GRACE_TIME: Final = 0.2


class EdgeConnection(Protocol):
    """
    What the edge needs of a connection.

    @ivar fd: The descriptor of the socket; -1 once the connection is closed or
        given away.

    @ivar isNew: Whether nothing has come yet: others are served first.

    @ivar isPolling: Whether the last request was a poll that may wait.  Its client comes
        back once it is answered, together with all others that got the same message.
    """

    fd: int
    isNew: bool
    isPolling: bool

    @property
    def socket(self) -> ClientSocket:
        """
        The socket, which does not block.
        """

    @property
    def wanted(self) -> int:
        """
        The events for which the connection waits now.
        """

    @property
    def isBusy(self) -> bool:
        """
        Whether a part of a request has come, or a response is not sent yet.
        """

    @property
    def isIdle(self) -> bool:
        """
        Whether the connection may be closed at any time: it waits for another
        request.
        """

    def ready(self, events: int) -> None:
        """
        Handle events of the C{epoll}.
        """

    def graceOver(self) -> None:
        """
        Set a deadline for the client: its L{GRACE_TIME} is over, and the
        connection is still open.
        """

    def leave(self) -> None:
        """
        Leave the edge, with the socket open.
        """

    def close(self) -> None:
        """
        Close the socket.  Does nothing if the connection is closed.
        """


class Edge:
    """
    The connections of one port.

    @ivar reactor: The reactor.

    @ivar seconds: Returns the time, in seconds of the hub's clock.

    @ivar hub: The hub.

    @ivar factory: Makes the protocols of Twisted's edge, for connections that
        are handed over.

    @ivar epoll: Watches the connections and the port; those of other ports, too, where
        the reactor asks it.

    @ivar returning: The events of polls that come back and have to wait: these connections
        are not in the C{epoll}.

    @ivar waiting: The same for connections that begin or end.

    @ivar hangups: What is left to do for connections whose clients have left.

    @ivar spare: Keeps a descriptor free for a connection that is handed over.

    @ivar connections: The connections, by descriptor.

    @ivar comebacks: What was found out of polls that came back, by their heads: a
        L{Comeback<comet.lean.comebacks.Comeback>} each.

    @ivar turn: The number of this turn.

    @cvar handshakeTime: Seconds in which a handshake of TLS has to be done.
    """

    handshakeTime: float = HEAD_TIME

    _log = ClientLogger()

    def __init__(self, reactor: Any, hub: Hub, factory: Any, family: int) -> None:
        """
        @param family: The family of the addresses, such as
            C{socket.AF_INET}.
        """
        self.reactor = reactor
        self.seconds: Callable[[], float] = hub.clock.seconds
        self.hub = hub
        self.factory = factory
        self.epoll = reactor.edgeEpoll if isinstance(reactor, LeanEPollReactor) else epoll()
        self.returning = WaitingEvents(self.epoll, self._wanted)
        self.waiting = WaitingEvents(self.returning, self._wanted)
        self.hangups = Hangups(hub.turns)
        self.spare = SpareDescriptor()
        self.connections: dict[int, EdgeConnection] = {}
        self.comebacks: dict[bytes, Any] = {}
        self.turn = 0
        self._newcomers = Newcomers(self)
        self._family = family
        self._whenEmpty: Callable[[], None] | None = None

    def __len__(self) -> int:
        """
        Return the number of open connections.
        """
        return len(self.connections)

    def address(self, name: tuple[Any, ...]) -> IPv4Address | IPv6Address:
        """
        Convert a socket's address to Twisted's form.
        """
        return (IPv4Address if len(name) == 2 else IPv6Address)("TCP", *name)

    # -- The connections

    def add(self, connection: EdgeConnection) -> None:
        """
        Watch a new connection for input.
        """
        self.epoll.register(connection.fd, READING)
        self.connections[connection.fd] = connection
        self._newcomers.add(connection)

    def replace(self, connection: EdgeConnection) -> None:
        """
        Send the events of a descriptor to another connection from now on.
        """
        self.connections[connection.fd] = connection

    def watch(self, fd: int, events: int) -> None:
        """
        Set the events for which a descriptor is watched.
        """
        self.waiting.modify(fd, events)

    def _wanted(self, fd: int) -> int:
        return self.connections[fd].wanted

    def forget(self, fd: int) -> None:
        """
        Stop watching a descriptor.
        """
        del self.connections[fd]
        self.waiting.unregister(fd)
        if self._whenEmpty is not None and not self.connections:
            self.hub.turns.later(self._whenEmpty)

    def broken(self, connection: EdgeConnection) -> None:
        """
        Close a connection whose code raised the exception being handled.
        """
        peer = self.peerOf(connection.socket)
        self._log.failure("The connection of {peer} failed and is closed", peer=peer)
        self._close(connection)

    def beginFailed(self, client: ClientSocket) -> None:
        """
        Close an accepted socket: making its connection raised the exception
        being handled.
        """
        connection = self.connections.get(client.fileno())
        if connection is not None:
            self.broken(connection)
            return
        peer = self.peerOf(client)
        self._log.failure("The connection of {peer} could not begin and is closed", peer=peer)
        client.close()

    def _close(self, connection: EdgeConnection) -> None:
        """
        Close one connection.  What it raises is logged, since the other
        connections have to live on.
        """
        peer = self.peerOf(connection.socket)
        try:
            connection.close()
        except Exception:
            self._log.failure("Closing the connection of {peer} failed", peer=peer)

    def peerOf(self, client: ClientSocket) -> IPv4Address | IPv6Address | None:
        """
        Look up the address of a client, for the log.

        @return: L{None} once the client has left.
        """
        try:
            return self.address(client.getpeername())
        except OSError:
            return None

    def handOver(self, connection: EdgeConnection, data: bytes) -> None:
        """
        Give a connection to Twisted's edge.

        @param data: The bytes that were read and not answered.
        """
        sock = connection.socket
        connection.leave()
        # An application's resource may change what clients may do.
        self.comebacks.clear()
        # Twisted duplicates the descriptor, for which the system may have no room.
        with self.spare:
            try:
                transport = self._adopt(sock)
            except OSError:
                # The client has left.
                return
        if transport is not None and data:
            try:
                self._deliver(transport, data)
            except Exception:
                self._log.failure(
                    "The connection of {peer} failed as it was handed over",
                    peer=transport.getPeer(),
                )
                transport.abortConnection()

    def _adopt(self, sock: Any) -> Any:
        """
        Make a connection of Twisted's of a socket, and close the socket: the connection
        has another descriptor.

        @return: Its transport; L{None} if it is closed at once.

        @raise OSError: If the client has left.
        """
        try:
            return self.reactor.adoptStreamConnection(sock.fileno(), self._family, self.factory)
        finally:
            sock.close()

    def _deliver(self, transport: Any, data: bytes) -> None:
        """
        Give the protocol of a connection of Twisted's its first input.
        """
        transport.protocol.dataReceived(data)

    def isElsewhere(self, protocol: str | None) -> bool:
        """
        Tell whether connections of a protocol that TLS has negotiated are handed over at
        once.
        """
        return False

    def closeAll(self) -> None:
        """
        Close all connections.
        """
        for connection in list(self.connections.values()):
            self._close(connection)

    def makeRoom(self) -> bool:
        """
        Close some idle connections, since there is no room for more.

        @return: Whether there was one.
        """
        idle = [each for each in self.connections.values() if each.isIdle]
        for connection in idle[:SOME]:
            self._close(connection)
        return bool(idle)

    def refuse(self, client: ClientSocket) -> None:
        """
        Tell an accepted client that there is no room for it, and close the socket.
        """
        self.hub.refusals.add("the process has no more open files")
        try:
            client.send(self.refusal())
            # To close a socket with unread input would reset the connection.
            client.recv(MAX_UNREAD)
        except OSError:
            # It has sent nothing yet, or has left.
            pass
        client.close()

    def refusal(self) -> bytes:
        """
        Make what a client is told for which there is no room.
        """
        raise NotImplementedError

    def drain(self) -> None:
        """
        Let each connection end after its next response.
        """

    def end(self) -> None:
        """
        Close all connections, and make the calls that wait.  Nothing is left to
        be called then.
        """
        self._whenEmpty = None
        self.closeAll()
        self._newcomers.end()
        self.hub.turns.finish()

    def whenEmpty(self, call: Callable[[], None]) -> None:
        """
        Call a function, in another turn, once no connection is open.
        """
        self._whenEmpty = call
        if not self.connections:
            self.hub.turns.later(call)


class Newcomers:
    """
    Connections within their grace time.

    Nearly every client sends its request at once, and most connections then
    become streams or held polls.  A deadline for each would be set only to be
    cleared.  So there is one timer for all that came within L{GRACE_TIME}: those
    that are still open get their L{EdgeConnection.graceOver} then.
    """

    __slots__ = ("_connections", "_edge", "timerSlot")

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._connections: list[EdgeConnection] = []
        self.timerSlot = NOT_SET

    def add(self, connection: EdgeConnection) -> None:
        """
        Begin the grace time of a connection.
        """
        if not self._connections:
            self._edge.hub.fanout.wheel.set(self, GRACE_TIME)
        self._connections.append(connection)

    def end(self) -> None:
        """
        All connections are closed.
        """
        self._connections.clear()
        self._edge.hub.fanout.wheel.clear(self)

    def timedOut(self) -> None:
        """
        End the grace time of all connections: a little early for those that
        came last.
        """
        connections, self._connections = self._connections, []
        self._endGrace(iter(connections))

    def _endGrace(self, connections: Iterator[EdgeConnection]) -> None:
        """
        End the grace time of some connections, and of the others in later turns.
        """
        edge = self._edge
        over = edge.seconds() + SHARE
        for connection in connections:
            if connection.fd >= 0:
                try:
                    connection.graceOver()
                except Exception:
                    edge.broken(connection)
                if edge.seconds() >= over:
                    edge.hub.turns.later(partial(self._endGrace, connections))
                    break


class SpareDescriptor:
    """
    A descriptor kept open so that one more can be opened when the process has
    reached its limit.

    As a context manager it closes the descriptor on entry.  The caller leaves
    room for one descriptor again before the exit.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._reserve()

    def _reserve(self) -> None:
        try:
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # Another part of the process took the room; the next exit tries again.
            pass

    def close(self) -> None:
        """
        Close the descriptor.  Does nothing if it is closed.
        """
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> None:
        self.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reserve()
