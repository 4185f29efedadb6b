"""
Streams on the lean edge: once the response head is out, the connection is only a
sink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from zope.interface import implementer

from comet.fanout.logquestions import READ_BYTES
from comet.fanout.probes import Probe
from comet.fanout.streams import StreamReader
from comet.fanout.unsent import sharedRest
from comet.http.http1 import streamTemplate
from comet.http.responses import ENDLESS
from comet.hub.hub import Hub
from comet.interfaces.sinks import IDirectSink, ISinkOwner
from comet.interfaces.sockets import ClientSocket
from comet.lean.connection import Connection
from comet.lean.edge import Edge
from comet.lean.plans import NOTHING_TAKEN, Asked, ParsedRequest, ReadPlan, RequestConnection
from comet.lean.styles import styleOf
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.transports.sinks import IConnectedSink
from comet.transports.vanished import waitForProgram

P = TypeVar("P", bound=ISinkOwner)


@implementer(IConnectedSink, IDirectSink)
class StreamConnection(Connection):
    """
    A connection that is written to for as long as it lasts.

    @ivar traffic: The counters of what passes.

    @ivar direct: See L{IDirectSink.direct}.
    """

    __slots__ = ("_owner", "direct", "traffic")

    def __init__(
        self, edge: Edge, socket: ClientSocket, fd: int, traffic: Traffic, isShared: bool = True
    ) -> None:
        """
        @param isShared: True if all readers of the same shape have these
            counters.
        """
        super().__init__(edge, socket, fd)
        self.traffic = traffic
        self.direct = socket if isShared else None
        self._owner: ISinkOwner | None = None

    def attach(self, owner: ISinkOwner) -> None:
        """
        See L{ISink.attach<comet.interfaces.sinks.ISink.attach>}.
        """
        self._owner = owner

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write<comet.interfaces.sinks.ISink.write>}.
        """
        self.traffic.dataOut += len(data)
        return self.push(data)

    def _rest(self, data: bytes, sent: int) -> bytes | memoryview:
        # What one reader alone gets, when it catches up, is less.
        return sharedRest(data, sent) if len(data) > 2 * READ_BYTES else data[sent:]

    def stalled(self, isStalled: bool) -> None:
        """
        See L{ISink.stalled<comet.interfaces.sinks.ISink.stalled>}.
        """
        waitForProgram(self.socket, isStalled)

    def sent(self, count: int) -> None:
        """
        See L{IDirectSink.sent}.
        """
        self.traffic.dataOut += count

    def received(self, data: bytes) -> None:
        """
        Drop input: a client has nothing to say on a stream.
        """
        self.traffic.dataIn += len(data)

    def drained(self) -> None:
        """
        See L{Connection.drained}.
        """
        if self._owner is not None:
            self._owner.sinkReady()

    def inputEnded(self) -> None:
        """
        See L{Connection.inputEnded}.
        """
        if self._owner is not None:
            self._owner.inputEnded()

    def start(self) -> None:
        """
        Take over the descriptor, which another connection has released.
        """
        self.traffic.open += 1
        self.edge.replace(self)

    def connectionLost(self) -> None:
        """
        See L{IConnectedSink.connectionLost}.
        """
        self.traffic.open -= 1
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.sinkLost()

    gone = connectionLost


@implementer(ISinkOwner)
class TwoWayConnection(StreamConnection, Generic[P]):
    """
    A stream whose client may send commands.

    A protocol of Twisted's edge takes the commands.  The subclass makes it for
    the first command only, since most clients never send one.

    @ivar _protocol: The protocol; L{None} until it is made.
    """

    __slots__ = ("_protocol",)

    _protocol: P | None

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


class StreamPlan(ReadPlan):
    """
    A plan of requests that are answered with a stream.
    """

    __slots__ = ("_shape", "_template")

    def __init__(self, hub: Hub, asked: Asked) -> None:
        """
        @raise CometError: If the request has to be refused.
        """
        super().__init__(hub, asked)
        headers, self._shape = styleOf(hub.origins, asked, hub.settings.compression)
        self._template = streamTemplate((*headers, *ENDLESS, *asked.ownHeaders))

    @property
    def shared(self) -> Sequence[object]:
        """
        See L{Plan.shared<comet.lean.plans.Plan.shared>}.
        """
        return (*super().shared, self._template)

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        hub = self.hub

        def makeReader() -> StreamReader:
            traffic = hub.metrics.of(self.transport, self.account)
            traffic.requests += 1
            traffic.headIn += size
            opening = self._template.fill()
            traffic.countOpening(len(opening))
            sock, fd, rest = connection.release(size)
            sink = StreamConnection(connection.edge, sock, fd, traffic, self.account is None)
            sink.start()
            if rest:
                sink.received(rest)
            return StreamReader(hub.fanout, self._shape, sink, opening)

        reader = hub.openStream(
            client,
            self.names,
            request.since,
            makeReader,
            self.opener,
            connection,
            self.request.reader,
            transport=self.transport,
        )
        if self.request.probe:
            Probe(reader)
        return NOTHING_TAKEN
