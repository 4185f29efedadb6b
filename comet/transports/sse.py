"""
Server-Sent Events, WHATWG HTML 9.2.
"""

from __future__ import annotations

from comet.errors import CometError
from comet.framing import Shape
from comet.framing.sse import SSEShape
from comet.http.reads import ReadRequest, readFlag, readStarts
from comet.http.responses import COMMON, Response
from comet.model.channels import isPattern
from comet.model.messages import Close
from comet.model.positions import Now
from comet.model.progress import cursorBeforeStart
from comet.transports.exchange import Exchange
from comet.transports.streaming import StreamingResource

# Temporary errors, and the codes with which a reader is told of them.
_CLOSES = {"tooMany": "tooMany", "unavailable": "unavailable"}


def shapeOf(readRequest: ReadRequest, chunked: bool) -> SSEShape:
    """
    Choose the shape of the events.

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
    isCompressed = True

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        See L{StreamingResource.shape}.
        """
        return shapeOf(readRequest, chunked)

    def refuse(self, exchange: Exchange, error: CometError) -> None:
        """
        Report temporary errors in a successful response, as the last words of a
        stream: WHATWG HTML 9.2.3 has an C{EventSource} reconnect only after
        such a response.  Other errors are final, and reported as usual.

        The response leaves a client the cursor that it came with.
        """
        if error.code not in _CLOSES:
            super().refuse(exchange, error)
            return
        head, end = exchange.head, self.hub.fanout.end()
        try:
            shape = SSEShape(
                chunked=False,
                envelope=readFlag(head, "envelope"),
                unnamed=readFlag(head, "unnamed"),
            )
        except CometError as final:
            super().refuse(exchange, final)
            return
        self.hub.fanout.tally.refused.add(error.code)
        code = "draining" if self.hub.isDraining else _CLOSES[error.code]
        close = Close(code, error.detail, error.retryAfter)
        starts = readStarts(head, end.epoch)
        # A client that starts now gets the cursor of this now, or it would miss
        # what comes before its next request.
        setsID = all(isinstance(start, Now) for start in starts.values())
        words = shape.refusal(cursorBeforeStart(starts, end), close, setsID)
        headers = ((b"Content-Type", self.contentType), *COMMON)
        exchange.respond(Response(200, headers, shape.prelude + shape.frame([words])))
