"""
WebSocket, RFC 6455: each envelope is a message, and commands come upwards.

This is the only module that uses Autobahn, for the frames that clients send.
What goes to the clients is written by the reader, past Autobahn.  The response
to the handshake is comet's, too: Autobahn begins with an open WebSocket.
"""

from __future__ import annotations

from typing import Any, Final

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import BadMessage, CometError, TooLarge
from comet.fanout.core import Fanout
from comet.fanout.streams import StreamReader
from comet.framing.commands import CommandError
from comet.framing.compression import Compression
from comet.framing.deflate import FLUSHED, INFLATER_BYTES, Inflater
from comet.framing.websocket import WebSocketShape, wholeText
from comet.http.deflateoffers import NAME, agree
from comet.http.handshake import answerHandshake, notUpgrade, otherVersion
from comet.http.parameters import warningOf
from comet.http.reads import ReadRequest
from comet.http.request import checkHeaderValues
from comet.hub.hub import Hub
from comet.interfaces.sinks import ISink, ISinkOwner
from comet.logging.clientlog import ClientLogger
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.model.messages import Close
from comet.transports.detach import detach, isDetachable
from comet.transports.exchange import Exchange
from comet.transports.partial import PartialCommand
from comet.transports.resource import HubResource
from comet.transports.session import Session
from comet.transports.sinks import IConnectedSink, makeSink
from comet.transports.throttle import InputThrottle

# Frames of one message beyond one for each of its bytes.  Empty frames would
# otherwise cost time without end and never make the message too large.
SPARE_FRAMES: Final = 1024

# RFC 6455 7.4.1, and 1012 and 1013 from IANA's registry.
_STATUSES: Final = {"internal": 1011, "unavailable": 1013, "tooMany": 1013, "draining": 1001}
_POLICY: Final = 1008
_NORMAL: Final = 1000
_TOO_LARGE: Final = 1009
_BROKEN: Final = 1007

# Bytes; RFC 6455 5.5.
MAX_CONTROL_BYTES: Final = 125

# RFC 6455 5.5.3
_PONG: Final = 0x8A

# Attributes that Autobahn makes for the handshake, and does not need later.
_HANDSHAKE: Final = (
    "_transport_details",
    "is_open",
)


# The state in which Autobahn is after a handshake.
_OPEN: Final = {
    "current_frame": None,
    "inside_message": False,
    "state": WebSocketServerProtocol.STATE_OPEN,
    "websocket_version": 13,
}


# Autobahn counts traffic for each connection; nothing reads these counts, so
# all share them.
_TRAFFIC: Final = TrafficStats()


class _Quiet:
    """
    A log for Autobahn, which reports every step of every connection, and each
    error of a client as an error of the server.
    """

    _log = ClientLogger(namespace="comet.transports.websocket")

    def debug(self, format: str, **kwargs: object) -> None:
        """
        Drop what Autobahn reports.
        """

    trace = info = warn = debug

    def error(self, format: str, **kwargs: object) -> None:
        """
        Log an error of the server.
        """
        self._log.error(format, **kwargs)

    critical = failure = error


