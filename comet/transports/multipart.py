"""
HTTP streaming in parts, each of which replaces the one before.
"""

from __future__ import annotations

from comet.framing import Shape
from comet.framing.multipart import BOUNDARY, MultipartShape
from comet.http.reads import ReadRequest
from comet.transports.exchange import Exchange
from comet.transports.streaming import StreamingResource


class MultipartResource(StreamingResource):
    """
    Answers with C{multipart/x-mixed-replace} that never ends.
    """

    transport = "multipart"
    isCompressed = True
    contentType = b"multipart/x-mixed-replace; boundary=" + BOUNDARY

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        See L{StreamingResource.shape}.
        """
        return MultipartShape(time=readRequest.time, chunked=chunked)
