"""
Cut a response in parts, C{multipart/x-mixed-replace}, into the envelopes that it consists of.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from comet.client import splitting
from comet.client.failures import BadAnswer
from comet.client.splitting import Lines

# RFC 2046 5.1.1: the characters of a boundary, of which a space is not the last.
_BOUNDARY: Final = re.compile(
    r"multipart/[a-z-]+\s*;\s*boundary=(?:"
    r"\"([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])\""
    r"|([0-9A-Za-z'+_.-]{1,70}))\s*",
    re.IGNORECASE,
)

# The most bytes of the headers of a part.
_MOST_HEADERS: Final = 8192

_TYPE: Final = re.compile(rb"content-type:[ \t]*application/json[ \t]*", re.IGNORECASE)


class _Place(Enum):
    """
    Where in the body the next line is.
    """

    BEFORE = "before the first part"
    HEADERS = "in the headers of a part"
    PART = "in a part"
    BEHIND = "behind the last part"


class PartSplitter:
    """
    Cuts it.  A part has to be C{application/json}.
    """

    def __init__(self, contentType: str) -> None:
        """
        @param contentType: The header of the response.

        @raise BadAnswer: If it names no boundary.
        """
        found = _BOUNDARY.fullmatch(contentType)
        if found is None:
            raise BadAnswer(f"{contentType[:100]!r} names no boundary of parts")
        self._delimiter = b"--" + (found[1] or found[2]).encode("ascii")
        self._lines = Lines()
        self._place = _Place.BEFORE
        self._part: list[bytes] = []
        self._size = 0
        self._isJSON = False

    def received(self, data: bytes) -> list[bytes]:
        """
        See L{Splitter.received<comet.client.splitting.Splitter.received>}.

        @raise BadAnswer: Also if something else than a part comes.
        """
        texts: list[bytes] = []
        for line in self._lines.received(data):
            self._line(line, texts)
        if self._size + self._lines.size > splitting.MAX_BYTES:
            raise BadAnswer(f"a part has more than {splitting.MAX_BYTES} bytes")
        return texts

    def _line(self, line: bytes, texts: list[bytes]) -> None:
        if self._place is _Place.BEHIND:
            # RFC 2046 5.1.1: what is there is ignored.
            return
        isLast = line == self._delimiter + b"--"
        if line == self._delimiter or isLast:
            self._end(texts)
            self._place = _Place.BEHIND if isLast else _Place.HEADERS
        elif self._place is _Place.PART:
            self._keep(line)
        elif self._place is _Place.HEADERS:
            self._header(line)
        elif line:
            raise BadAnswer("the answer does not begin with a boundary")

    def _header(self, line: bytes) -> None:
        if line:
            self._isJSON = self._isJSON or _TYPE.fullmatch(line) is not None
            # An empty name would cost nothing otherwise.
            self._size += len(line) + 1
            if self._size > _MOST_HEADERS:
                raise BadAnswer(f"the headers of a part have more than {_MOST_HEADERS} bytes")
            return
        if not self._isJSON:
            raise BadAnswer("a part is not application/json")
        self._place, self._size = _Place.PART, 0

    def _keep(self, line: bytes) -> None:
        self._part.append(line)
        self._size += len(line) + 1

    def _end(self, texts: list[bytes]) -> None:
        """
        A delimiter has come.
        """
        if self._place is _Place.HEADERS:
            raise BadAnswer("a part has no body")
        text = b"\n".join(self._part)
        if text:
            texts.append(text)
        self._part, self._size, self._isJSON = [], 0, False
