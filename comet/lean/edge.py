"""
What all connections of a lean port share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from select import EPOLLIN, epoll
from socket import socket
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.logger import Logger

from comet.hub import Hub
from comet.lean.lines import FirstLines
from comet.lean.newcomers import Newcomers
from comet.lean.plans import Plan
from comet.lean.spare import Spare
from comet.metrics import Traffic

if TYPE_CHECKING:
    from comet.lean.connection import Connection
    from comet.lean.routes import Routes

# How many events are dealt with in one turn, and how many connections are let
# go on that have more to say.
MOST_EVENTS: Final = 1024
MOST_DUE: Final = 64


class Edge:
    """
    The connections of a port, and what they share.

    @ivar reactor: The reactor.

    @ivar seconds: Tells the time of now, in seconds from any moment.

    @ivar hub: The hub.

    @ivar factory: Who is given the connections that are not served here.

    @ivar tree: The resources, where they are served.

    @ivar lines: What clients say first that send lines.

    @ivar epoll: Watches the connections, and the port.

    @ivar spare: A descriptor for a connection that is given away.

    @ivar connections: The connections, by their descriptors.
    """

    _log = Logger()

    tree: Routes

    def __init__(
        self, reactor: Any, hub: Hub, factory: Any, family: int, tree: Routes | None = None
    ) -> None:
        """
        @param family: The family of the addresses.

        @param tree: The resources, where they are served.
        """
        if tree is not None:
            self.tree = tree
        self.reactor = reactor
        self.seconds: Callable[[], float] = reactor.seconds
        self.hub = hub
        self.factory = factory
        self.epoll = epoll()
        self.spare = Spare()
        self.lines = FirstLines(hub)
        self._newcomers = Newcomers(self)
        self._family = family
        self.connections: dict[int, Connection] = {}
        self._later: deque[Callable[[], None]] = deque()
        self._isWaiting = False
        self._ended: Callable[[], None] | None = None

    def __len__(self) -> int:
        """
        How many connections there are.
        """
        return len(self.connections)

    def address(self, name: tuple[Any, ...]) -> IPv4Address | IPv6Address:
        """
        An address as Twisted has it.
        """
        return (IPv4Address if len(name) == 2 else IPv6Address)("TCP", *name)

    def traffic(self, plan: Plan) -> Traffic:
        """
        Where to count what a request costs.
        """
        traffic = plan.traffic
        if traffic is None:
            traffic = self.hub.metrics.of(plan.transport, plan.account)
            if plan.account is None:
                plan.traffic = traffic
        return traffic

    # -- The connections

    def add(self, connection: Connection) -> None:
        """
        Tell a connection what happens to it.
        """
        self.epoll.register(connection.fd, EPOLLIN)
        self.connections[connection.fd] = connection
        self._newcomers.add(connection)

    def replace(self, connection: Connection) -> None:
        """
        From now on this is the connection on its descriptor.
        """
        self.connections[connection.fd] = connection

    def watch(self, fd: int, events: int) -> None:
        """
        Say of what to be told.
        """
        self.epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """
        Tell a connection no more.
        """
        del self.connections[fd]
        self.epoll.unregister(fd)
        if self._ended is not None and not self.connections:
            self.later(self._ended)

    def broken(self, connection: Connection) -> None:
        """
        Something of ours went wrong, and is being handled: close a connection.
        """
        self._log.failure("a connection failed")
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        """
        Close one connection, whatever comes of it: the others are to live on.
        """
        try:
            connection.close()
        except Exception:
            self._log.failure("a connection failed as it was closed")

    def failed(self, client: socket) -> None:
        """
        Something of ours went wrong as a connection began: close it.
        """
        connection = self.connections.get(client.fileno())
        if connection is not None:
            self.broken(connection)
            return
        self._log.failure("a connection failed")
        client.close()

    def hand(self, connection: Connection, data: bytes) -> None:
        """
        Give a connection to the ordinary edge.

        @param data: What was read of it, and not answered.
        """
        sock: socket = connection.socket
        connection.leave()
        # It is adopted by a second descriptor, for which there may be no room.
        with self.spare:
            try:
                transport = self.reactor.adoptStreamConnection(
                    sock.fileno(), self._family, self.factory
                )
            except OSError:
                # The client has left.
                return
            finally:
                sock.close()
        if transport is not None and data:
            try:
                transport.protocol.dataReceived(data)
            except Exception:
                self._log.failure("a connection failed as it was handed over")
                transport.abortConnection()

    def closeAll(self) -> None:
        """
        Close all connections.
        """
        for connection in list(self.connections.values()):
            self._close(connection)

    def whenEmpty(self, call: Callable[[], None]) -> None:
        """
        Call something when there are no connections any more.
        """
        self._ended = call
        if not self.connections:
            self.later(call)

    # -- The turns

    def later(self, call: Callable[[], None]) -> None:
        """
        Call something in another turn.
        """
        self._later.append(call)
        if not self._isWaiting:
            self._isWaiting = True
            self.reactor.callLater(0, self._turned)

    def _turned(self) -> None:
        self._isWaiting = False
        self.hub.fanout.beginTurn()
        try:
            for _ in range(min(len(self._later), MOST_DUE)):
                call = self._later.popleft()
                try:
                    call()
                except Exception:
                    self._log.failure("a connection failed")
        finally:
            self.hub.fanout.endTurn()
        if self._later and not self._isWaiting:
            self._isWaiting = True
            self.reactor.callLater(0, self._turned)
