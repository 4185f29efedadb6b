"""
The commands and control frames of one client of a WebSocket.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import BadMessage
from comet.fanout.streams import StreamReader
from comet.framing.commands import CommandError
from comet.framing.compression import Compression
from comet.framing.websocket import NORMAL_CLOSURE, WebSocketShape, firstText
from comet.http.reads import ReadRequest
from comet.hub.hub import Hub
from comet.interfaces.sinks import ISinkOwner
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.model.messages import Close
from comet.transports.partial import PartialCommand
from comet.transports.session import Session
from comet.transports.sinks import IConnectedSink, makeSink
from comet.transports.throttle import InputThrottle
from comet.transports.websocketmessages import MessageProtocol
from comet.transports.websocketreader import WebSocketReader

# RFC 6455 5.5.3
_PONG: Final = 0x8A


@implementer(ISinkOwner, IHalfCloseableProtocol)
class CometWebSocketProtocol(MessageProtocol):
    """
    Carries out what one client sends, and closes its connection.
    """

    # Whether the next frame is the first of a piece of input, and whether the rest
    # of the piece waits for another turn.
    _isFirst = True
    _isCut = False

    # The message or control frame that has half come.
    _partial: PartialCommand | None = None

    def __init__(self) -> None:
        super().__init__()
        self._sink: IConnectedSink | None = None
        self._reader: StreamReader | None = None
        self._session: Session | None = None
        self._throttle: InputThrottle | None = None
        self.traffic = Traffic()

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
            self.allowCompression()

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
        self._isFirst, self._isCut = True, False
        if self.state == self.STATE_OPEN and not (self.isPartial or self._partial is not None):
            # Mostly a command comes whole and alone.  Autobahn makes forty calls for a frame;
            # all that is not as it should be is left to it.
            text = self._firstText(data)
            if text is not None:
                self.onMessage(text[0], False)
                data = data[text[1] :]
                if not data:
                    return False
                self._isFirst = False
        # What Autobahn's dataReceived() does, but for the text for its log: that is made
        # anew for each piece of input, whether it is logged or not.
        self._dataReceived(data)
        if self._isCut:
            if self.inside_message:
                # The next fragment may wait for as long as the client does not take what
                # it is sent.
                self._partCame()
            return True
        if self.isPartial:
            self._partCame()
        elif self._partial is not None:
            self._endPartial()
        return False

    def _firstText(self, data: bytes) -> tuple[bytes, int] | None:
        """
        Read a command that has come whole, as L{firstText} does, unless it is too large.
        """
        text = firstText(data)
        if text is not None and 0 < self.maxMessagePayloadSize < len(text[0]):
            return None
        return text

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
        partial.wentOn(*self.partialSize())

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
            if not self.inside_message and self.state == self.STATE_OPEN:
                # Commands that came together are taken one by one, as one alone is.
                text = self._firstText(self.data)
                if text is not None:
                    self.data = self.data[text[1] :]
                    self._endPartial()
                    self.onMessage(text[0], False)
                    return bool(self.data)
        hasMore: bool = super().processData()
        return hasMore

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """
        Write what Autobahn sends itself: the close frame.
        """
        self.traffic.dataOut += len(data)
        super().sendData(data, sync, chopsize)

    @property
    def takesMessages(self) -> bool:
        """
        Whether there is a session that carries out commands.
        """
        return self._session is not None

    def onMessageEnd(self) -> None:
        """
        Carry out a message that is complete.
        """
        self._endPartial()
        super().onMessageEnd()

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

    def unregisterProducer(self) -> None:
        """
        Do nothing: the producer on the transport is the sink.
        """

    def _closeConnection(self, abort: bool = False) -> None:
        # RFC 6455 7.1.1: close cleanly, so that the close frame arrives.  If the
        # client does not take it, the reader cuts the connection.
        if self._sink is not None:
            self._sink.finish()

    def dropMessage(self) -> None:
        """
        Keep nothing of a message that has half come, and wait for no more of it.
        """
        self._endPartial()
        super().dropMessage()

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """
        Begin the closing handshake, or answer it.  RFC 6455 5.5.1 allows no
        message after the close frame, so the reader leaves first.
        """
        self.dropMessage()
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
        if self.isPartial:
            self.dropMessage()
            error = BadMessage("the last message is not complete")
            session.commandReceived(CommandError(None, error))
        session.inputEnded(self._finish)

    def _finish(self) -> None:
        self.sendCloseFrame(NORMAL_CLOSURE)
        self._closeConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Stop the throttle, and tell the sink.
        """
        super().connectionLost(reason)
        self.dropMessage()
        # Autobahn's bound method refers to the protocol, which would wait for
        # the garbage collector.
        self.is_closed = None
        throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.stop()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.connectionLost()
