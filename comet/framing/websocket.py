"""
The format of WebSocket: one envelope a text message, in frames of a server; and the
frames of a client that are read without a machine.
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


def wholeText(data: bytes) -> bytes | None:
    """
    Read a text message of a client that came whole and alone, in one frame of less
    than 64 KiB, as commands mostly do.

    @return: The payload, which is UTF-8; L{None} for all else, also for what no client
        may send.
    """
    # RFC 6455 5.2: FIN and the opcode of text; then, with the bit that says it is masked,
    # the length in its shortest form; then the mask.
    if len(data) < 6 or data[0] != 0x81:
        return None
    start, size = 6, data[1] & 0x7F
    if size == 126:
        start, size = 8, int.from_bytes(data[2:4], "big")
        if size < 126:
            return None
    if not data[1] & 0x80 or size == 127 or len(data) != start + size:
        return None
    mask = (data[start - 4 : start] * (size // 4 + 1))[:size]
    number = int.from_bytes(data[start:], "big") ^ int.from_bytes(mask, "big")
    payload = number.to_bytes(size, "big")
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return payload


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
