"""
HTTP streaming: a body that does not end, C{application/x-ndjson}, an envelope
a line.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import EnvelopeShape


@frozen(cache_hash=True)
class NDJSONShape(EnvelopeShape):
    """
    One envelope a line.  A JSON text without spaces between its tokens has no
    line break in it.

    @ivar chunked: Whether the body is in the chunked coding.
    """

    chunked: bool = True

    @property
    def coda(self) -> bytes:
        """
        The last chunk, where there are chunks.
        """
        return endBody(self.chunked)

    def piece(self, envelope: bytes) -> bytes:
        """
        A line.
        """
        return envelope + b"\n"

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        All lines, in one chunk.
        """
        return frameBody(pieces, self.chunked)
