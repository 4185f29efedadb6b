"""
WebSockets on the lean edge: Autobahn has no part in one before its client says
something.
"""

from __future__ import annotations

from socket import socket
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from comet.http.handshake import ACCEPT_SIZE, acceptKey, answerHandshake
from comet.http.request import RequestHead
from comet.interfaces import ISinkOwner
from comet.lean.plans import ParsedHeaders, ParsedRequest, Plan
from comet.lean.streams import StreamConnection
from comet.metrics import Traffic
from comet.model.clients import Client
from comet.transports.websocket import CometWebSocketProtocol, WebSocketReader

if TYPE_CHECKING:
    from comet.lean.edge import Edge
    from comet.lean.http import HTTPConnection


@implementer(ISinkOwner)
class WebSocketConnection(StreamConnection):
    """
    The connection of a WebSocket.
    """

    __slots__ = ("_answer", "_client", "_protocol", "_reader")

    def __init__(
        self,
        edge: Edge,
        socket: socket,
        fd: int,
        traffic: Traffic,
        isShared: bool,
        client: Client,
        answer: bytes,
    ) -> None:
        """
        @param answer: The answer to the handshake, which is sent together with
            what is written first, or by L{begin}.
        """
        super().__init__(edge, socket, fd, traffic, isShared)
        self._answer = answer
        self._client = client
        self._protocol: CometWebSocketProtocol | None = None
        self._reader: WebSocketReader | None = None

    def push(self, data: bytes) -> bool:
        """
        See L{Wire.push}.
        """
        if self._answer:
            data, self._answer = self._answer + data, b""
        return super().push(data)

    def begin(self) -> None:
        """
        Answer the handshake, if nothing was written yet.
        """
        if self._answer:
            self.push(b"")

    def makeReader(self, shape: Any, isBare: bool) -> WebSocketReader:
        """
        Make who reads.
        """
        fanout = self.edge.hub.fanout
        opening = None if isBare else b""
        self._reader = reader = WebSocketReader(fanout, shape, self, opening, self)
        return reader

    def _begun(self) -> CometWebSocketProtocol:
        """
        Autobahn's protocol.
        """
        protocol = self._protocol
        if protocol is None:
            reader: Any = self._reader
            self._protocol = protocol = self.edge.tree.makeProtocol()
            protocol.traffic = self.traffic
            protocol.makeConnection(self)
            protocol.attend(self.edge.hub, self._client, reader, self)
        return protocol

    def received(self, data: bytes) -> None:
        """
        The client said something.
        """
        self._begun().dataReceived(data)

    def sendCloseFrame(self, code: int | None, reasonUtf8: bytes | None) -> None:
        """
        Begin the closing handshake.
        """
        self._begun().sendCloseFrame(code, reasonUtf8)

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

    def connectionLost(self) -> None:
        """
        Autobahn's protocol was told that the connection is lost.
        """

    def gone(self) -> None:
        """
        The connection is closed.
        """
        super().connectionLost()
        self._reader = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost()


def beginSocket(
    connection: HTTPConnection, asked: ParsedRequest, client: Client, size: int
) -> bool:
    """
    Upgrade to a WebSocket.

    @param size: How many bytes the head of the request has.

    @return: Whether it is one.

    @raise CometError: If it may not be; nothing has happened then.
    """
    edge, plan = connection.edge, asked.plan
    hub = edge.hub
    answer = _answer(plan, asked.known)
    if answer is None:
        return False

    def makeReader() -> WebSocketReader:
        traffic = hub.metrics.of(plan.transport, plan.account)
        traffic.requests += 1
        traffic.headIn += size
        traffic.headOut += len(answer)
        sock, fd, _ = connection.release(size)
        sink = WebSocketConnection(edge, sock, fd, traffic, plan.account is None, client, answer)
        sink.take()
        return sink.makeReader(plan.shape, plan.isBare)

    rest = connection.buffer[size:]
    reader = hub.openStream(client, plan.names, asked.since, makeReader, plan.opener)
    sink: Any = reader.sink
    sink.begin()
    if rest:
        sink.received(rest)
    return True


def _answer(plan: Plan, known: ParsedHeaders) -> bytes | None:
    """
    The answer to a handshake, as L{answerHandshake} gives it: of those that
    differ only in the key it is asked once.
    """
    if plan.answerEnd:
        return acceptKey((known.key or b"").decode("ascii")) + plan.answerEnd
    key = () if known.key is None else (known.key,)

    def headers(name: bytes) -> Any:
        return key if name == b"Sec-WebSocket-Key" else plan.head.headers(name)

    head = plan.head
    answer = answerHandshake(RequestHead(head.method, (), b"", head.version, headers, False))
    if answer is not None:
        plan.answerEnd = answer[ACCEPT_SIZE:]
    return answer
