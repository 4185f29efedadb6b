"""
Raw TCP on the lean edge: the ordinary protocol, on a connection that costs
less.
"""

from __future__ import annotations

from socket import socket
from typing import TYPE_CHECKING, Any

from comet.lean.streams import SinkWire
from comet.transports.tcp import CometProtocol

if TYPE_CHECKING:
    from comet.lean.edge import Edge


class LineWire(SinkWire):
    """
    The connection of a client that sends lines.
    """

    __slots__ = ("_protocol",)

    def __init__(self, edge: Edge, socket: socket, fd: int) -> None:
        super().__init__(edge, socket, fd, edge.hub.ledger.of("tcp"))
        self._protocol: CometProtocol = edge.factory.buildProtocol(None)
        edge.add(self)
        self._protocol.makeConnection(self)

    def received(self, data: bytes) -> None:
        """
        The client said something.
        """
        self._protocol.dataReceived(data)

    def gone(self) -> None:
        """
        The connection is closed.
        """
        protocol: Any = self._protocol
        protocol.connectionLost()
