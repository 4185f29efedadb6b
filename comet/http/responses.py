"""
The heads and bodies of HTTP answers, as bytes.

An L{Response} is for whoever frames it; L{encodeResponse} and L{encodeHead} are
for those who write to the connection themselves, once for many readers.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from attrs import frozen

from comet.errors import CometError, MethodNotAllowed
from comet.model.channels import NAME_CACHE_SIZE
from comet.model.messages import Published

Headers = tuple[tuple[bytes, bytes], ...]

# Made once: to make one takes longer than to use it.
_JSON: Final = json.JSONEncoder(separators=(",", ":"))

# What every answer to a GET has.  No proxy may keep it, or change it: to
# compress is to hold back.
COMMON: Final[Headers] = (
    (b"Cache-Control", b"no-store, no-transform"),
    (b"Vary", b"Origin, Accept"),
    (b"X-Content-Type-Options", b"nosniff"),
)

JSON: Final[Headers] = ((b"Content-Type", b"application/json"), *COMMON)

# What every answer has that does not end.  nginx buffers otherwise.
ENDLESS: Final[Headers] = (*COMMON, (b"X-Accel-Buffering", b"no"))

# The names of RFC 9110, where older versions of Python have those before it.
_REASONS: Final = {413: "Content Too Large", 422: "Unprocessable Content"}

# RFC 9110 5.6.2 and 5.5
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE = re.compile(rb"[\x00\r\n]")

# RFC 9110 15.3.5 and 15.4.5: responses of these have no body.
_BODILESS: Final = frozenset({204, 304})

# How many templates are remembered, of each kind.
TEMPLATE_CACHE_SIZE: Final = 256

# Stands for what a template is filled with.  No header may hold it.
_HOLE: Final = b"\0"

# The headers that are written when a response is framed.
_FRAMING: Final = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})


@frozen
class Response:
    """
    An answer that is complete.

    @ivar status: The HTTP status.

    @ivar headers: Names and values, without those that frame the answer or
        give its date.

    @ivar body: The body.
    """

    status: int
    headers: Headers
    body: bytes


def dateOfNow() -> bytes:
    """
    The date of now, as HTTP writes it.
    """
    return _dateOf(int(time.time()))


@lru_cache(1)
def _dateOf(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def reason(status: int) -> str:
    """
    The reason phrase of an HTTP status; empty where it has none.
    """
    if status in _REASONS:
        return _REASONS[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def problem(error: CometError) -> Response:
    """
    The answer that tells an error.
    """
    headers = [(b"Content-Type", b"application/problem+json"), *COMMON]
    if error.retryAfter is not None:
        # RFC 9110 10.2.3: whole seconds.
        headers.append((b"Retry-After", b"%d" % max(1, math.ceil(error.retryAfter))))
    if isinstance(error, MethodNotAllowed):
        # RFC 9110 15.5.6
        headers.append((b"Allow", ", ".join(error.allowed).encode("ascii")))
    if error.status == 401:
        # RFC 9110 15.5.2
        headers.append((b"WWW-Authenticate", b"Bearer"))
    body = _encodeJSON(
        {
            "type": "about:blank",
            # RFC 9457 4.2.1: the title of about:blank is the status's.
            "title": reason(error.status),
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
        }
    )
    return Response(error.status, tuple(headers), body)


def publishedResponse(result: Published) -> Response:
    """
    The answer to a message that is stored in each of its channels.
    """
    # Put together, since nothing in a cursor needs an escape.
    channels = ",".join(
        [
            f'{_encodeName(channel)}:"{result.epoch}-{position}"'
            for channel, position in result.positions.items()
        ]
    )
    body = f'{{"cursor":"{result.cursor}","channels":{{{channels}}}}}'
    return Response(201, JSON, body.encode("ascii"))


@lru_cache(NAME_CACHE_SIZE)
def _encodeName(name: str) -> str:
    return _JSON.encode(name)


def batchResponse(results: Sequence[Published]) -> Response:
    """
    The answer to a batch that is stored.

    @param results: What became of each line, in their order; at least one.
    """
    cursors = [result.cursor for result in results]
    # Only cursors of one epoch are ordered.
    highest = max(cursor for cursor in cursors if cursor.epoch == cursors[-1].epoch)
    body = _encodeJSON({"cursor": str(highest), "cursors": [str(cursor) for cursor in cursors]})
    return Response(201, JSON, body)


def encodeResponse(
    version: tuple[int, int],
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    persistent: bool,
    date: bytes,
) -> bytes:
    """
    Encode a complete HTTP/1 response, head and body.

    @param version: The HTTP version of the request.

    @param headers: Names and values, without those that frame the response
        or give its date.

    @param persistent: Whether the connection stays open.

    @param date: When the response is made, as L{dateOfNow} gives it.

    @raise ValueError: If a header could end its line or is not for the caller
        to give, or there is a body where the status allows none.
    """
    if body and status in _BODILESS:
        raise ValueError(f"a response of status {status} has no body")
    checkHeader(b"Date", date)
    framing = _frameComplete(version, status, b"%d" % len(body), persistent)
    return _encodeHead(status, date, _check(headers), framing) + body


def encodeHead(
    version: tuple[int, int],
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    chunked: bool,
    persistent: bool,
    date: bytes,
) -> bytes:
    """
    Encode the head of an HTTP/1 response whose length is not known.

    @param version: The HTTP version of the request.

    @param headers: Names and values, without those that frame the response
        or give its date.

    @param chunked: Whether the body comes in chunks; otherwise it ends with
        the connection.

    @param persistent: Whether the connection stays open after the last chunk.

    @param date: When the response is made, as L{dateOfNow} gives it.

    @raise ValueError: If a header could end its line or is not for the caller
        to give, or the client cannot understand chunks.
    """
    checkHeader(b"Date", date)
    framing = _frameStream(version, chunked, persistent)
    return _encodeHead(status, date, _check(headers), framing)


class ResponseTemplate:
    """
    A response head of HTTP/1, checked and encoded once, with holes for what
    differs from response to response: the date; the entity tag, if the
    template is made with one; the length of the body, unless the status or
    the framing allows none.
    """

    __slots__ = ("_beforeDate", "_beforeLength", "_beforeTag", "_end", "_hasLength")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        framing: Sequence[tuple[bytes, bytes]],
        isTagged: bool = False,
    ) -> None:
        """
        Use L{complete} or L{stream} to make one.

        @raise ValueError: If a header could end its line or is not for the
            caller to give.
        """
        # A header that holds NUL is refused, so that only holes do.
        tag = [(b"ETag", b'"%b"' % _HOLE)] if isTagged else []
        head = _encodeHead(status, _HOLE, [*tag, *_check(headers)], framing)
        self._beforeDate, *between, self._end = head.split(_HOLE)
        self._beforeTag = between.pop(0) if isTagged else b""
        self._hasLength = bool(between)
        self._beforeLength = between[0] if between else b""

    @classmethod
    def complete(
        cls,
        version: tuple[int, int],
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        persistent: bool,
        isTagged: bool = False,
    ) -> ResponseTemplate:
        """
        A template for responses that L{encodeResponse} could make.

        @param isTagged: Whether the first of the headers is to be an entity
            tag, which L{fill} is given.
        """
        framing = _frameComplete(version, status, _HOLE, persistent)
        return cls(status, headers, framing, isTagged)

    @classmethod
    def stream(
        cls, version: tuple[int, int], headers: Iterable[tuple[bytes, bytes]], chunked: bool
    ) -> ResponseTemplate:
        """
        A template for the head of a response that never ends.  L{fill} is
        given no body for it.

        @raise ValueError: If the client cannot understand chunks.
        """
        return cls(200, headers, _frameStream(version, chunked, False))

    def fill(self, body: bytes = b"", tag: bytes = b"") -> bytes:
        """
        Make a response with the date of now.

        @param body: The body; empty if the template has no length.

        @param tag: The entity tag without its quotes; empty if the template
            has none.
        """
        return b"%b%b%b%b%b%b%b%b" % (
            *(self._beforeDate, _dateOf(int(time.time())), self._beforeTag, tag),
            *(self._beforeLength, b"%d" % len(body) if self._hasLength else b""),
            *(self._end, body),
        )


@lru_cache(TEMPLATE_CACHE_SIZE)
def completeTemplate(status: int, headers: Headers) -> ResponseTemplate:
    """
    The template, made once, for complete HTTP/1.1 responses on connections
    that stay open.
    """
    return ResponseTemplate.complete((1, 1), status, headers, True)


@lru_cache(TEMPLATE_CACHE_SIZE)
def streamTemplate(headers: Headers) -> ResponseTemplate:
    """
    The template, made once, for the heads of chunked HTTP/1.1 responses that
    never end.
    """
    return ResponseTemplate.stream((1, 1), headers, True)


def checkHeader(name: bytes, value: bytes) -> None:
    """
    Check a header that is to be sent.

    @raise ValueError: If it could end its line, or is none.
    """
    if not _TOKEN.fullmatch(name) or _UNSAFE.search(value):
        raise ValueError(f"{name!r} with {value!r} cannot be a header")


def _encodeJSON(value: object) -> bytes:
    return _JSON.encode(value).encode("ascii")


def _check(headers: Iterable[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
    """
    Check headers that a caller gives.

    @raise ValueError: If one could end its line, frames the response, or is
        the date.
    """
    given = list(headers)
    for name, value in given:
        checkHeader(name, value)
        if name.lower() in _FRAMING:
            raise ValueError(f"{name!r} is not among the headers that may be given")
    return given


def _frameComplete(
    version: tuple[int, int], status: int, length: bytes, persistent: bool
) -> Sequence[tuple[bytes, bytes]]:
    framing = []
    # RFC 9110 8.6 and 15.4.5: without a body there is no length to tell.
    if status not in _BODILESS:
        framing.append((b"Content-Length", length))
    if not persistent:
        framing.append((b"Connection", b"close"))
    elif version < (1, 1):
        # RFC 9112 9.3: without it the client would not believe it.
        framing.append((b"Connection", b"keep-alive"))
    return framing


def _frameStream(
    version: tuple[int, int], chunked: bool, persistent: bool
) -> Sequence[tuple[bytes, bytes]]:
    framing = []
    if chunked:
        # RFC 9112 6.1
        if version < (1, 1):
            raise ValueError("a client of HTTP/1.0 does not understand chunks")
        framing.append((b"Transfer-Encoding", b"chunked"))
    if not (chunked and persistent):
        framing.append((b"Connection", b"close"))
    return framing


def _encodeHead(
    status: int,
    date: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    framing: Iterable[tuple[bytes, bytes]],
) -> bytes:
    """
    Encode a response head from headers that were checked.
    """
    # RFC 9112 2.3: the version is that of the server, whatever the client's.
    lines = [b"HTTP/1.1 %d %s" % (status, reason(status).encode("ascii"))]
    # RFC 9110 6.6.1
    for name, value in ((b"Date", date), *headers, *framing):
        lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
