"""
The format of HTTP streaming: C{application/x-ndjson}, one envelope a line.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import EnvelopeShape


@frozen(cache_hash=True)
class NDJSONShape(EnvelopeShape):
    """
    One envelope a line.  An envelope has no line break, since it is JSON
    without white space between tokens.

    @ivar chunked: Whether the body has the chunked coding of HTTP/1.1.
    """

    chunked: bool = True

    @property
    def coda(self) -> bytes:
        """
        The last chunk, if the body is chunked.
        """
        return endBody(self.chunked)

    def piece(self, envelope: bytes) -> bytes:
        """
        Make a line.
        """
        return envelope + b"\n"

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Join the lines, in one chunk.
        """
        return frameBody(pieces, self.chunked)
