"""
Raw TCP: one JSON object a line, up and down.

A line ends with LF, as programs write it, or with U+0000, as Flash's
C{XMLSocket} does.  The client's first line decides.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from comet.framing.envelope import EnvelopeShape

_TERMINATORS: Final = re.compile(rb"[\n\0]")


@frozen(cache_hash=True)
class LineShape(EnvelopeShape):
    """
    One envelope a line.  The JSON of an envelope has neither terminator in it.

    @ivar terminator: What ends a line: LF or U+0000.
    """

    terminator: bytes = b"\n"
    time: bool = False

    def piece(self, envelope: bytes) -> bytes:
        """
        A line.
        """
        return envelope + self.terminator


@frozen(cache_hash=True)
class Overlong:
    """
    In the place of a line that was too long to be kept.

    @ivar length: How many bytes it had before its LF or U+0000.
    """

    length: int


Line = bytes | Overlong


class LineDecoder:
    """
    Lines out of a stream that comes in any pieces.  What it holds is at most
    one line of the greatest length.

    @ivar terminator: What ends a line: LF or U+0000, whichever came first, or
        L{None} before the end of the first line.
    """

    __slots__ = ("_held", "_length", "_maxLength", "terminator")

    def __init__(self, maxLength: int) -> None:
        """
        @param maxLength: The most bytes that a line may have, without its
            terminator.
        """
        self.terminator: bytes | None = None
        self._maxLength = maxLength
        self._held = bytearray()
        # How long the line is so far, also where it is no longer held.
        self._length = 0

    def feed(self, data: bytes) -> list[Line]:
        """
        Take the next bytes of the stream.

        @return: The lines that end in them, in order, without their
            terminators, and without a CR before an LF.  Empty lines are left
            out.
        """
        lines: list[Line] = []
        start = 0
        while (end := self._endOfLine(data, start)) >= 0:
            self._hold(data[start:end])
            line = self._take()
            if line != b"":
                lines.append(line)
            start = end + 1
        self._hold(data[start:])
        return lines

    def _endOfLine(self, data: bytes, start: int) -> int:
        if self.terminator is None:
            found = _TERMINATORS.search(data, start)
            if found is None:
                return -1
            self.terminator = found[0]
        return data.find(self.terminator, start)

    def _hold(self, data: bytes) -> None:
        self._length += len(data)
        # One byte more than a line may have: it may be the CR before the LF.
        room = self._maxLength + 1 - len(self._held)
        self._held += data[:room]

    def _take(self) -> Line:
        line = bytes(self._held)
        length = self._length
        self._held.clear()
        self._length = 0
        isWhole = len(line) == length
        if self.terminator == b"\n":
            line = line.removesuffix(b"\r")
        return line if isWhole and len(line) <= self._maxLength else Overlong(length)
