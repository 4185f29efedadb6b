"""
WebSocket: the frames that a server sends, an envelope a text message.
"""

from __future__ import annotations

from attrs import frozen

from comet.framing.envelope import EnvelopeShape


def textFrame(payload: bytes) -> bytes:
    """
    A whole text message as one frame, not masked, as a server sends it.

    @param payload: Text in UTF-8.
    """
    length = len(payload)
    # RFC 6455 5.2: FIN and the opcode of text; then the length in 7 bits, or
    # 126 and 16 bits, or 127 and 64 bits, whichever is the shortest.
    if length < 126:
        head = bytes((0x81, length))
    elif length < 0x10000:
        head = b"\x81\x7e" + length.to_bytes(2, "big")
    else:
        head = b"\x81\x7f" + length.to_bytes(8, "big")
    return head + payload


@frozen(cache_hash=True)
class WebSocketShape(EnvelopeShape):
    """
    One envelope a text message.
    """

    def piece(self, envelope: bytes) -> bytes:
        """
        A frame.
        """
        return textFrame(envelope)
