"""
HTTP streaming in parts: C{multipart/x-mixed-replace}, an envelope a part, each
of which takes the place of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import EnvelopeShape, encodeClose
from comet.model.cursors import Cursor
from comet.model.messages import Close

# RFC 2046 5.1.1: up to 70 characters of some.  It begins with an underscore,
# and has no other.
BOUNDARY: Final = b"_comet-next-part"

_DASHED: Final = b"--" + BOUNDARY
_HEADER: Final = b"Content-Type: application/json\r\n\r\n"

# An underscore is no part of an escape, and between its strings JSON has none:
# so it may always be written as an escape.
_ESCAPED: Final = b"\\u005f" + BOUNDARY[1:]


@frozen
class MultipartShape(EnvelopeShape):
    """
    One envelope a part.  The boundary that ends a part is written with it, and
    not when the next one begins, so that a browser shows it now.

    No envelope has the boundary in it.  A delimiter begins a line, and there
    is no line break in an envelope; but browsers look for the boundary
    anywhere, and so it must not be in a string either, whoever publishes it:
    there its underscore is written as an escape.

    @ivar chunked: Whether the body is in the chunked coding.
    """

    chunked: bool = True

    @property
    def prelude(self) -> bytes:
        """
        The first boundary, ready to be written.
        """
        return frameBody([_DASHED, b"\r\n"], self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, where there are chunks.
        """
        return endBody(self.chunked)

    def piece(self, envelope: bytes) -> bytes:
        """
        A part, and the boundary of the next.
        """
        return self._part(envelope) + b"\r\n"

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        The last part, and behind it the end of them all: another boundary
        would begin one more, that nothing is in.
        """
        # RFC 2046 5.1.1: the close delimiter has two more hyphens.
        return self._part(encodeClose(cursor, close)) + b"--\r\n"

    def _part(self, envelope: bytes) -> bytes:
        body = envelope.replace(BOUNDARY, _ESCAPED)
        # RFC 2046 5.1.1: the line break before a delimiter is of the delimiter.
        return b"%b%b\r\n%b" % (_HEADER, body, _DASHED)

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        All parts, in one chunk.
        """
        return frameBody(pieces, self.chunked)
