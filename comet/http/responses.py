"""
Responses as values, which HTTP/1 or HTTP/2 frames later; and those that tell an
error, or what was published.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from attrs import frozen

from comet.errors import CometError, MethodNotAllowed, Unauthorized, Unsupported
from comet.model.channels import NAME_CACHE_SIZE
from comet.model.messages import Published

Headers = tuple[tuple[bytes, bytes], ...]

# Made once, since making an encoder takes longer than using it.
_JSON: Final = json.JSONEncoder(separators=(",", ":"))

# The headers of every response to a GET.  No proxy may store or change it: a
# proxy that compresses holds messages back.
COMMON: Final[Headers] = (
    (b"Cache-Control", b"no-store, no-transform"),
    (b"Vary", b"Origin, Accept"),
    (b"X-Content-Type-Options", b"nosniff"),
)

JSON: Final[Headers] = ((b"Content-Type", b"application/json"), *COMMON)

# Headers that make the response useless as anything but a script: a browser
# that navigates to it, or a plugin, gets a file to save.
SCRIPT: Final[Headers] = (
    (b"Content-Type", b"application/javascript; charset=utf-8"),
    (b"Content-Disposition", b"attachment; filename=f.txt"),
    *COMMON,
)

# The headers of every endless response.  Without the last one nginx buffers.
ENDLESS: Final[Headers] = (*COMMON, (b"X-Accel-Buffering", b"no"))

# Reason phrases of RFC 9110; older versions of Python have older ones.
_REASONS: Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    422: "Unprocessable Content",
}


@frozen
class Response:
    """
    A complete response.

    @ivar status: The HTTP status.

    @ivar headers: Names and values, without the headers of framing and the
        date.

    @ivar body: The body.
    """

    status: int
    headers: Headers
    body: bytes


def reason(status: int) -> str:
    """
    Return the reason phrase of an HTTP status, empty if it has none.
    """
    if status in _REASONS:
        return _REASONS[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def endLine(json: bytes) -> bytes:
    """
    Make the body of a response of JSON: with a line end, so that the next prompt
    of a terminal begins a line.
    """
    return json + b"\n"


def problem(error: CometError) -> Response:
    """
    Make the response for an error, a problem of RFC 9457.
    """
    headers = [(b"Content-Type", b"application/problem+json"), *COMMON]
    if error.retryAfter is not None:
        # RFC 9110 10.2.3: whole seconds.
        headers.append((b"Retry-After", b"%d" % max(1, math.ceil(error.retryAfter))))
    if isinstance(error, MethodNotAllowed):
        # RFC 9110 15.5.6
        headers.append((b"Allow", ", ".join(error.allowed).encode("ascii")))
    if isinstance(error, Unsupported) and error.codings:
        # RFC 9110 12.5.3: only where a content coding was the reason.
        headers.append((b"Accept-Encoding", ", ".join(error.codings).encode("ascii")))
    if isinstance(error, Unauthorized):
        # RFC 9110 15.5.2
        headers.append((b"WWW-Authenticate", error.challenge.encode("ascii")))
    body = _encodeJSON(
        {
            "type": "about:blank",
            # RFC 9457 4.2.1: with about:blank the title is the reason phrase.
            "title": reason(error.status),
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
        }
    )
    return Response(error.status, tuple(headers), body)


def publishedResponse(result: Published) -> Response:
    """
    Make the response for a message that was stored in its channels.
    """
    return Response(201, JSON, publishedBody(result))


def publishedBody(result: Published) -> bytes:
    """
    Make the body of this response.
    """
    # Without a JSON encoder, since nothing in a cursor needs an escape.
    epoch, positions = result.epoch, result.positions
    if len(positions) == 1:
        # Nearly all messages have one channel.
        ((channel, last),) = positions.items()
        cursor = f"{epoch}-{last}"
        text = f'{{"cursor":"{cursor}","channels":{{{_encodeName(channel)}:"{cursor}"}}}}\n'
        return text.encode("ascii")
    last = max(positions.values())
    channels = [f'{_encodeName(name)}:"{epoch}-{each}"' for name, each in positions.items()]
    return f'{{"cursor":"{epoch}-{last}","channels":{{{",".join(channels)}}}}}\n'.encode("ascii")


@lru_cache(NAME_CACHE_SIZE)
def _encodeName(name: str) -> str:
    return _JSON.encode(name)


def batchResponse(results: Sequence[Published]) -> Response:
    """
    Make the response for a batch that was stored.

    @param results: The result of each line, in their order; at least one.
    """
    return Response(201, JSON, batchBody(results))


def batchBody(results: Sequence[Published]) -> bytes:
    """
    Make the body of this response.
    """
    cursors = [result.cursor for result in results]
    # Only cursors of the same epoch can be compared.
    highest = max(cursor for cursor in cursors if cursor.epoch == cursors[-1].epoch)
    return _encodeJSON({"cursor": str(highest), "cursors": [str(cursor) for cursor in cursors]})


def _encodeJSON(value: object) -> bytes:
    return endLine(_JSON.encode(value).encode("ascii"))
