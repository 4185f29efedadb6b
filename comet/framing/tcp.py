"""
The format of raw TCP: one JSON object a line, in both directions.

Lines end with LF, as programs write them, or with U+0000, as Flash's
C{XMLSocket} writes them.  The client's first line decides.
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
    One envelope a line.  An envelope contains neither of the terminators.

    @ivar terminator: LF or U+0000.
    """

    terminator: bytes = b"\n"
    time: bool = False

    def piece(self, envelope: bytes) -> bytes:
        """
        Make a line.
        """
        return envelope + self.terminator


@frozen(cache_hash=True)
class Overlong:
    """
    Stands for a line that was too long to be kept.

    @ivar length: How many bytes the line had before its terminator.
    """

    length: int


Line = bytes | Overlong


class LineDecoder:
    """
    Splits a stream, which arrives in any pieces, into lines.  It holds at most
    one line of the maximum length.

    @ivar terminator: LF or U+0000, the one that came first; L{None} before the
        end of the first line.

    @ivar length: How many bytes have come of a line that has not ended, also
        those that are not held.
    """

    __slots__ = ("_held", "_maxLength", "length", "terminator")

    def __init__(self, maxLength: int) -> None:
        """
        @param maxLength: How many bytes a line may have, without its
            terminator.
        """
        self.terminator: bytes | None = None
        self._maxLength = maxLength
        self._held = bytearray()
        self.length = 0

    def feed(self, data: bytes) -> list[Line]:
        """
        Add the next bytes of the stream.

        @return: The lines that end within these bytes, in order, without
            terminators and without a CR before an LF.  Empty lines are left
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

    @property
    def held(self) -> int:
        """
        How many bytes are held of a line that has not ended.
        """
        return len(self._held)

    def end(self) -> list[Line]:
        """
        End the stream.

        @return: The last line, if it has no terminator and is not empty.
        """
        line = self._take()
        return [] if line == b"" else [line]

    def _endOfLine(self, data: bytes, start: int) -> int:
        if self.terminator is None:
            found = _TERMINATORS.search(data, start)
            if found is None:
                return -1
            self.terminator = found[0]
        return data.find(self.terminator, start)

    def _hold(self, data: bytes) -> None:
        self.length += len(data)
        # One byte more than a line may have: the CR before the LF.
        if self.length > self._maxLength + 1:
            self._held.clear()
        else:
            self._held += data

    def _take(self) -> Line:
        line = bytes(self._held)
        length = self.length
        self._held.clear()
        self.length = 0
        isWhole = len(line) == length
        if self.terminator == b"\n":
            line = line.removesuffix(b"\r")
        return line if isWhole and len(line) <= self._maxLength else Overlong(length)
