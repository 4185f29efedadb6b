"""
Raw TCP on the lean edge: the ordinary protocol has no part in a connection whose
client says in its first line what to read, and nothing after that.
"""

from __future__ import annotations

from socket import socket
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from comet.errors import CometError
from comet.fanout.streams import StreamReader
from comet.interfaces import ISinkOwner
from comet.lean.lines import FirstLine
from comet.lean.streams import StreamConnection
from comet.model.clients import Client
from comet.transports.tcp import CometProtocol

if TYPE_CHECKING:
    from comet.lean.edge import Edge


@implementer(ISinkOwner)
class TCPConnection(StreamConnection):
    """
    The connection of a client that sends lines.
    """

    __slots__ = ("_client", "_protocol", "_reader")

    def __init__(self, edge: Edge, socket: socket, fd: int) -> None:
        super().__init__(edge, socket, fd, edge.hub.metrics.of("tcp"))
        self._client: Client | None = None
        self._protocol: CometProtocol | None = None
        # Only where the protocol did not make it.
        self._reader: StreamReader | None = None
        edge.add(self)

    def stays(self) -> None:
        """
        See L{Wire.stays}.
        """
        if self._reader is None:
            # Which has patience for so long.
            self._begun()

    def received(self, data: bytes) -> None:
        """
        The client said something.
        """
        if self._reader is not None or self._protocol is not None:
            self._begun().dataReceived(data)
            return
        line = self.edge.lines.find(data)
        if line is None or not self._begin(line, len(data)):
            protocol = self._begun()
            protocol.dataReceived(data)
            if line is not None and protocol.reader is not None:
                line.joinPoint.learn(protocol.reader, line.since.default)

    def _begin(self, line: FirstLine, size: int) -> bool:
        """
        Begin to read where others have that said the same.

        @param size: How many bytes the line has.

        @return: Whether it has begun; if not, nothing has happened.
        """
        hub, joinPoint, since = self.edge.hub, line.joinPoint, line.since

        def makeReader() -> StreamReader:
            self.traffic.requests += 1
            self.traffic.open += 1
            self.traffic.dataIn += size
            return StreamReader(hub.fanout, line.shape, self, None, self)

        try:
            client = self.edge.factory.client(self)
            if joinPoint.find(hub.fanout, since.default) is None:
                return False
            reader = hub.openStream(client, joinPoint.names, since, makeReader, joinPoint.open)
        except CometError:
            # The protocol tells it.
            return False
        self._client, self._reader = client, reader
        reader.sayFramed(line.answer(reader.standing))
        return True

    def _begun(self) -> CometProtocol:
        """
        The ordinary protocol.
        """
        protocol = self._protocol
        if protocol is None:
            self._protocol = protocol = self.edge.factory.buildProtocol(None)
            reader: Any = self._reader
            if reader is None:
                protocol.makeConnection(self)
            else:
                client: Any = self._client
                protocol.attend(self, client, reader, reader.shape)
        return protocol

    def sinkReady(self) -> None:
        """
        See L{ISinkOwner.sinkReady}.
        """
        if self._protocol is not None:
            self._protocol.sinkReady()

    def sinkLost(self) -> None:
        """
        See L{ISinkOwner.sinkLost}.
        """
        if self._protocol is not None:
            self._protocol.sinkLost()

    def gone(self) -> None:
        """
        The connection is closed.
        """
        protocol, self._protocol = self._protocol, None
        reader, self._reader = self._reader, None
        if protocol is not None:
            protocol.connectionLost()
        elif reader is not None:
            self.connectionLost()
        else:
            # It came, too, and left without a word.
            self.traffic.requests += 1
