"""
The first lines of clients, remembered: many begin to read the same.
"""

from __future__ import annotations

from typing import Final

from comet.fanout.joinpoint import JoinPoint
from comet.framing.commands import CommandError, Id, Subscribe, readCommand
from comet.framing.tcp import LineDecoder, LineShape, Overlong
from comet.hub import Hub
from comet.model.cursors import Cursor
from comet.model.positions import StartPositions
from comet.transports.session import encodeSubscribed

# How many lines are remembered, and how long one may be: one that is longer will
# hardly come again.
MOST_LINES: Final = 1024
LONGEST_LINE: Final = 512

# What is in all of them, in whatever form the rest is.
_WORD: Final = b'"subscribe"'


class FirstLine:
    """
    A line that says what to read.

    @ivar since: Where its names begin: all at one start position.

    @ivar joinPoint: Where those are that said the same.

    @ivar shape: How the client is answered.
    """

    __slots__ = ("_answer", "_id", "_standing", "joinPoint", "shape", "since")

    def __init__(self, command: Subscribe, shape: LineShape) -> None:
        self._id: Id = command.id
        self._standing: Cursor | None = None
        self._answer = b""
        self.since: StartPositions = command.since
        self.joinPoint = JoinPoint(command.names)
        self.shape = shape

    def answer(self, standing: Cursor) -> bytes:
        """
        What a client is answered that stands somewhere, framed.
        """
        if standing != self._standing:
            piece = self.shape.piece(encodeSubscribed(self._id, standing))
            self._standing, self._answer = standing, self.shape.frame([piece])
        return self._answer


class FirstLines:
    """
    Knows what some lines say.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lines: dict[bytes, FirstLine] = {}

    def find(self, data: bytes) -> FirstLine | None:
        """
        What a client says with all that came of it at first.

        @return: L{None} if that is anything but one line, which says what to
            read, with no places of single names.
        """
        line = self._lines.get(data)
        if line is None and len(data) <= LONGEST_LINE and _WORD in data:
            line = self._read(data)
            if line is not None:
                if len(self._lines) >= MOST_LINES:
                    self._lines.clear()
                self._lines[data] = line
        return line

    def _read(self, data: bytes) -> FirstLine | None:
        limits = self._hub.settings.limits
        decoder = LineDecoder(limits.maxCommandBytes)
        lines = decoder.feed(data)
        terminator = decoder.terminator
        if len(lines) != 1 or terminator is None or not data.endswith(terminator):
            return None
        if isinstance(lines[0], Overlong):
            return None
        try:
            command = readCommand(lines[0], limits)
        except CommandError:
            # It is told by whoever deals with all commands.
            return None
        if not isinstance(command, Subscribe) or command.since.byName:
            return None
        return FirstLine(command, LineShape(terminator))
