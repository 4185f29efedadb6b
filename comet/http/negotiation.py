"""
By which transport a request to read is to be answered.
"""

from __future__ import annotations

import re
from typing import Final

from comet.errors import BadRequest
from comet.http.request import RequestHead, elements, tokens

TRANSPORTS: Final = (
    *("poll", "longpoll", "jsonp"),
    *("stream", "multipart", "sse", "iframe"),
    "websocket",
)

# What Accept may name, the most welcome first; a poll body is JSON.
_MEDIA_TYPES: Final = (
    ("sse", "text/event-stream"),
    ("stream", "application/x-ndjson"),
    ("multipart", "multipart/x-mixed-replace"),
    ("multipart", "multipart/mixed"),
    ("longpoll", "application/json"),
)

# RFC 9110 12.4.2
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def isWebSocketUpgrade(head: RequestHead) -> bool:
    """
    Whether a request has what makes it a handshake for a WebSocket, apart from
    the WebSocket's own headers.
    """
    # RFC 6455 4.2.1
    return (
        head.method == b"GET"
        and _namesWebSocket(head)
        and "upgrade" in tokens(head.header("Connection"))
    )


def chooseTransport(head: RequestHead) -> str:
    """
    Which transport a request to read asks for: what the parameter
    C{transport} says, a WebSocket where that is what to upgrade to, JSONP
    where there is a C{callback}, or what C{Accept} likes best of those that it
    names.  A wildcard stands for a long poll, since a client that did not ask
    for an endless answer would wait for its end; only C{text/*}, which
    excludes JSON, can mean C{sse}.

    @raise BadRequest: If the parameter names no transport.
    """
    named = head.parameters.get("transport")
    if named is not None:
        if named not in TRANSPORTS:
            allowed = ", ".join(TRANSPORTS)
            raise BadRequest(f"{named[:64]!r} is not a transport: one of {allowed} is")
        return named
    # An upgrade that lacks its other half is not one, but is told so better by
    # who answers handshakes than by a long poll.
    if _namesWebSocket(head):
        return "websocket"
    if "callback" in head.parameters:
        return "jsonp"
    return _mostAccepted(head.header("Accept") or "")


def _namesWebSocket(head: RequestHead) -> bool:
    # RFC 9110 7.8: Upgrade is ignored in HTTP/1.0; RFC 9113 8.2.2: and is not
    # in HTTP/2.
    return (1, 1) <= head.version < (2, 0) and "websocket" in tokens(head.header("Upgrade"))


def _mediaRanges(accept: str) -> dict[str, float]:
    """
    The qualities by media range.  Parameters other than C{q} are ignored, and
    so is an element whose C{q} is not a quality.
    """
    ranges: dict[str, float] = {}
    for element in elements(accept):
        mediaRange, *parameters = element.lower().split(";")
        quality = "1"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = value.strip()
        if _QUALITY.fullmatch(quality):
            mediaRange = mediaRange.strip()
            ranges[mediaRange] = max(float(quality), ranges.get(mediaRange, 0.0))
    return ranges


def _mostAccepted(accept: str) -> str:
    ranges = _mediaRanges(accept)
    # The first of equals.
    transport, mediaType = max(_MEDIA_TYPES, key=lambda each: ranges.get(each[1], 0.0))
    if ranges.get(mediaType, 0.0) > 0:
        return transport
    # RFC 9110 12.5.1: the most specific range that fits a type decides on it.
    text = ranges.get("text/event-stream", ranges.get("text/*", 0.0))
    anything = ranges.get("*/*", 0.0)
    json = ranges.get("application/json", ranges.get("application/*", anything))
    return "sse" if text > json else "longpoll"
