"""
WebSocket, as RFC 6455 has it: an envelope a message, commands upwards.

This is the one module that uses Autobahn, for the frames that clients send.
What goes to them is written by the reader, past Autobahn; and so is the answer
to the handshake: Autobahn begins where a WebSocket is open.
"""

from __future__ import annotations

from typing import Any, Final

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import BadMessage
from comet.fanout.core import Fanout
from comet.fanout.streams import StreamReader
from comet.framing.websocket import WebSocketShape
from comet.http.handshake import answerHandshake, notUpgrade, otherVersion
from comet.http.reads import ReadRequest
from comet.http.request import checkHeaderValues
from comet.hub import Hub
from comet.interfaces import ISink, ISinkOwner
from comet.metrics import Traffic
from comet.model.clients import Client
from comet.model.messages import Close
from comet.transports.detach import detach, isDetachable
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource
from comet.transports.session import Session
from comet.transports.sinks import IConnectedSink, makeSink
from comet.transports.throttle import InputThrottle

# In how many frames a message may come: empty ones would take memory without
# counting as size.
MAX_FRAMES: Final = 1024

# RFC 6455 7.4.1, and 1013 and 1012 of the IANA's registry.
_STATUSES: Final = {"internal": 1011, "unavailable": 1013, "tooMany": 1013, "draining": 1001}
_POLICY: Final = 1008

# RFC 6455 5.5: bytes.
MAX_CONTROL_BYTES: Final = 125

# RFC 6455 5.5.3
_PONG: Final = 0x8A

# What Autobahn makes for the handshake, and never needs again.
_HANDSHAKE: Final = (
    "_transport_details",
    "is_open",
)


# Where Autobahn stands when it has answered a handshake.
_OPEN: Final = {
    "current_frame": None,
    "inside_message": False,
    "state": WebSocketServerProtocol.STATE_OPEN,
    "websocket_version": 13,
}


# Counted for each connection otherwise, and read by nobody.
_TRAFFIC: Final = TrafficStats()


class _Quiet:
    """
    A log for Autobahn, which tells of every step of every connection, and of
    each client's faults as if they were ours.
    """

    _log = Logger(namespace="comet.transports.websocket")

    def debug(self, format: str, **kwargs: object) -> None:
        """
        Keep nothing.
        """

    trace = info = warn = debug

    def error(self, format: str, **kwargs: object) -> None:
        """
        Keep what is a fault of ours.
        """
        self._log.error(format, **kwargs)

    critical = failure = error


class WebSocketReader(StreamReader):
    """
    A reader whose last words are followed by the closing handshake.
    """

    __slots__ = ("protocol",)

    # A slot of the class, narrower than what it inherits.
    shape: WebSocketShape

    def __init__(
        self,
        fanout: Fanout,
        shape: WebSocketShape,
        sink: ISink,
        opening: bytes | None,
        protocol: Any,
    ) -> None:
        """
        @param protocol: The owner of the sink, that does the closing handshake
            when its C{sendCloseFrame} is called with a status and a reason.
        """
        super().__init__(fanout, shape, sink, opening, protocol)
        self.protocol = protocol

    def finish(self, close: Close) -> None:
        """
        See L{StreamReader.finish}.
        """
        code = _STATUSES.get(close.code, _POLICY)
        # RFC 6455 5.5: at most 125 bytes, with the status; whole characters.
        reason = close.message.encode("utf-8")[: MAX_CONTROL_BYTES - 2].decode("utf-8", "ignore")
        self.protocol.sendCloseFrame(code, reason.encode("utf-8"))


