"""
An echo made of comet's WebSocket classes, on Twisted's edge in memory and on the lean
edge over loopback, and a client that plays a case against it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from comet.framing.deflate import FLUSHED, deflate
from comet.framing.publications import Limits
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.lean.websocket import WebSocketPlan
from comet.transports.websocket import SocketResource, WebSocketResource
from comet.transports.websocketfactory import makeProtocolClass
from comet.transports.websocketprotocol import CometWebSocketProtocol
from comet.web.resources import CometResource
from tests.lean.case import UPGRADE, LeanTestCase, request
from tests.rfc6455.cases import LARGEST, Case
from tests.rfc6455.wire import BINARY, CLOSE, TEXT, Heard, closing, readHeard
from tests.transports.case import HubTestCase
from tests.transports.wire import Wire

HANDSHAKE = request("/socket", UPGRADE)

# The largest case has to fit into a frame.
ROOMY = Settings(limits=Limits(maxMessage=LARGEST))


class EchoProtocol(CometWebSocketProtocol):
    """
    Sends each message back.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """
        Send the message back, in its order among the answers to pings.
        """
        assert self._session is not None
        first = 0x80 | (BINARY if isBinary else TEXT)
        compression = self._reader.shape.compression  # type: ignore[union-attr]
        if compression is not None:
            # As comet compresses a message, but also one that is small or binary.
            payload = deflate(payload, compression.window).removesuffix(FLUSHED)
            first |= 0x40
        length = len(payload)
        head = bytes([first])
        if length < 126:
            head += bytes([length])
        elif length < 0x10000:
            head += b"\x7e" + length.to_bytes(2, "big")
        else:
            head += b"\x7f" + length.to_bytes(8, "big")
        self._session.sendPong(head + payload)


class EchoResource(SocketResource):
    """
    C{/socket}, with the echo in the place of commands.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        options = vars(makeProtocolClass(self._factory))
        self._protocol = type("Echo", (EchoProtocol,), dict(options))


class Connection(Protocol):
    """
    The client's side of a connection.
    """

    def send(self, packets: Sequence[bytes]) -> None:
        """
        Send packets, and let the server take each of them.
        """

    def take(self) -> bytes:
        """
        Return what has arrived since the last call, once nothing more comes.
        """

    @property
    def isOpen(self) -> bool:
        """
        Whether the server has not closed the connection.
        """


class MemoryConnection:
    """
    A connection to Twisted's edge.
    """

    def __init__(self, case: HubTestCase, wire: Wire) -> None:
        self._case = case
        self._wire = wire

    def send(self, packets: Sequence[bytes]) -> None:
        """
        See L{Connection.send}.
        """
        self._wire.send(*packets)

    def take(self) -> bytes:
        """
        See L{Connection.take}.
        """
        self._case.turn()
        return self._wire.take()

    @property
    def isOpen(self) -> bool:
        """
        See L{Connection.isOpen}.
        """
        return self._wire.isOpen


class LoopbackConnection:
    """
    A connection to the lean edge.
    """

    def __init__(self, reactor: Any, client: socket.socket) -> None:
        self._reactor = reactor
        self._socket = client
        # Each packet is one, and goes out at once.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard: list[bytes] = []
        self.isOpen = True

    def send(self, packets: Sequence[bytes]) -> None:
        """
        See L{Connection.send}.
        """
        for packet in packets:
            rest = memoryview(packet)
            while rest and self.isOpen:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    pass
                except ConnectionError:
                    return
                self._reactor.turn()
                if rest:
                    self._receive()

    def take(self) -> bytes:
        """
        See L{Connection.take}.
        """
        quiet = 0
        while quiet < 3:
            before = self._reactor.turns, len(self._heard)
            self._reactor.turn()
            self._receive()
            quiet = quiet + 1 if before == (self._reactor.turns, len(self._heard)) else 0
        heard, self._heard = b"".join(self._heard), []
        return heard

    def _receive(self) -> None:
        while self.isOpen:
            try:
                piece = self._socket.recv(1 << 20)
            except BlockingIOError:
                return
            except ConnectionError:
                piece = b""
            self.isOpen = bool(piece)
            if piece:
                self._heard.append(piece)


def play(case: Case, connection: Connection) -> str:
    """
    Play a case, and close the connection.

    @return: What was wrong; empty if nothing was.
    """
    if case.begun:
        connection.send([case.begun])
        early = connection.take()
        if early or not connection.isOpen:
            return f"heard early: {early!r}"
    connection.send(case.sent)
    heard = readHeard(connection.take())
    if case.status is None:
        if not connection.isOpen:
            return f"closed: {heard}"
        connection.send([closing(1000)])
        heard += readHeard(connection.take())
    *messages, last = heard or [Heard(-1, b"")]
    if last.opcode != CLOSE:
        if connection.isOpen or not case.mayBeSilent:
            return f"no closing frame, open: {connection.isOpen}: {heard}"
        return "" if tuple(heard) == tuple(case.heard) else f"heard {heard}"
    if tuple(messages) != tuple(case.heard):
        return f"heard {messages}, and not {list(case.heard)}"
    status = int.from_bytes(last.payload[:2], "big")
    if status != (1000 if case.status is None else case.status):
        return f"closed with {status}, and not {case.status}"
    # RFC 6455, 7.1.1: the client answers, and the server closes TCP.
    connection.send([case.rest + closing(status)])
    if connection.take() or connection.isOpen:
        return "not closed after the closing handshake"
    return ""


class MemoryEcho(HubTestCase):
    """
    The echo on Twisted's edge.

    @ivar answer: The response to the last handshake.
    """

    settings = ROOMY
    answer = b""

    def setUp(self) -> None:
        """
        Serve the echo.
        """
        super().setUp()
        comet = CometResource(self.hub)
        comet.putChild(b"socket", EchoResource(self.hub))
        self.site = self.makeSite(comet)

    def open(self, handshake: bytes = HANDSHAKE) -> Connection:
        """
        Open a WebSocket.

        @param handshake: The request of the client.
        """
        wire = self.connect()
        wire.send(handshake)
        self.answer = wire.take()
        self.assertTrue(self.answer.startswith(b"HTTP/1.1 101 "))
        self.wires.remove(wire)
        return MemoryConnection(self, wire)


class LeanEcho(LeanTestCase):
    """
    The echo on the lean edge.

    @ivar answer: The response to the last handshake.
    """

    settings = ROOMY
    answer = b""

    def setUp(self) -> None:
        """
        Serve the echo.
        """
        super().setUp()
        makePlan = self.port._edge.requests._makePlan  # type: ignore[attr-defined]
        plan = partial(WebSocketPlan, EchoResource(self.hub).makeProtocol)
        makePlan.__self__._planClasses[WebSocketResource.transport] = plan

    def open(self, handshake: bytes = HANDSHAKE) -> Connection:
        """
        Open a WebSocket.

        @param handshake: The request of the client.
        """
        peer = self.peer(handshake)
        self.answer = peer.hears(b"\r\n\r\n")
        self.assertTrue(self.answer.startswith(b"HTTP/1.1 101 "))
        return LoopbackConnection(self.reactor, peer.socket)