class WebSocketReader(StreamReader):
    """
    A reader whose last words are followed by the closing handshake.
    """

    __slots__ = ("protocol",)

    # A slot of the base class, with a narrower type.
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
        @param protocol: The owner of the sink.  It does the closing handshake
            when its C{sendCloseFrame} is called with a status and a reason.
        """
        super().__init__(fanout, shape, sink, opening, protocol)
        self.protocol = protocol

    def finish(self, close: Close) -> None:
        """
        See L{StreamReader.finish}.
        """
        code = _STATUSES.get(close.code, _POLICY)
        # RFC 6455 5.5: at most 125 bytes, the status included; no part of a
        # character.
        reason = close.message.encode("utf-8")[: MAX_CONTROL_BYTES - 2].decode("utf-8", "ignore")
        self.protocol.sendCloseFrame(code, reason.encode("utf-8"))


class _Deflate:
    """
    Tells Autobahn that messages may be compressed: it lets the first bit of their first
    frame pass.  The compression is undone elsewhere.
    """

    EXTENSION_NAME = NAME

    def start_decompress_message(self) -> None:
        """
        Do nothing.
        """


_DEFLATE: Final = _Deflate()


@implementer(ISinkOwner, IHalfCloseableProtocol)
class CometWebSocketProtocol(WebSocketServerProtocol):
    """
    Reads the frames of one client.
    """

    log = _Quiet()

    # Any: Autobahn has a list of bytes here.
    message_data: Any

    # Of the factory.
    maxMessagePayloadSize: int

    # Autobahn annotates these with what they are at first, or not at all.
    _perMessageCompress: Any
    _isMessageCompressed: bool

    # Whether the next frame is the first of a piece of input, and whether the rest
    # of the piece waits for another turn.
    _isFirst = True
    _isCut = False

    # The message or control frame that has half come.
    _partial: PartialCommand | None = None

    # Whether the message is compressed, and what undoes that; nothing for one that is
    # dropped.
    _isDeflated = False
    _inflater: Inflater | None = None

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
        The handshake is over: drop what only the handshake needs.
        """
        self._connectionMade()
        kept = {name: value for name, value in vars(self).items() if name not in _HANDSHAKE}
        # A new dict, since one that has been large stays large.  The send queue
        # is for writes in parts, which comet never makes.
        self.__dict__ = {**kept, **_OPEN, "send_queue": (), "trafficStats": _TRAFFIC}

    def makeReader(
        self,
        hub: Hub,
        client: Client,
        readRequest: ReadRequest,
        isBare: bool,
        answer: bytes,
        compression: Compression | None,
        forwarded: str | None = None,
    ) -> WebSocketReader:
        """
        Answer the handshake, and make the reader.

        @param isBare: Whether the reader begins without names.

        @param compression: As L{agree} returns it.

        @param answer: The response to the handshake.

        @param forwarded: As for L{attend}.
        """
        sink = makeSink(self.transport, self.traffic)
        self.traffic.countOpening(len(answer))
        sink.write(answer)
        shape = WebSocketShape(readRequest.time, compression)
        opening = None if isBare else b""
        reader = WebSocketReader(hub.fanout, shape, sink, opening, self)
        self.attend(hub, client, reader, sink, forwarded)
        return reader

    def attend(
        self,
        hub: Hub,
        client: Client,
        reader: WebSocketReader,
        sink: IConnectedSink,
        forwarded: str | None = None,
    ) -> None:
        """
        Carry out what the client sends from now on, for a reader.

        @param sink: The reader's sink.

        @param forwarded: The client's IP address, if a trusted proxy has told it.
        """
        self._hub, self._sink, self._reader = hub, sink, reader
        self._throttle = throttle = InputThrottle(hub.turns, self.transport, self._take)
        self._session = Session(hub, client, reader, reader.shape, throttle, forwarded)
        if reader.shape.compression is not None:
            self._perMessageCompress = _DEFLATE

    def dataReceived(self, data: bytes) -> None:
        """
        Count the data, and give it to the throttle.
        """
        self.traffic.dataIn += len(data)
        if self._throttle is None:
            super().dataReceived(data)
        else:
            self._throttle.dataReceived(data)

    def _take(self, data: bytes) -> bool:
        """
        Read the frames in a piece of the client's input.

        @return: Whether some are left for another turn.
        """
        if self.state == self.STATE_OPEN and not (self._isPartial or self._partial is not None):
            # Mostly a command comes whole and alone.  Autobahn makes forty calls for a frame;
            # all that is not as it should be is left to it.
            payload = wholeText(data)
            if payload is not None and not 0 < self.maxMessagePayloadSize < len(payload):
                self.onMessage(payload, False)
                return False
        self._isFirst, self._isCut = True, False
        # What Autobahn's dataReceived() does, but for the text for its log: that is made
        # anew for each piece of input, whether it is logged or not.
        self._dataReceived(data)
        if self._isCut:
            if self.inside_message:
                # The next fragment may wait for as long as the client does not take what
                # it is sent.
                self._partCame()
            return True
        if self._isPartial:
            self._partCame()
        elif self._partial is not None:
            self._endPartial()
        return False

    @property
    def _isPartial(self) -> bool:
        """
        Whether a message or a frame has half come.
        """
        return bool(self.data or self.inside_message or self.current_frame is not None)

    def _partCame(self) -> None:
        """
        See to the message or frame that has half come.
        """
        if self._session is None or self._throttle is None:
            return
        partial = self._partial
        if partial is None:
            partial = PartialCommand(self._hub, self._throttle, self._giveUp)
            self._partial = partial
        # What is kept of a frame's head or of a control frame is little.
        size = kept = len(self.message_data) if self.inside_message else 0
        if self._inflater is not None:
            # A few bytes that become many do not count as many that have come.
            size, kept = self._inflater.taken, kept + INFLATER_BYTES
        partial.wentOn(size, kept)

    def _endPartial(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None:
            partial.end()

    def _giveUp(self, close: Close) -> None:
        """
        Send a client away whose message has half come.
        """
        self._endPartial()
        if self._reader is not None:
            self._reader.close(close)

    def processData(self) -> bool:
        """
        Read a frame, or a part of one.  Autobahn calls this again while it returns
        true.
        """
        # Any: Autobahn annotates what it is within a frame.
        frame: Any = self.current_frame
        if frame is None and self._throttle is not None:
            if not (self._isFirst or self._throttle.mayGoOn):
                self._isCut = True
                return False
            self._isFirst = False
        hasMore: bool = super().processData()
        return hasMore

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """
        Write what Autobahn sends itself: the close frame.
        """
        self.traffic.dataOut += len(data)
        super().sendData(data, sync, chopsize)

    def onMessageBegin(self, isBinary: bool) -> None:
        """
        Begin a message.
        """
        super().onMessageBegin(isBinary)
        # Autobahn would keep an object for each frame and each piece of one.  A
        # byte of payload then takes ten times as much memory, or more.
        self.message_data = bytearray()
        self._frames = 0
        self._isDeflated = self._isMessageCompressed
        if self._isDeflated:
            # The bounds of Autobahn's own differ from release to release, so it is given
            # the message as if it had come like that.
            self._isMessageCompressed = False
            self._inflater = Inflater(self.maxMessagePayloadSize)
            if self._session is None:
                self._dropDeflated()

    def onMessageFrameBegin(self, length: int) -> None:
        """
        Count the frames of a message, and fail the connection at too many.
        """
        super().onMessageFrameBegin(length)
        self._frames += 1
        most = SPARE_FRAMES + self.message_data_total_length
        if self._frames > most and not self.failedByMe:
            reason = f"a message has at most {SPARE_FRAMES} frames more than bytes"
            self._fail_connection(_POLICY, reason)

    def onMessageFrameData(self, payload: bytes) -> None:
        """
        Take a part of a message.
        """
        if self._session is not None and not self.failedByMe:
            self.message_data += payload

    def onMessageFrameEnd(self) -> None:
        """
        Do nothing: the message has the frame's bytes already.
        """

    def onMessageEnd(self) -> None:
        """
        Carry out a message that is complete.
        """
        data, self.message_data = self.message_data, None
        self._inflater = None
        self._endPartial()
        if not self.failedByMe:
            self.onMessage(bytes(data), self.message_is_binary)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """
        Carry out a command.
        """
        if self._session is None:
            return
        if isBinary:
            error = BadMessage("commands are text messages, not binary ones")
            self._session.commandReceived(CommandError(None, error))
        else:
            self._session.commandReceived(payload)

    def onPing(self, payload: bytes) -> None:
        """
        Answer a ping in its order among all other answers.  So a client that
        does not take the answers is not read from.
        """
        self._controlFrameCame()
        if self._session is not None:
            self._session.sendPong(bytes((_PONG, len(payload))) + payload)

    def onPong(self, payload: bytes) -> None:
        """
        Do nothing: comet sends no pings.
        """
        self._controlFrameCame()

    def _controlFrameCame(self) -> None:
        # Within a message it does not let the message come more slowly.
        if not self.inside_message:
            self._endPartial()

    def onFrameData(self, payload: bytes) -> bool | None:
        """
        Take a part of a frame.
        """
        frame = self.current_frame
        # Autobahn has failed the connection because of this frame, and would
        # still keep all of it.
        if frame.opcode > 7 and frame.length > MAX_CONTROL_BYTES:
            return None
        if frame.opcode <= 7 and self._isDeflated:
            payload = self._inflate(payload)
            if not payload:
                return None
        kept: bool | None = super().onFrameData(payload)
        return kept

    def onFrameEnd(self) -> bool | None:
        """
        End a frame; and what is compressed with it, before Autobahn looks at the message.
        """
        frame = self.current_frame
        if frame.opcode <= 7 and frame.fin and self._isDeflated:
            # RFC 7692 7.2.2: the sender has taken this off.
            rest = self._inflate(FLUSHED)
            if rest:
                super().onFrameData(rest)
        ended: bool | None = super().onFrameEnd()
        return ended

    def _inflate(self, data: bytes) -> bytes:
        """
        Undo the compression of a part of a message, or fail the connection.

        @return: What was compressed; nothing where the message is dropped.
        """
        inflater = self._inflater
        if inflater is None:
            return b""
        try:
            return inflater.feed(data)
        except CometError as error:
            status = _TOO_LARGE if isinstance(error, TooLarge) else _BROKEN
            self._fail_connection(status, error.detail)
            return b""

    def _dropDeflated(self) -> None:
        """
        Keep nothing of a message that is compressed, and look at nothing that comes of it.
        """
        self._inflater = None
        if self._isDeflated:
            # What has come may end within a character.
            self.utf8validateIncomingCurrentMessage = False

    def unregisterProducer(self) -> None:
        """
        Do nothing: the producer on the transport is the sink.
        """

    def _closeConnection(self, abort: bool = False) -> None:
        # RFC 6455 7.1.1: close cleanly, so that the close frame arrives.  If the
        # client does not take it, the reader cuts the connection.
        if self._sink is not None:
            self._sink.finish()

    def _dropMessage(self) -> None:
        """
        Keep nothing of a message that has half come.
        """
        self._endPartial()
        self._dropDeflated()
        if self.inside_message:
            self.message_data = bytearray()

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """
        Begin the closing handshake, or answer it.  RFC 6455 5.5.1 allows no
        message after the close frame, so the reader leaves first.
        """
        self._dropMessage()
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
        session, self._session = self._session, None
        self._reader = None
        if session is not None:
            session.clientLeft()

    def inputEnded(self) -> None:
        """
        See L{ISinkOwner.inputEnded}.
        """
        if self._throttle is not None:
            self._throttle.endInput(self._inputTaken)

    def readConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.readConnectionLost}.
        """
        self.inputEnded()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """

    def _inputTaken(self) -> None:
        """
        End the connection, unless the client reads names.  The closing handshake
        needs no answer: none can come.
        """
        session = self._session
        if session is None:
            self._closeConnection()
            return
        if self._isPartial:
            self._dropMessage()
            error = BadMessage("the last message is not complete")
            session.commandReceived(CommandError(None, error))
        session.inputEnded(self._finish)

    def _finish(self) -> None:
        self.sendCloseFrame(_NORMAL)
        self._closeConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Stop the throttle, and tell the sink.
        """
        super().connectionLost(reason)
        self._dropMessage()
        # Autobahn's bound method refers to the protocol, which would wait for
        # the garbage collector.
        self.is_closed = None
        throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.stop()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.connectionLost()


def makeFactory(hub: Hub) -> WebSocketServerFactory:
    """
    Make Autobahn's factory, with safe values for all options that are unsafe by
    default.
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
        # Tell the client what was wrong before the connection is closed.
        failByDrop=False,
        echoCloseCodeReason=False,
        # Autobahn's timers would be on the global reactor; comet's are on the
        # timer wheel.
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        tcpNoDelay=True,
        perMessageCompressionAccept=lambda offers: None,
        autoPingInterval=0,
        autoPingTimeout=0,
        serveFlashSocketPolicy=False,
        # The exchange checks the origin of the request.
        allowedOrigins=["*"],
        allowNullOrigin=True,
        maxConnections=0,
        trustXForwardedFor=0,
    )
    return factory


