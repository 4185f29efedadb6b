"""
Frames as a client of RFC 6455 sends them, right and wrong, and those that it gets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_MASK: Final = b"\x37\xfa\x21\x3d"


def frame(opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0) -> bytes:
    """
    Make a masked frame (RFC 6455, 5.2).
    """
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    length = len(payload)
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 0x10000:
        head += b"\xfe" + length.to_bytes(2, "big")
    else:
        head += b"\xff" + length.to_bytes(8, "big")
    # As one number: a loop over 16 MiB takes seconds.
    mask = (_MASK * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + _MASK + masked.to_bytes(length, "big")


def fragments(opcode: int, parts: Iterable[bytes]) -> list[bytes]:
    """
    Make the frames of a message, one for each part (RFC 6455, 5.4).
    """
    parts = list(parts)
    return [
        frame(CONTINUATION if number else opcode, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]


def cut(data: bytes, size: int) -> list[bytes]:
    """
    Cut bytes into pieces of a size.
    """
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def closing(status: int | None, reason: bytes = b"") -> bytes:
    """
    Make a close frame (RFC 6455, 5.5.1).
    """
    return frame(CLOSE, b"" if status is None else status.to_bytes(2, "big") + reason)


class Heard(NamedTuple):
    """
    A frame of the server: a whole message, or a control frame.
    """

    opcode: int
    payload: bytes

    def __repr__(self) -> str:
        """
        Show the beginning of the payload.
        """
        return f"{self.opcode}:{len(self.payload)}:{self.payload[:40]!r}"


def readHeard(data: bytes) -> list[Heard]:
    """
    Parse frames of a server, which are whole, unmasked and without extensions.
    """
    heard = []
    at = 0
    while at < len(data):
        first, length = data[at], data[at + 1]
        assert first & 0xF0 == 0x80, f"not a whole message without extensions: {first:#x}"
        at += 2
        if length >= 126:
            size = {126: 2, 127: 8}[length]
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        assert at + length <= len(data), "a frame is cut"
        heard.append(Heard(first & 0x0F, data[at : at + length]))
        at += length
    return heard
