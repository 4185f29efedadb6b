"""
Cut what arrives of an endless response into the envelopes that it consists of.
"""

from __future__ import annotations

from typing import Final, Protocol

from comet.client.failures import BadAnswer

# The most bytes of one envelope or body.  A server that allows larger messages than this is not
# for browsers.
MAX_BYTES: Final = 16 * 2**20


class Splitter(Protocol):
    """
    Cuts a stream.
    """

    def received(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes, and return the JSON texts that they complete.

        @raise BadAnswer: If one text has more than L{MAX_BYTES}.
        """


class Lines:
    """
    Cuts a stream into lines.  A line ends with LF, perhaps after CR.

    @ivar size: How many bytes have come of a line that has not ended.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self.size = 0

    def received(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes, and return the lines that they complete, without their ends.

        @raise BadAnswer: If a line has more than L{MAX_BYTES}.
        """
        # Pieces of a long line are joined once, when its end has come.
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest, self.size = [], 0
        if rest:
            self._rest.append(rest)
            self.size += len(rest)
        if self.size > MAX_BYTES or any(len(line) > MAX_BYTES for line in lines):
            raise BadAnswer(f"a line has more than {MAX_BYTES} bytes")
        return [each.removesuffix(b"\r") for each in lines]


class LineSplitter:
    """
    Cuts C{application/x-ndjson}, and what comes over raw TCP, into lines.
    """

    def __init__(self) -> None:
        self._lines = Lines()

    def received(self, data: bytes) -> list[bytes]:
        """
        See L{Splitter.received}.  Empty lines are left out.
        """
        return [line for line in self._lines.received(data) if line]


class EventSplitter:
    """
    Cuts C{text/event-stream} into the data of its events (WHATWG HTML 9.2.6).  The id and the name
    of an event are left out: with C{?envelope=1} the data says all that they do.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._restSize = 0
        self._data: list[bytes] = []
        self._dataSize = 0
        self._endedWithCR = False

    def received(self, data: bytes) -> list[bytes]:
        """
        See L{Splitter.received}.  CR, LF and CRLF end a line.  An event without data, or with empty
        data, is left out.
        """
        if self._endedWithCR:
            # The LF of a CRLF that was cut in the middle.
            data = data.removeprefix(b"\n")
        self._endedWithCR = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest, self._restSize = [], 0
        if rest:
            self._rest.append(rest)
            self._restSize += len(rest)
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        if self._restSize + self._dataSize > MAX_BYTES:
            raise BadAnswer(f"an event has more than {MAX_BYTES} bytes")
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line.startswith(b"data: ") else line[5:]
            self._data.append(value)
            # With the LF that joins it to the next: lines without a value take memory, too.
            self._dataSize += len(value) + 1
        elif not line:
            text = b"\n".join(self._data)
            self._data, self._dataSize = [], 0
            if text:
                events.append(text)