def makeProtocolClass(factory: WebSocketServerFactory) -> type[CometWebSocketProtocol]:
    """
    Make a protocol class that has the options of a factory as class attributes.
    Without it Autobahn would copy each option to each connection.
    """
    options = {name: getattr(factory, name) for name in CometWebSocketProtocol.CONFIG_ATTRS}
    # A plain function would become a method.
    accept = staticmethod(options.pop("perMessageCompressionAccept"))
    members = {**options, "perMessageCompressionAccept": accept, "CONFIG_ATTRS": ()}
    return type("ConfiguredProtocol", (CometWebSocketProtocol,), members)


class WebSocketResource(HubResource):
    """
    Upgrades to a WebSocket that reads the names in the path.

    @cvar isBare: Whether the reader begins without names, and the path has
        none.
    """

    transport = "websocket"
    isBare = False

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._factory = makeFactory(hub)
        self._protocol = makeProtocolClass(self._factory)

    def makeProtocol(self) -> CometWebSocketProtocol:
        """
        Make the protocol of one client.
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
        self.read(exchange, readRequest, self.begin, self.refuse)

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Upgrade for a request that is parsed.

        @raise CometError: If the client may not read, or its origin is not
            allowed.
        """
        checkHeaderValues(exchange.rawHeaders(), resplit=True)
        exchange.checkOrigin()
        request = exchange.request
        if not isDetachable(request):
            raise notUpgrade()
        extension, compression = agree(exchange.head, self.hub.settings.compression)
        answer = answerHandshake(exchange.head, warningOf(exchange.head), extension)
        if answer is None:
            exchange.respond(otherVersion())
            return

        def makeReader() -> StreamReader:
            protocol = self.makeProtocol()
            protocol.traffic = exchange.trafficFor(self.transport)
            exchange.countRequest(protocol.traffic)
            request.setResponseCode(101)
            detach(request, protocol)
            return protocol.makeReader(
                self.hub,
                client,
                readRequest,
                self.isBare,
                answer,
                compression,
                exchange.forwarded,
            )

        names, since = readRequest.names, readRequest.since
        self.hub.openStream(
            client,
            names,
            since,
            makeReader,
            peer=exchange,
            readerID=readRequest.reader,
            transport=self.transport,
        )


class SocketResource(WebSocketResource):
    """
    Upgrades to a WebSocket that begins without names.
    """

    isBare = True
    hasPath = False
