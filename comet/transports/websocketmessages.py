"""
A client's messages, put together from frames by Autobahn, within bounds.

Autobahn alone keeps objects of each frame, and a client can send frames without
bytes and without end; here a message has bounds of size, of frames and of memory,
and its compression is undone.
"""

from __future__ import annotations

from typing import Any, Final

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats

from comet.errors import CometError, TooLarge
from comet.framing.deflate import FLUSHED, INFLATER_BYTES, Inflater
from comet.framing.websocket import (
    INVALID_DATA,
    MAX_CONTROL_BYTES,
    MESSAGE_TOO_BIG,
    POLICY_VIOLATION,
)
from comet.http.deflateoffers import NAME
from comet.logging.clientlog import ClientLogger

# Frames of one message beyond one for each of its bytes.  Empty frames would
# otherwise cost time without end and never make the message too large.
SPARE_FRAMES: Final = 1024

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

    _log = ClientLogger(namespace="comet.transports.websocketmessages")

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


class MessageProtocol(WebSocketServerProtocol):
    """
    Puts the messages of one client together.  A subclass says in C{onMessage} what
    becomes of them.
    """

    log = _Quiet()

    # Any: Autobahn has a list of bytes here.
    message_data: Any

    # Of the factory.
    maxMessagePayloadSize: int

    # Autobahn annotates these with what they are at first, or not at all.
    _perMessageCompress: Any
    _isMessageCompressed: bool

    # Whether the message is compressed, and what undoes that; nothing for one that is
    # dropped.
    _isDeflated = False
    _inflater: Inflater | None = None

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0

    def connectionMade(self) -> None:
        """
        The handshake is over: drop what only the handshake needs.
        """
        self._connectionMade()
        kept = {name: value for name, value in vars(self).items() if name not in _HANDSHAKE}
        # A new dict, since one that has been large stays large.  The send queue
        # is for writes in parts, which comet never makes.
        self.__dict__ = {**kept, **_OPEN, "send_queue": (), "trafficStats": _TRAFFIC}

    def allowCompression(self) -> None:
        """
        Take messages that are compressed: the handshake has agreed on it.
        """
        self._perMessageCompress = _DEFLATE

    @property
    def takesMessages(self) -> bool:
        """
        Whether the bytes of messages are kept.  Otherwise they are read, and dropped.
        """
        return True

    @property
    def isPartial(self) -> bool:
        """
        Whether a message or a frame has half come.
        """
        return bool(self.data or self.inside_message or self.current_frame is not None)

    def partialSize(self) -> tuple[int, int]:
        """
        How much of a message has come.

        @return: How many bytes the client has sent of it, and how many are kept.  What
            is kept of a frame's head or of a control frame is little, and is not counted.
        """
        size = len(self.message_data) if self.inside_message else 0
        if self._inflater is None:
            return size, size
        # A few bytes that become many do not count as many that have come.
        return self._inflater.taken, size + INFLATER_BYTES

    def dropMessage(self) -> None:
        """
        Keep nothing of a message that has half come.
        """
        self._dropDeflated()
        if self.inside_message:
            self.message_data = bytearray()

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
            if not self.takesMessages:
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
            self._fail_connection(POLICY_VIOLATION, reason)

    def onMessageFrameData(self, payload: bytes) -> None:
        """
        Take a part of a message.
        """
        if self.takesMessages and not self.failedByMe:
            self.message_data += payload

    def onMessageFrameEnd(self) -> None:
        """
        Do nothing: the message has the frame's bytes already.
        """

    def onMessageEnd(self) -> None:
        """
        Hand over a message that is complete.
        """
        data, self.message_data = self.message_data, None
        self._inflater = None
        if not self.failedByMe:
            self.onMessage(bytes(data), self.message_is_binary)

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
            status = MESSAGE_TOO_BIG if isinstance(error, TooLarge) else INVALID_DATA
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
