"""
The transports over HTTP, and which of them a request to read asks for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Final

from attrs import frozen

from comet.errors import BadRequest
from comet.http.request import RequestHead, elements, tokens


class Answered(Enum):
    """
    How a transport answers a request to read.

    @cvar ONCE: With one complete response, a poll body.

    @cvar ENDLESSLY: With one response that never ends.

    @cvar TWO_WAY: With frames, while the client sends frames, too.
    """

    ONCE = auto()
    ENDLESSLY = auto()
    TWO_WAY = auto()


@frozen
class TransportKind:
    """
    One of the transports over HTTP.

    @ivar name: Its name in the parameter C{transport} and in the statistics.

    @ivar answered: How it answers.

    @ivar mediaTypes: The types in C{Accept} that ask for it.
    """

    name: str
    answered: Answered
    mediaTypes: tuple[str, ...] = ()


# If Accept gives several transports the same quality, the first one here is
# chosen.
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
    Whether a request asks for an upgrade to WebSocket.  The headers
    C{Sec-WebSocket-*} are not looked at.
    """
    # RFC 6455 4.2.1
    return (
        head.method == b"GET"
        and _namesWebSocket(head)
        and "upgrade" in tokens(head.header("Connection"))
    )


def chooseTransport(head: RequestHead, served: Collection[str] = TRANSPORTS.keys()) -> str:
    """
    Choose the transport that a request to read asks for.  The first of these
    decides: the parameter C{transport}; an upgrade to WebSocket; a parameter
    C{callback}, for JSONP; the type with the highest quality that C{Accept}
    names.  With a parameter C{before}, which no request that waits can have, a poll
    stands in the place of a long poll.

    A wildcard in C{Accept} means a long poll, since a client that does not ask
    for an endless response would wait for its end.  Only C{text/*}, which
    excludes JSON, means C{sse}.

    @param served: The names of the transports that the server has.

    @raise BadRequest: If the server does not have the transport.
    """
    named = head.parameters.get("transport")
    asked = _preferred(head) if named is None else named
    if asked not in served:
        allowed = ", ".join(served)
        raise BadRequest(f"{asked[:64]!r} is not a transport; these are: {allowed}")
    return asked


def acceptsGzip(head: RequestHead) -> bool:
    """
    Whether the client takes a response in the coding C{gzip}, as RFC 9110 12.5.3
    says, and does not rather want it in none.  One that says nothing is sent none.
    """
    codings = _mediaRanges(head.header("Accept-Encoding") or "")
    # RFC 9110 8.4.1.3: x-gzip is another name of it.
    quality = codings.get("gzip", codings.get("x-gzip", codings.get("*", 0.0)))
    return quality > 0 and quality >= codings.get("identity", 0.0)


def _preferred(head: RequestHead) -> str:
    """
    Choose a transport for a request that names none.
    """
    # Also without the header Connection, which an upgrade needs: an error of
    # the handshake tells the client more than a long poll does.
    if _namesWebSocket(head):
        return "websocket"
    if "callback" in head.parameters:
        return "jsonp"
    accepted = _mostAccepted(head.header("Accept") or "")
    return "poll" if accepted == "longpoll" and "before" in head.parameters else accepted


def _namesWebSocket(head: RequestHead) -> bool:
    # RFC 9110 7.8: a server ignores Upgrade in HTTP/1.0.  RFC 9113 8.2.2:
    # HTTP/2 does not have it.
    return (1, 1) <= head.version < (2, 0) and "websocket" in tokens(head.header("Upgrade"))


def _mediaRanges(accept: str) -> dict[str, float]:
    """
    Read the header C{Accept}: the qualities by media range.  Parameters other
    than C{q} are ignored, and so is an element with an invalid C{q}.
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
    # Of those with the same quality the first.
    transport, mediaType = max(_MEDIA_TYPES, key=lambda each: ranges.get(each[1], 0.0))
    if ranges.get(mediaType, 0.0) > 0:
        return transport
    # RFC 9110 12.5.1: the most specific range that matches a type decides.
    text = ranges.get("text/event-stream", ranges.get("text/*", 0.0))
    anything = ranges.get("*/*", 0.0)
    json = ranges.get("application/json", ranges.get("application/*", anything))
    return "sse" if text > json else "longpoll"
