"""
WebSockets on the lean edge: a connection gets a protocol of Autobahn's only when
its client sends something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from comet.framing.websocket import WebSocketShape
from comet.http.deflateoffers import agree
from comet.http.handshake import ACCEPT_SIZE, acceptKey, answerHandshake
from comet.http.parameters import warningOf
from comet.http.request import RequestHead
from comet.hub.hub import Hub
from comet.interfaces.sockets import ClientSocket
from comet.lean.edge import Edge
from comet.lean.plans import (
    HAND_OVER,
    NOTHING_TAKEN,
    Asked,
    ParsedHeaders,
    ParsedRequest,
    ReadPlan,
    RequestConnection,
)
from comet.lean.streams import TwoWayConnection
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.transports.websocketprotocol import CometWebSocketProtocol
from comet.transports.websocketreader import WebSocketReader


class WebSocketConnection(TwoWayConnection[CometWebSocketProtocol]):
    """
    The connection of a WebSocket.
    """

    __slots__ = ("_client", "_forwarded", "_handshake", "_makeProtocol", "_reader")

    def __init__(
        self,
        edge: Edge,
        socket: ClientSocket,
        fd: int,
        traffic: Traffic,
        isShared: bool,
        makeProtocol: Callable[[], CometWebSocketProtocol],
        client: Client,
        handshake: bytes,
        forwarded: str | None,
    ) -> None:
        """
        @param makeProtocol: Makes a protocol of Autobahn's.

        @param handshake: The response to the handshake.  It is sent together
            with the first data that is written, or by L{answer}.

        @param forwarded: The client's IP address, if a trusted proxy has told it.
        """
        super().__init__(edge, socket, fd, traffic, isShared)
        self._handshake = handshake
        self._makeProtocol = makeProtocol
        self._client = client
        self._forwarded = forwarded
        self._protocol = None
        self._reader: WebSocketReader | None = None

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write<comet.interfaces.sinks.ISink.write>}.
        """
        self.traffic.dataOut += len(data)
        if self._handshake:
            data, self._handshake = self._handshake + data, b""
        return self.push(data)

    def answer(self) -> None:
        """
        Answer the handshake, unless data was written already.
        """
        if self._handshake:
            self.write(b"")

    def makeReader(self, shape: WebSocketShape, isBare: bool) -> WebSocketReader:
        """
        Make the reader of the connection.

        @param isBare: True if the WebSocket begins without names.
        """
        fanout = self.edge.hub.fanout
        opening = None if isBare else b""
        self._reader = reader = WebSocketReader(fanout, shape, self, opening, self)
        return reader

    def _ensureProtocol(self) -> CometWebSocketProtocol:
        """
        Return Autobahn's protocol, and make it first if there is none.
        """
        protocol = self._protocol
        if protocol is None:
            reader = self._reader
            assert reader is not None, "a WebSocket without a reader"
            self._protocol = protocol = self._makeProtocol()
            protocol.traffic = self.traffic
            protocol.makeConnection(self)
            protocol.attend(self.edge.hub, self._client, reader, self, self._forwarded)
        return protocol

    def received(self, data: bytes) -> None:
        """
        See L{Connection.received<comet.lean.connection.Connection.received>}.
        """
        protocol = self._protocol
        if protocol is None:
            protocol = self._ensureProtocol()
        protocol.dataReceived(data)

    def inputEnded(self) -> None:
        """
        See L{Connection.inputEnded<comet.lean.connection.Connection.inputEnded>}.
        """
        reader = self._reader
        if self._protocol is None and reader is not None and reader.progress.names:
            reader.inputEnded()
        else:
            self._ensureProtocol().inputEnded()

    def sendCloseFrame(self, code: int | None, reasonUtf8: bytes | None) -> None:
        """
        Begin the closing handshake, as L{WebSocketReader} asks its protocol to.
        """
        self._ensureProtocol().sendCloseFrame(code, reasonUtf8)

    def connectionLost(self) -> None:
        """
        Do nothing: Autobahn's protocol calls this from within L{gone}, which
        has closed the sink already.
        """

    def gone(self) -> None:
        """
        See L{Connection.gone<comet.lean.connection.Connection.gone>}.
        """
        super().connectionLost()
        self._reader = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost()


class WebSocketPlan(ReadPlan):
    """
    A plan of requests that upgrade to a WebSocket.

    @ivar shape: The shape of what the readers are written.

    @ivar isBare: True if the WebSocket begins without names.
    """

    checksOrigin = True

    __slots__ = (
        "_extension",
        "_handshakeEnd",
        "_headers",
        "_makeProtocol",
        "_warning",
        "isBare",
        "shape",
    )

    def __init__(
        self,
        makeProtocol: Callable[[], CometWebSocketProtocol],
        hub: Hub,
        asked: Asked,
    ) -> None:
        """
        @param makeProtocol: Makes a protocol of Autobahn's.
        """
        super().__init__(hub, asked)
        self._makeProtocol = makeProtocol
        self._headers = asked.head.headers
        self._warning = warningOf(asked.head)
        self.isBare = not asked.request.names
        self._extension, compression = agree(asked.head, hub.settings.compression)
        self.shape = WebSocketShape(asked.request.time, compression)
        self._handshakeEnd = b""

    @property
    def shared(self) -> Sequence[object]:
        """
        See L{Plan.shared<comet.lean.plans.Plan.shared>}.
        """
        return (*super().shared, self._headers, self._makeProtocol)

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        handshake = self._answerHandshake(request.headers)
        if handshake is None:
            return HAND_OVER

        def makeReader() -> WebSocketReader:
            traffic = self.hub.metrics.of(self.transport, self.account)
            traffic.requests += 1
            traffic.headIn += size
            traffic.headOut += len(handshake)
            sock, fd, _ = connection.release(size)
            # The connection keeps no plan: plans are many, and large beside a
            # connection that waits.
            sink = WebSocketConnection(
                connection.edge,
                sock,
                fd,
                traffic,
                self.account is None,
                self._makeProtocol,
                client,
                handshake,
                connection.forwarded,
            )
            sink.start()
            return sink.makeReader(self.shape, self.isBare)

        rest = connection.buffer[size:]
        reader = self.hub.openStream(
            client,
            self.names,
            request.since,
            makeReader,
            self.opener,
            connection,
            self.request.reader,
            transport=self.transport,
        )
        sink = reader.sink
        assert isinstance(sink, WebSocketConnection), sink
        sink.answer()
        if rest:
            sink.received(rest)
        return NOTHING_TAKEN

    def _answerHandshake(self, headers: ParsedHeaders) -> bytes | None:
        """
        Make the response to a handshake, as L{answerHandshake} does.  Its end
        does not depend on the key, and is made once.

        @return: L{None} if the request is of another version of the protocol.

        @raise BadRequest: If the request is no handshake.
        """
        if self._handshakeEnd:
            return acceptKey((headers.key or b"").decode("ascii")) + self._handshakeEnd
        key = () if headers.key is None else (headers.key,)
        given = self._headers

        def valuesOf(name: bytes) -> Sequence[bytes]:
            return key if name == b"Sec-WebSocket-Key" else given(name)

        head = RequestHead(b"GET", (), b"", (1, 1), valuesOf, False)
        response = answerHandshake(head, self._warning, self._extension)
        if response is not None:
            self._handshakeEnd = response[ACCEPT_SIZE:]
        return response
