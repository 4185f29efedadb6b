"""
HTTP streaming: one response in chunks, an envelope a line.
"""

from __future__ import annotations

from comet.framing import Shape
from comet.framing.ndjson import NDJSONShape
from comet.http.reads import ReadRequest
from comet.transports.exchange import Exchange
from comet.transports.streaming import StreamingResource


class StreamResource(StreamingResource):
    """
    Answers with C{application/x-ndjson} that never ends.
    """

    transport = "stream"
    contentType = b"application/x-ndjson"
    isCompressed = True

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        See L{StreamingResource.shape}.
        """
        return NDJSONShape(time=readRequest.time, chunked=chunked)
