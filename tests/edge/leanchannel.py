"""
A stand-in for an HTTP channel, with a lean edge and a real connection between it
and comet's channel.  Twisted's tests feed it by hand, as they feed a channel.
"""

from __future__ import annotations

import re
from typing import Any, Final

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from comet.lean.http import HTTPConnection
from comet.lean.httpedge import HTTPEdge
from comet.lean.port import LeanPort
from comet.lean.routes import findRoutes
from tests.edge.standins import LOOKS, PlainChannel, makeChannel, makeSite
from tests.lean.case import Peer, read
from tests.lean.handreactor import HandReactor

# A request that the lean edge answers itself.
OURS: Final = read("poll")

# The most bytes that are sent one by one, since each takes some system calls.
MOST_CUT: Final = 4096


class _CountingServer(tcp.Server):
    """
    A server connection that counts the bytes that its socket has taken.
    """

    sent = 0

    def writeSomeData(self, data: Any) -> Any:
        """
        Write to the socket, and count the bytes that it took.
        """
        result = super().writeSomeData(data)
        if isinstance(result, int):
            self.sent += result
        return result


class _CountingReactor(HandReactor):
    def adoptStreamConnection(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        Make a counting server connection of a file descriptor.
        """
        return _CountingServer._fromConnectedSocket(fileDescriptor, family, factory, self)


class LeanServer:
    """
    A lean edge that listens on loopback.

    @ivar reactor: The reactor.

    @ivar number: The number of the port.

    @ivar site: The site that makes the channels behind it.

    @ivar connections: The connections of its clients, by the client's port.
    """

    def __init__(self, kind: type[PlainChannel]) -> None:
        """
        @param kind: The class of the channels behind it.
        """
        self.reactor = _CountingReactor()
        self.connections: dict[int, Connection] = {}
        self.site = makeSite(self.reactor, kind)
        routes = findRoutes(self.site)
        assert routes is not None
        listening = self.reactor.listenTCP(0, self, 50, "127.0.0.1")
        # The lean edge asks its factory, as it asks a site.
        self.timeOut = self.site.timeOut
        self._edge = HTTPEdge(self.reactor, routes, self, listening.socket.family)
        self._port = LeanPort(listening, self._edge, self._accept)
        self.number: int = listening.getHost().port

    def _accept(self, socket: Any, fd: int) -> None:
        connection = self.connections[socket.getpeername()[1]]
        connection.lean = HTTPConnection(self._edge, socket, fd)

    def stop(self) -> None:
        """
        Close everything.
        """
        for connection in self.connections.values():
            connection.discard()
        self._port.stopListening()
        self._port.connectionLost(Failure(ConnectionDone()))

    # -- The factory to which the lean edge hands over connections

    def doStart(self) -> None:
        """
        See L{IProtocolFactory<twisted.internet.interfaces.IProtocolFactory>}.
        """

    def doStop(self) -> None:
        """
        See L{IProtocolFactory<twisted.internet.interfaces.IProtocolFactory>}.
        """

    def buildProtocol(self, address: Any) -> Any:
        """
        Return the connection of the client with this address.
        """
        return self.connections[address.port]


class ClientEnd(StringTransport):
    """
    The transport in which a test reads what came to the client.  Before each
    look at it the server does all the work that is pending.

    @ivar connection: The connection, once there is one.
    """

    connection: Connection | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in LOOKS:
            connection = super().__getattribute__("connection")
            if connection is not None:
                connection.pump()
        return super().__getattribute__(name)


class Connection:
    """
    A connection of a client to a lean edge.

    @ivar channel: The channel that it is handed over to.

    @ivar lean: The lean edge's connection, once it is accepted.

    @ivar said: The bytes that the client has sent, and the kernel has taken.

    @ivar carrier: Twisted's connection, once the lean edge has handed it over.

    @ivar heard: The bytes that have come to the channel.
    """

    def __init__(self, server: LeanServer, channel: Any, end: Any, first: bytes) -> None:
        """
        @param end: The transport to which all is written that comes to the
            client.

        @param first: A request that the lean edge answers with a body of a
            known length.  The client sends it together with its first bytes.
        """
        self.channel = channel
        self.lean: Any = None
        self.said = bytearray()
        self.carrier: Any = None
        self.heard = bytearray()
        self._end = end
        self._reactor = server.reactor
        self._first = first
        self._unsent = first
        # Of the bytes that come to the client: where the answers of the channel
        # begin, and how many were written to the test's transport.
        self._begin = self._told = 0
        self._isPumping = self._isOver = False
        self._peer = Peer(server.reactor, server.number)
        server.connections[self._peer.socket.getsockname()[1]] = self
        if isinstance(end, ClientEnd):
            end.connection = self

    def send(self, data: bytes) -> None:
        """
        Send bytes as the client, and let the server deal with them.
        """
        if not self._isOver:
            self._unsent += data
            self.pump()

    def pump(self) -> None:
        """
        Run the server until it has read and answered all that it will.
        """
        if self._isPumping or self._isOver or not (self.said or self._unsent):
            return
        self._isPumping = True
        try:
            self._reactor.until(self._isQuiet)
        finally:
            self._isPumping = False

    def _isQuiet(self) -> bool:
        self._give()
        self._take()
        server = self.carrier
        if self._isOver:
            return True
        if server is None:
            # The lean edge waits for the rest of a request.
            return self.lean is not None and self.lean.buffer == self._forChannel
        isReading = server in self._reactor.readers
        if isinstance(self._end, ClientEnd):
            self._end.producerState = "producing" if isReading else "paused"
        return (
            bool(server.connected)
            and server not in self._reactor.writers
            and self._told == self._begin + server.sent
            and (not isReading or (not self._unsent and self.heard == self._forChannel))
        )

    @property
    def _forChannel(self) -> bytearray:
        return self.said[len(self._first) :]

    def _give(self) -> None:
        while self._unsent:
            try:
                count = self._peer.socket.send(self._unsent)
            except BlockingIOError:
                return
            except ConnectionError:
                # The server has closed.
                self._unsent = b""
                return
            self.said += self._unsent[:count]
            self._unsent = self._unsent[count:]

    def _take(self) -> None:
        came = self._peer.take()
        if self._first and not self._begin:
            self._begin = self._told = _sizeOfFirst(came)
            if not self._begin:
                return
        if len(came) > self._told:
            told, self._told = self._told, len(came)
            self._end.write(came[told:])
        if self._peer.isOver and not self._isOver:
            self._isOver = True
            self._end.loseConnection()

    def leave(self) -> None:
        """
        Close the connection as the client.
        """
        self.pump()
        self._isOver = True
        self._peer.socket.close()
        server = self.carrier
        if server is None:
            self._reactor.until(lambda: self.lean is not None and self.lean.fd < 0)
        else:
            self._reactor.until(lambda: not server.connected or server not in self._reactor.readers)

    def discard(self) -> None:
        """
        Close both sides of the connection.
        """
        self._isOver = True
        self._peer.socket.close()
        if self.carrier is not None:
            self.carrier.abortConnection()

    # -- The protocol in front of the channel

    def makeConnection(self, transport: Any) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self.carrier = transport
        self.channel.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self.heard += data
        self.channel.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self.channel.connectionLost(reason)

    # -- The result

    def lost(self) -> str:
        """
        Return an empty string if the client's bytes came to the channel as they
        were sent, for as long as the channel read; otherwise the difference.
        """
        if self.heard == self._forChannel[: len(self.heard)]:
            return ""
        return f"{bytes(self._forChannel)!r} was said, and {bytes(self.heard)!r} was heard"


def _sizeOfFirst(came: bytes) -> int:
    """
    Return the size of the first answer, or 0 if it is not complete.
    """
    head, end, body = came.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
    if not end or found is None or len(body) < int(found[1]):
        return 0
    return len(head) + len(end) + int(found[1])


class LeanChannel:
    """
    The stand-in for a channel: the bytes that it is fed go to a lean edge, and
    all other attributes are those of the channel behind.
    """

    def __init__(self, server: LeanServer, first: bytes = b"", isCut: bool = False) -> None:
        """
        @param first: As in L{Connection}.

        @param isCut: Whether bytes are sent one by one, up to L{MOST_CUT} at a
            time.
        """
        vars(self).update(
            channel=makeChannel(server.site),
            connection=None,
            transport=None,
            _server=server,
            _first=first,
            _isCut=isCut,
        )

    def __getattr__(self, name: str) -> Any:
        if name == "requests" and self.connection is not None:
            self.connection.pump()
        return getattr(self.channel, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.channel, name, value)

    def makeConnection(self, transport: Any) -> None:
        """
        Connect to the lean edge.

        @param transport: The transport to which its answers are written.
        """
        connection = Connection(self._server, self.channel, transport, self._first)
        vars(self).update(connection=connection, transport=transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Send bytes to the lean edge.
        """
        size = 1 if self._isCut and len(data) <= MOST_CUT else max(len(data), 1)
        for start in range(0, len(data), size):
            self.connection.send(data[start : start + size])

    def connectionLost(self, reason: object) -> None:
        """
        Close the connection.
        """
        self.connection.leave()
