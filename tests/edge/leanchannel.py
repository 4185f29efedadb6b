"""
Comet's channel behind a lean edge: a test of Twisted's takes it for a channel
that it feeds by hand, and there is a real connection in between.
"""

from __future__ import annotations

import re
from typing import Any, Final

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from comet.lean.edge import Edge
from comet.lean.http import HTTPConnection
from comet.lean.port import LeanPort
from comet.lean.routes import findRoutes
from tests.edge.standins import PlainChannel, makeChannel, makeSite
from tests.lean.case import Peer, read
from tests.lean.handreactor import HandReactor

# What a lean edge answers itself.
OURS: Final = read("poll")

# How many bytes are cut into single ones at most: each takes some system calls.
MOST_CUT: Final = 4096


class _CountingServer(tcp.Server):
    """
    Counts what its socket took.
    """

    sent = 0

    def writeSomeData(self, data: Any) -> Any:
        """
        Send as much as the socket takes.
        """
        result = super().writeSomeData(data)
        if isinstance(result, int):
            self.sent += result
        return result


class _CountingReactor(HandReactor):
    def adoptStreamConnection(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        Go on with a connection.
        """
        return _CountingServer._fromConnectedSocket(fileDescriptor, family, factory, self)


class LeanServer:
    """
    A lean edge that listens on loopback.

    @ivar reactor: The reactor.

    @ivar number: The number of the port.

    @ivar site: Whose channels are behind it.

    @ivar connections: Its clients, by their ports.
    """

    def __init__(self, kind: type[PlainChannel]) -> None:
        """
        @param kind: The class of the channels behind it.
        """
        self.reactor = _CountingReactor()
        self.connections: dict[int, Connection] = {}
        self.site = makeSite(self.reactor, kind)
        tree = findRoutes(self.site)
        assert tree is not None
        listening = self.reactor.listenTCP(0, self, 50, "127.0.0.1")
        edge = Edge(self.reactor, tree.hub, self, listening.socket.family, tree)
        self._port = LeanPort(listening, edge, self._accept)
        self.number: int = listening.getHost().port

    def _accept(self, edge: Edge, socket: Any, fd: int) -> None:
        self.connections[socket.getpeername()[1]].lean = HTTPConnection(edge, socket, fd)

    def stop(self) -> None:
        """
        Close everything.
        """
        for connection in self.connections.values():
            connection.discard()
        self._port.stopListening()
        self._port.connectionLost(Failure(ConnectionDone()))

    # -- As the factory that is given what the lean edge hands over

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
        What the connection of a client is handed over to.
        """
        return self.connections[address.port]


class ClientEnd(StringTransport):
    """
    What a test looks at to see what came to the client: whenever it does, the
    server goes on first.

    @ivar connection: The connection, once there is one.
    """

    connection: Connection | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in ("value", "disconnecting", "disconnected", "producerState"):
            connection = super().__getattribute__("connection")
            if connection is not None:
                connection.pump()
        return super().__getattribute__(name)


class Connection:
    """
    A connection of a client to a lean edge.

    @ivar channel: The channel that it is handed over to.

    @ivar lean: The lean edge's part in it, once it is accepted.

    @ivar said: What the client has said, and the kernel has taken.

    @ivar carrier: What Twisted has of it, once it was handed over.

    @ivar heard: What has come to the channel.
    """

    def __init__(self, server: LeanServer, channel: Any, end: Any, first: bytes) -> None:
        """
        @param end: Is told what comes to the client, as a transport is told
            what is written.

        @param first: What the client asks for, in one go with what it says
            then, and the lean edge answers with a body of a known length.
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
        # Where the answers of the channel begin, in what comes to the client,
        # and how much of it the test has been told.
        self._begin = self._told = 0
        self._isPumping = self._isOver = False
        self._peer = Peer(server.reactor, server.number)
        server.connections[self._peer.socket.getsockname()[1]] = self
        if isinstance(end, ClientEnd):
            end.connection = self

    def send(self, data: bytes) -> None:
        """
        Say something, and let it be dealt with.
        """
        if not self._isOver:
            self._unsent += data
            self.pump()

    def pump(self) -> None:
        """
        Let the server go on until it has read and answered all that it will.
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
                # Nobody listens any more.
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
        The client closes the connection.
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
        Leave nothing open.
        """
        self._isOver = True
        self._peer.socket.close()
        if self.carrier is not None:
            self.carrier.abortConnection()

    # -- As the protocol in front of the channel

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

    # -- What came of it

    def lost(self) -> str:
        """
        What became of what the client has said: an empty string if it came to
        the channel as it was said, for as long as the channel read.
        """
        if self.heard == self._forChannel[: len(self.heard)]:
            return ""
        return f"{bytes(self._forChannel)!r} was said, and {bytes(self.heard)!r} was heard"


def _sizeOfFirst(came: bytes) -> int:
    """
    How many bytes the first of the answers has, or 0 if it is not there.
    """
    head, end, body = came.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
    if not end or found is None or len(body) < int(found[1]):
        return 0
    return len(head) + len(end) + int(found[1])


class LeanChannel:
    """
    What a test takes for a channel: what it is fed goes to a lean edge, and
    everything else about it is that of the channel behind.
    """

    def __init__(self, server: LeanServer, first: bytes = b"", isCut: bool = False) -> None:
        """
        @param first: As in L{Connection}.

        @param isCut: Whether bytes go one by one, where there are not too many.
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

        @param transport: Is told what comes from there.
        """
        connection = Connection(self._server, self.channel, transport, self._first)
        vars(self).update(connection=connection, transport=transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Say something to the lean edge.
        """
        size = 1 if self._isCut and len(data) <= MOST_CUT else max(len(data), 1)
        for start in range(0, len(data), size):
            self.connection.send(data[start : start + size])

    def connectionLost(self, reason: object) -> None:
        """
        Close the connection.
        """
        self.connection.leave()
