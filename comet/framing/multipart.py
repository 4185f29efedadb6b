"""
The format of HTTP streaming in parts: C{multipart/x-mixed-replace}, one envelope
a part.  A browser shows each part in the place of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import EnvelopeShape, encodeClose
from comet.model.cursors import Cursor
from comet.model.messages import Close

# RFC 2046 5.1.1: at most 70 characters.  The only underscore is the first one.
BOUNDARY: Final = b"_comet-next-part"

_DASHED: Final = b"--" + BOUNDARY
_HEADER: Final = b"Content-Type: application/json\r\n\r\n"

# In JSON an underscore is always within a string and never within an escape, so
# it can be written as an escape.
_ESCAPED: Final = b"\\u005f" + BOUNDARY[1:]


@frozen
class MultipartShape(EnvelopeShape):
    """
    One envelope a part.  The boundary that ends a part is written together with
    the part, not with the next one, so that a browser shows the part at once.

    No envelope contains the boundary.  By the standard a boundary counts only
    at the start of a line, and an envelope has no line break.  But browsers
    look for the boundary anywhere, and a publisher can put it into a string:
    its underscore is written as an escape there.

    @ivar chunked: Whether the body has the chunked coding of HTTP/1.1.
    """

    chunked: bool = True

    @property
    def prelude(self) -> bytes:
        """
        The first boundary.
        """
        return frameBody([_DASHED, b"\r\n"], self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, if the body is chunked.
        """
        return endBody(self.chunked)

    def piece(self, envelope: bytes) -> bytes:
        """
        Make a part, and the boundary after it.
        """
        return self._part(envelope) + b"\r\n"

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Make the last part and the delimiter that ends all parts.  An ordinary
        boundary would start another, empty part.
        """
        # RFC 2046 5.1.1: the close delimiter has two more hyphens.
        return self._part(encodeClose(cursor, close)) + b"--\r\n"

    def _part(self, envelope: bytes) -> bytes:
        body = envelope.replace(BOUNDARY, _ESCAPED)
        # RFC 2046 5.1.1: the line break before a delimiter belongs to it.
        return b"%b%b\r\n%b" % (_HEADER, body, _DASHED)

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Join the parts, in one chunk.
        """
        return frameBody(pieces, self.chunked)
