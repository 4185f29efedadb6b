"""
The format of WebSocket: one envelope a text message, in frames of a server.
"""

from __future__ import annotations

from attrs import frozen

from comet.framing.envelope import EnvelopeShape


def textFrame(payload: bytes) -> bytes:
    """
    Make a frame with a whole text message, not masked, as a server sends it.

    @param payload: Text in UTF-8.
    """
    length = len(payload)
    # RFC 6455 5.2: FIN and the opcode of text; then the length in the shortest
    # form of 7 bits, 126 and 16 bits, or 127 and 64 bits.
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
        Make a frame.
        """
        return textFrame(envelope)
