"""
Server-Sent Events, as WHATWG HTML 9.2 has them.
"""

from __future__ import annotations

from comet.errors import CometError
from comet.framing import Shape
from comet.framing.sse import SSEShape
from comet.http.reads import ReadRequest, readFlag
from comet.http.responses import COMMON, Response
from comet.model.channels import isPattern
from comet.model.messages import Close
from comet.transports.exchange import Exchange
from comet.transports.streaming import StreamingResource

# What an error that passes is called where a reader is told of it.
_CLOSES = {"tooMany": "tooMany", "unavailable": "unavailable"}


def shapeOf(readRequest: ReadRequest, chunked: bool) -> SSEShape:
    """
    How events look to whoever asked.

    @param chunked: Whether the body is in chunks.
    """
    several = len(readRequest.names) > 1 or any(isPattern(name) for name in readRequest.names)
    return SSEShape(readRequest.time, chunked, several, readRequest.envelope, readRequest.unnamed)


class EventSourceResource(StreamingResource):
    """
    Answers with C{text/event-stream} that never ends.
    """

    transport = "sse"
    contentType = b"text/event-stream"

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        See L{StreamingResource.shape}.
        """
        return shapeOf(readRequest, chunked)

    def refuse(self, exchange: Exchange, error: CometError) -> None:
        """
        Tell what passes in a response that is not an error: WHATWG HTML 9.2.3
        has an C{EventSource} come back only from those.
        """
        if error.code not in _CLOSES:
            super().refuse(exchange, error)
            return
        code = "draining" if self.hub.isDraining else _CLOSES[error.code]
        head = exchange.head
        envelope, unnamed = readFlag(head, "envelope"), readFlag(head, "unnamed")
        shape = SSEShape(chunked=False, envelope=envelope, unnamed=unnamed)
        close = shape.close(self.hub.end, Close(code, error.detail, error.retryAfter))
        headers = ((b"Content-Type", self.contentType), *COMMON)
        exchange.respond(Response(200, headers, shape.prelude + shape.frame([close])))
