"""
How long the frames of HTTP/2 say that they are.
"""

from __future__ import annotations

from typing import Final

# RFC 9113 3.4: so many bytes come before the first frame.
_PREFACE: Final = 24

# RFC 9113 4.1: of the head of a frame, so many bytes are its length, which does
# not count the head, and so many follow.
_LENGTH: Final = 3
_REST: Final = 6

# RFC 9113 4.2: how long a frame may be if nothing else was agreed on.
MOST_FRAME: Final = 16384


class FrameLengths:
    """
    Watches how long frames say that they are: h2 keeps all of a frame, up to
    16 MiB, before it finds that it is too long.
    """

    __slots__ = ("_head", "_skip")

    def __init__(self) -> None:
        self._skip = _PREFACE
        self._head = b""

    def check(self, data: bytes) -> bool:
        """
        Whether no frame is too long of which the head ends in these bytes.
        """
        place = self._skip
        while place < len(data):
            part = data[place : place + _LENGTH - len(self._head)]
            self._head += part
            place += len(part)
            if len(self._head) == _LENGTH:
                length = int.from_bytes(self._head, "big")
                if length > MOST_FRAME:
                    return False
                self._head = b""
                place += _REST + length
        self._skip = place - len(data)
        return True
