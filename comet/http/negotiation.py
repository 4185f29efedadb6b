"""
The transports over HTTP, and which of them a request to read asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from attrs import frozen

from comet.errors import BadRequest
from comet.http.request import RequestHead, elements, tokens


class Answered(Enum):
    """
    How often a transport answers a request to read.
    """

    ONCE = auto()
    ENDLESSLY = auto()
    TWO_WAY = auto()


@frozen
class TransportKind:
    """
    One way to bring messages to a client over HTTP.

    @ivar name: What the parameter C{transport} calls it, and the statistics.

    @ivar answered: How often it answers.

    @ivar mediaTypes: What C{Accept} may name to ask for it.
    """

    name: str
    answered: Answered
    mediaTypes: tuple[str, ...] = ()


# Of the transports that Accept names with the same quality the first is taken.
TRANSPORTS: Final[Mapping[str, TransportKind]] = {
    transport.name: transport
    for transport in (
        TransportKind("sse", Answered.ENDLESSLY, ("text/event-stream",)),
        TransportKind("stream", Answered.ENDLESSLY, ("application/x-ndjson",)),
        TransportKind(
            "multipart", Answered.ENDLESSLY, ("multipart/x-mixed-replace", "multipart/mixed")
        ),
        TransportKind("iframe", Answered.ENDLESSLY),
        # A poll body is JSON.
        TransportKind("longpoll", Answered.ONCE, ("application/json",)),
        TransportKind("poll", Answered.ONCE),
        TransportKind("jsonp", Answered.ONCE),
        TransportKind("websocket", Answered.TWO_WAY),
    )
}

_MEDIA_TYPES: Final = tuple(
    (transport.name, mediaType)
    for transport in TRANSPORTS.values()
    for mediaType in transport.mediaTypes
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
