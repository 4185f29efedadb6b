"""
Raw TCP on the lean edge: a connection gets a protocol of Twisted's edge only when
its client says more than one line that subscribes.
"""

from __future__ import annotations

from typing import Any, Final

from comet.errors import CometError
from comet.fanout.joinpoint import JoinPoint
from comet.fanout.streams import StreamReader
from comet.framing.commands import CommandError, Id, Subscribe, readCommand
from comet.framing.envelope import encodeClose
from comet.framing.tcp import LineDecoder, LineShape, Overlong
from comet.hub.hub import Hub
from comet.interfaces.sockets import ClientSocket
from comet.lean.edge import Edge
from comet.lean.streams import TwoWayConnection
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.positions import StartPositions
from comet.transports.session import encodeSubscribed
from comet.transports.tcp import CometFactory, CometProtocol

# How many first lines are cached, and how many bytes each may have: a longer one
# will hardly come again.
MAX_LINES: Final = 1024
MAX_LINE: Final = 512

# Every line that subscribes has this in it.
_SUBSCRIBE: Final = b'"subscribe"'


class FirstLine:
    """
    A line that subscribes, as the first and only input of its clients.

    @ivar since: Where the names start: all at one start position.

    @ivar joinPoint: Where readers of the same line join.

    @ivar shape: The shape of what the readers are written.
    """

    __slots__ = ("_id", "_response", "_standing", "joinPoint", "shape", "since")

    def __init__(self, command: Subscribe, shape: LineShape) -> None:
        self._id: Id = command.id
        self._standing: Cursor | None = None
        self._response = b""
        self.since: StartPositions = command.since
        self.joinPoint = JoinPoint(command.names)
        self.shape = shape

    def respond(self, standing: Cursor) -> bytes:
        """
        Make the framed response to the line.

        @param standing: The cursor at which the reader stands.
        """
        if standing != self._standing:
            piece = self.shape.piece(encodeSubscribed(self._id, standing))
            self._standing, self._response = standing, self.shape.frame([piece])
        return self._response


class FirstLines:
    """
    A cache of first lines: many clients begin with the same.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lines: dict[bytes, FirstLine] = {}

    def find(self, data: bytes) -> FirstLine | None:
        """
        Parse the first input of a client.

        @return: L{None} if the input is anything but one whole line that
            subscribes, with one start position for all names, and gives the reader no
            id.
        """
        line = self._lines.get(data)
        if line is None and len(data) <= MAX_LINE and _SUBSCRIBE in data:
            line = self._parse(data)
            if line is not None:
                if len(self._lines) >= MAX_LINES:
                    self._lines.clear()
                self._lines[data] = line
        return line

    def _parse(self, data: bytes) -> FirstLine | None:
        limits = self._hub.settings.limits
        decoder = LineDecoder(limits.maxCommandBytes)
        lines = decoder.feed(data)
        terminator = decoder.terminator
        if len(lines) != 1 or terminator is None or not data.endswith(terminator):
            return None
        if isinstance(lines[0], Overlong):
            return None
        try:
            command = readCommand(lines[0], limits)
        except CommandError:
            # The protocol finds the same error, and tells it.
            return None
        if not isinstance(command, Subscribe) or command.since.byName or command.reader:
            return None
        return FirstLine(command, LineShape(terminator))


class TCPEdge(Edge):
    """
    The connections of a port that speaks raw TCP.

    @ivar lines: The first lines of clients.
    """

    factory: CometFactory

    def __init__(self, reactor: Any, factory: CometFactory, family: int) -> None:
        super().__init__(reactor, factory.hub, factory, family)
        self.lines = FirstLines(factory.hub)

    def refusal(self) -> bytes:
        """
        See L{Edge.refusal}.
        """
        error, end = self.hub.full(), self.hub.fanout.end()
        return encodeClose(end, Close(error.code, error.detail, error.retryAfter)) + b"\n"


class TCPConnection(TwoWayConnection[CometProtocol]):
    """
    The connection of a client that sends lines.
    """

    edge: TCPEdge

    __slots__ = ("_client", "_reader", "isNew")

    def __init__(self, edge: TCPEdge, socket: ClientSocket, fd: int) -> None:
        super().__init__(edge, socket, fd, edge.hub.metrics.of("tcp"))
        self.isNew = True
        self._client: Client | None = None
        self._protocol = None
        # The reader, unless the protocol has made it.
        self._reader: StreamReader | None = None
        edge.add(self)

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        return self.getPeer().host

    def graceOver(self) -> None:
        """
        Make the protocol of a client that has sent nothing: it waits for the
        first line, and not without end.
        """
        if self._reader is None:
            self._ensureProtocol()

    def received(self, data: bytes) -> None:
        """
        See L{Connection.received<comet.lean.connection.Connection.received>}.
        """
        self.isNew = False
        if self._reader is not None or self._protocol is not None:
            self._ensureProtocol().dataReceived(data)
            return
        line = self.edge.lines.find(data)
        if line is None or not self._begin(line, len(data)):
            protocol = self._ensureProtocol()
            protocol.dataReceived(data)
            if line is not None and protocol.reader is not None:
                line.joinPoint.learn(protocol.reader, line.since.default)

    def _begin(self, line: FirstLine, size: int) -> bool:
        """
        Open a reader at the join point of a line.

        @param size: How many bytes the line has.

        @return: False if a protocol has to open the reader.  Nothing has
            happened then.
        """
        hub, joinPoint, since = self.edge.hub, line.joinPoint, line.since

        def makeReader() -> StreamReader:
            self.traffic.requests += 1
            self.traffic.open += 1
            self.traffic.dataIn += size
            return StreamReader(hub.fanout, line.shape, self, None, self)

        try:
            clientOf = hub.clientOf
            if clientOf is None or joinPoint.find(hub.fanout, since.default) is None:
                return False
            if hub.subscribeHook is not None:
                # Each client is asked about.
                return False
            client = clientOf(None)
            if client is None:
                return False
            reader = hub.openStream(
                client,
                joinPoint.names,
                since,
                makeReader,
                joinPoint.open,
                self,
                transport="tcp",
            )
        except CometError:
            # The protocol finds the same error, and tells it.
            return False
        self._client, self._reader = client, reader
        reader.sayFramed(line.respond(reader.standing))
        return True

    def _ensureProtocol(self) -> CometProtocol:
        """
        Return the protocol of Twisted's edge, and make it first if there is
        none.
        """
        protocol = self._protocol
        if protocol is None:
            self._protocol = protocol = self.edge.factory.buildProtocol(None)
            reader = self._reader
            if reader is None:
                protocol.makeConnection(self)
            else:
                client, shape = self._client, reader.shape
                assert client is not None and isinstance(shape, LineShape), (client, shape)
                protocol.attend(self, client, reader, shape)
        return protocol

    def inputEnded(self) -> None:
        """
        See L{Connection.inputEnded<comet.lean.connection.Connection.inputEnded>}.
        """
        if self._protocol is not None:
            self._protocol.inputEnded()
        elif self._reader is not None:
            self._reader.inputEnded()
        else:
            self.close()

    def gone(self) -> None:
        """
        See L{Connection.gone<comet.lean.connection.Connection.gone>}.
        """
        protocol, self._protocol = self._protocol, None
        reader, self._reader = self._reader, None
        if protocol is not None:
            protocol.connectionLost()
        elif reader is not None:
            self.connectionLost()
        else:
            # The client came and left within the grace time, without a word.
            self.traffic.requests += 1