@implementer(ISinkOwner)
class CometWebSocketProtocol(WebSocketServerProtocol):
    """
    The frames of one client.
    """

    log = _Quiet()

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0
        self._sink: IConnectedSink | None = None
        self._reader: StreamReader | None = None
        self._session: Session | None = None
        self._throttle: InputThrottle | None = None
        self.traffic = Traffic()

    def connectionMade(self) -> None:
        """
        The handshake was answered.
        """
        self._connectionMade()
        kept = {name: value for name, value in vars(self).items() if name not in _HANDSHAKE}
        # A copy, since what has been large would stay so.  Nothing is ever put
        # into the queue, which is for writes in parts.
        self.__dict__ = {**kept, **_OPEN, "send_queue": (), "trafficStats": _TRAFFIC}

    def makeReader(
        self, hub: Hub, client: Client, readRequest: ReadRequest, isBare: bool, answer: bytes
    ) -> WebSocketReader:
        """
        Answer the handshake, and make who reads.

        @param isBare: Whether it begins without names.

        @param answer: The answer.
        """
        sink = makeSink(self.transport, self.traffic)
        self.traffic.countOpening(len(answer))
        sink.write(answer)
        shape = WebSocketShape(time=readRequest.time)
        opening = None if isBare else b""
        reader = WebSocketReader(hub.fanout, shape, sink, opening, self)
        self.attend(hub, client, reader, sink)
        return reader

    def attend(
        self, hub: Hub, client: Client, reader: WebSocketReader, sink: IConnectedSink
    ) -> None:
        """
        Deal with what is received for a reader.

        @param sink: Where the reader writes to.
        """
        self._sink, self._reader = sink, reader
        self._throttle = throttle = InputThrottle(hub.clock, self.transport, super().dataReceived)
        self._session = Session(hub, client, reader, reader.shape, throttle)

    def dataReceived(self, data: bytes) -> None:
        """
        Some bytes came.
        """
        self.traffic.dataIn += len(data)
        if self._throttle is None:
            super().dataReceived(data)
        else:
            self._throttle.dataReceived(data)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """
        Write what is Autobahn's own: the end.
        """
        self.traffic.dataOut += len(data)
        super().sendData(data, sync, chopsize)

    def onMessageFrameBegin(self, length: int) -> None:
        """
        A frame of a message begins.
        """
        self._frames += 1
        if self._frames > MAX_FRAMES and not self.failedByMe:
            self._fail_connection(_POLICY, f"a message has at most {MAX_FRAMES} frames")
        else:
            super().onMessageFrameBegin(length)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """
        A command came.
        """
        self._frames = 0
        if self._session is None:
            return
        if isBinary:
            self._session.refuse(None, BadMessage("commands are text messages, not binary ones"))
        else:
            self._session.commandReceived(payload)

    def onPing(self, payload: bytes) -> None:
        """
        Answer in the order of everything else, so that a client that does not
        take the answers is not read from.
        """
        if self._session is not None:
            self._session.sendPong(bytes((_PONG, len(payload))) + payload)

    def onFrameData(self, payload: bytes) -> bool | None:
        """
        Some of a frame came.
        """
        frame = self.current_frame
        # Autobahn has failed the connection already, and would keep all of it.
        if frame.opcode > 7 and frame.length > MAX_CONTROL_BYTES:
            return None
        kept: bool | None = super().onFrameData(payload)
        return kept

    def unregisterProducer(self) -> None:
        """
        Do nothing: what is registered is the sink's.
        """

    def _closeConnection(self, abort: bool = False) -> None:
        # RFC 6455 7.1.1: cleanly, so that the close frame arrives.  Should the
        # client not take it, the reader sees to the end.
        if self._sink is not None:
            self._sink.finish()

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """
        Begin, or answer, the closing handshake: RFC 6455 5.5.1 allows no
        message after it.
        """
        reader, session = self._reader, self._session
        if reader is not None:
            reader.leave()
        if session is not None:
            self._session = None
            session.readerClosed()
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def sinkReady(self) -> None:
        """
        See L{ISinkOwner.sinkReady}.
        """
        if self._session is not None:
            self._session.sinkReady()

    def sinkLost(self) -> None:
        """
        See L{ISinkOwner.sinkLost}.
        """
        self._session = None
        self._reader = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client left.
        """
        super().connectionLost(reason)
        # They hold one another, and would wait for the garbage collector.
        self.is_closed = None
        throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.stop()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.connectionLost()


def makeFactory(hub: Hub) -> WebSocketServerFactory:
    """
    Autobahn's factory, with everything set that is unsafe by default.
    """
    clock: IReactorTime = hub.clock
    factory = WebSocketServerFactory(server=None, reactor=clock)
    most = hub.settings.limits.maxCommandBytes
    factory.setProtocolOptions(
        versions=[13],
        webStatus=False,
        utf8validateIncoming=True,
        maskServerFrames=False,
        requireMaskedClientFrames=True,
        applyMask=True,
        maxFramePayloadSize=most,
        maxMessagePayloadSize=most,
        autoFragmentSize=0,
        # Say what was wrong, before the connection is closed.
        failByDrop=False,
        echoCloseCodeReason=False,
        # Its timers are the global reactor's; ours are on the wheel.
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        tcpNoDelay=True,
        perMessageCompressionAccept=lambda offers: None,
        autoPingInterval=0,
        autoPingTimeout=0,
        serveFlashSocketPolicy=False,
        # The origin is judged on Twisted's request, and not passed on.
        allowedOrigins=["*"],
        allowNullOrigin=True,
        maxConnections=0,
        trustXForwardedFor=0,
    )
    return factory


def makeProtocolClass(factory: WebSocketServerFactory) -> type[CometWebSocketProtocol]:
    """
    A class that has the options of a factory: Autobahn copies each option to
    each connection that has it not.
    """
    options = {name: getattr(factory, name) for name in CometWebSocketProtocol.CONFIG_ATTRS}
    # A function in a class would be a method.
    accept = staticmethod(options.pop("perMessageCompressionAccept"))
    members = {**options, "perMessageCompressionAccept": accept, "CONFIG_ATTRS": ()}
    return type("ConfiguredProtocol", (CometWebSocketProtocol,), members)


class WebSocketResource(HubResource):
    """
    Upgrades to a WebSocket.

    @cvar isBare: Whether it begins without names, and the path has none.
    """

    transport = "websocket"
    isBare = False

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._factory = makeFactory(hub)
        self._protocol = makeProtocolClass(self._factory)

    def makeProtocol(self) -> CometWebSocketProtocol:
        """
        Make what reads the frames of one client.
        """
        protocol = self._protocol()
        protocol.factory = self._factory
        return protocol

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Upgrade.
        """
        names = () if self.isBare else self.names(exchange)
        readRequest = exchange.parseReadRequest(names, self.transport)
        self.begin(exchange, readRequest, self.client(exchange))

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Upgrade, to what was asked for.
        """
        checkHeaderValues(exchange.rawHeaders(), resplit=True)
        exchange.checkOrigin()
        request = exchange.request
        if not isDetachable(request):
            raise notUpgrade()
        answer = answerHandshake(exchange.head)
        if answer is None:
            exchange.respond(otherVersion())
            return

        def makeReader() -> StreamReader:
            protocol = self.makeProtocol()
            protocol.traffic = exchange.trafficFor(self.transport)
            exchange.countRequest(protocol.traffic)
            request.setResponseCode(101)
            detach(request, protocol)
            return protocol.makeReader(self.hub, client, readRequest, self.isBare, answer)

        self.hub.openStream(client, readRequest.names, readRequest.since, makeReader)


class SocketResource(WebSocketResource):
    """
    Upgrades to a WebSocket that begins without names.
    """

    isBare = True
    hasPath = False
