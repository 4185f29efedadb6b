"""
HTTP streaming in parts, each of which takes the place of the one before.
"""

from __future__ import annotations

from comet.framing import Shape
from comet.framing.multipart import BOUNDARY, MultipartShape
from comet.http.reads import Ask
from comet.transports.exchange import Exchange
from comet.transports.streaming import EndlessResource


class MultipartResource(EndlessResource):
    """
    Answers with C{multipart/x-mixed-replace} that never ends.
    """

    transport = "multipart"
    contentType = b"multipart/x-mixed-replace; boundary=" + BOUNDARY

    def shape(self, exchange: Exchange, ask: Ask, chunked: bool) -> Shape:
        """
        See L{EndlessResource.shape}.
        """
        return MultipartShape(time=ask.time, chunked=chunked)
