"""
The lengths that frames of HTTP/2 declare.
"""

from __future__ import annotations

from typing import Final

# RFC 9113 3.4: bytes of the preface, before the first frame.
_PREFACE: Final = 24

# RFC 9113 4.1: the head of a frame has three bytes of length, and six others.
# The length does not count the head.
_LENGTH: Final = 3
_REST: Final = 6

# RFC 9113 4.2: the largest frame, unless the settings say otherwise.
MOST_FRAME: Final = 16384


class FrameLengths:
    """
    Checks the lengths of frames as they arrive. h2 would keep all of a frame,
    up to 16 MiB, before it finds that it is too long.
    """

    __slots__ = ("_head", "_skip")

    def __init__(self) -> None:
        self._skip = _PREFACE
        self._head = b""

    def check(self, data: bytes) -> bool:
        """
        Check the frames whose heads end in this data.

        @return: False if one of them is too long.
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
