"""
HTMX over a transport of its own, which sends HTML:
C{twistd -n comet --open 'guests' --app htmx:extend}.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from attrs import frozen
from twisted.web.static import Data

from comet import (
    Close,
    Cursor,
    Exchange,
    Message,
    NDJSONShape,
    ReadRequest,
    Server,
    Shape,
    StreamingResource,
    rawText,
)

PAGE = b"""<!doctype html>
<script src="https://unpkg.com/htmx.org@2"></script>
<script src="https://unpkg.com/htmx-ext-sse@2"></script>
<ul hx-ext="sse" sse-connect="/channels/guests?transport=htmx&since=-5"
    sse-swap="message" hx-swap="beforeend"></ul>
"""


@frozen
class HTMXShape(NDJSONShape):
    """
    Server-Sent Events whose data is HTML that the page can take as it is.
    """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Encode a message as an item of a list.
        """
        return self._event(message.cursor, "message", f"<li>{escape(rawText(message))}</li>")

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Encode where the reader stands, which the browser keeps.
        """
        return self._event(cursor, "at", "")

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Say that messages are lost.
        """
        return self._event(cursor, "message", "<li><em>some are lost</em></li>")

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Say why the stream ends; the browser comes back by itself.
        """
        return self._event(cursor, "end", escape(close.message))

    def _event(self, cursor: Cursor, name: str, html: str) -> bytes:
        lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
        return f"id: {cursor}\nevent: {name}\n{lines}\n".encode()


class HTMXResource(StreamingResource):
    """
    The transport C{?transport=htmx}.
    """

    transport = "htmx"
    contentType = b"text/event-stream"

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        Return the shape that encodes the messages of this response.
        """
        return HTMXShape(chunked=chunked)


def extend(server: Server) -> None:
    """
    Add the transport, and the page that uses it.
    """
    server.transports["htmx"] = HTMXResource(server.hub)
    server.root.putChild(b"guests", Data(PAGE, "text/html; charset=utf-8"))
