"""
Endless answers: once its head is out, a connection is nothing but a sink.
"""

from __future__ import annotations

from socket import socket
from typing import TYPE_CHECKING

from zope.interface import implementer

from comet.fanout.probes import Probe
from comet.fanout.streams import StreamReader
from comet.http.responses import streamTemplate
from comet.interfaces import IDirectSink, ISinkOwner
from comet.lean.connection import Connection
from comet.lean.plans import ParsedRequest
from comet.metrics import Traffic
from comet.model.clients import Client
from comet.transports.sinks import IConnectedSink

if TYPE_CHECKING:
    from comet.lean.edge import Edge
    from comet.lean.http import HTTPConnection


@implementer(IConnectedSink, IDirectSink)
class StreamConnection(Connection):
    """
    A connection that is written to for as long as it lasts.

    @ivar traffic: Where what passes is counted.

    @ivar direct: See L{IDirectSink.direct}.
    """

    __slots__ = ("_owner", "direct", "traffic")

    def __init__(
        self, edge: Edge, socket: socket, fd: int, traffic: Traffic, isShared: bool = True
    ) -> None:
        """
        @param isShared: Whether all readers of the same shape are counted
            where this one is.
        """
        super().__init__(edge, socket, fd)
        self.traffic = traffic
        self.direct = socket if isShared else None
        self._owner: ISinkOwner | None = None

    def attach(self, owner: ISinkOwner) -> None:
        """
        See L{ISink.attach<comet.interfaces.ISink.attach>}.
        """
        self._owner = owner

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write<comet.interfaces.ISink.write>}.
        """
        self.traffic.dataOut += len(data)
        return self.push(data)

    def sent(self, count: int) -> None:
        """
        See L{IDirectSink.sent}.
        """
        self.traffic.dataOut += count

    def received(self, data: bytes) -> None:
        """
        Nothing is expected, and it is thrown away.
        """
        self.traffic.dataIn += len(data)

    def drained(self) -> None:
        """
        All is sent that had to wait.
        """
        if self._owner is not None:
            self._owner.sinkReady()

    def take(self) -> None:
        """
        Be the connection on a descriptor that was somebody else's.
        """
        self.traffic.open += 1
        self.edge.replace(self)

    def connectionLost(self) -> None:
        """
        The client is gone.
        """
        self.traffic.open -= 1
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.sinkLost()

    gone = connectionLost


def beginStream(
    connection: HTTPConnection, asked: ParsedRequest, client: Client, size: int
) -> None:
    """
    Begin an endless answer.

    @param size: How many bytes the head of the request has.

    @raise CometError: If it may not be; nothing has happened then.
    """
    edge, plan = connection.edge, asked.plan
    ask, shape = plan.ask, plan.shape
    hub = edge.hub

    def makeReader() -> StreamReader:
        traffic = hub.metrics.of(plan.transport, plan.account)
        traffic.requests += 1
        traffic.headIn += size
        opening = streamTemplate(plan.headers).fill()
        traffic.countOpening(len(opening))
        sock, fd, rest = connection.release(size)
        sink = StreamConnection(edge, sock, fd, traffic, plan.account is None)
        sink.take()
        if rest:
            sink.received(rest)
        return StreamReader(hub.fanout, shape, sink, opening)

    reader = hub.openStream(client, plan.names, asked.since, makeReader, plan.opener)
    if ask.probe:
        Probe(reader)
