"""
The format of WebSocket: one envelope a text message, in frames of a server; and the
frames of a client that are read without a machine.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from comet.framing.budget import CompressionBudget
from comet.framing.compression import Compression
from comet.framing.deflate import FLUSHED
from comet.framing.envelope import EnvelopeShape, encodeEnvelope
from comet.model.messages import Message

# RFC 6455 5.2: FIN and the opcode of text; and with them RSV1, which RFC 7692 6 has for
# a message that is compressed.
_TEXT: Final = 0x81
_COMPRESSED_TEXT: Final = 0xC1

# Bytes of a control frame's payload; RFC 6455 5.5.
MAX_CONTROL_BYTES: Final = 125

# Statuses of a close frame; RFC 6455 7.4.1.
NORMAL_CLOSURE: Final = 1000
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
MESSAGE_TOO_BIG: Final = 1009


def textFrame(payload: bytes, first: int = _TEXT) -> bytes:
    """
    Make a frame with a whole text message, not masked, as a server sends it.

    @param payload: Text in UTF-8, or what compression has made of it.

    @param first: The first byte of the frame.
    """
    length = len(payload)
    # RFC 6455 5.2: the length in the shortest form of 7 bits, 126 and 16 bits, or 127 and
    # 64 bits.
    if length < 126:
        head = bytes((first, length))
    elif length < 0x10000:
        head = bytes((first, 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 127)) + length.to_bytes(8, "big")
    return head + payload


def firstText(data: bytes) -> tuple[bytes, int] | None:
    """
    Read a text message of a client that came whole, in one frame of less than 64 KiB, as
    commands mostly do.

    @param data: The frame, and what has come behind it.

    @return: The payload, which is UTF-8, and how many bytes the frame has; L{None} for all
        else, also for what no client may send.
    """
    # RFC 6455 5.2: FIN and the opcode of text; then, with the bit that says it is masked,
    # the length in its shortest form; then the mask.
    if len(data) < 6 or data[0] != _TEXT:
        return None
    start, size = 6, data[1] & 0x7F
    if size == 126:
        start, size = 8, int.from_bytes(data[2:4], "big")
        if size < 126:
            return None
    end = start + size
    if not data[1] & 0x80 or size == 127 or len(data) < end:
        return None
    mask = (data[start - 4 : start] * (size // 4 + 1))[:size]
    number = int.from_bytes(data[start:end], "big") ^ int.from_bytes(mask, "big")
    payload = number.to_bytes(size, "big")
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return payload, end


@frozen(cache_hash=True)
class WebSocketShape(EnvelopeShape):
    """
    One envelope a text message.

    @ivar compression: Which messages are compressed; L{None} if that was not agreed on
        in the handshake.
    """

    compression: Compression | None = None

    def piece(self, envelope: bytes) -> bytes:
        """
        Make a frame.
        """
        return textFrame(envelope)

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Make the frame of a message, compressed if it is to be and becomes shorter.
        """
        if self.compression is None:
            return textFrame(encodeEnvelope(message, self.time, replay))
        return self.messageWithin(message, CompressionBudget(), replay)

    def messageWithin(
        self, message: Message, budget: CompressionBudget, replay: bool = False
    ) -> bytes:
        """
        Make the frame of a message, compressed if it is to be, there is budget for that,
        and it becomes shorter.
        """
        envelope = encodeEnvelope(message, self.time, replay)
        compression = self.compression
        if compression is not None and compression.takes(message):
            blocks = budget.deflate(envelope, compression.window)
            if blocks is not None:
                # RFC 7692 7.2.1
                return textFrame(blocks.removesuffix(FLUSHED), _COMPRESSED_TEXT)
        return textFrame(envelope)
