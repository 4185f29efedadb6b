"""
The bytes of HTTP/1 responses, for an edge that writes to the socket itself.

L{encodeResponse} and L{encodeHead} make them for one client, L{ResponseTemplate}
for many that get nearly the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from comet.http.responses import Headers, reason

# RFC 9110 5.6.2 and 5.5
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE = re.compile(rb"[\x00\r\n]")

# RFC 9110 15.3.5 and 15.4.5: responses of these have no body.
_BODILESS: Final = frozenset({204, 304})

# How many templates are remembered, of each kind.
TEMPLATE_CACHE_SIZE: Final = 256

# Stands for the holes of a template.  No header may have this byte.
_HOLE: Final = b"\0"

# Headers that are added when a response is framed.
_FRAMING: Final = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})


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

    @param headers: Names and values, without the headers of framing and the
        date.

    @param persistent: Whether the connection stays open.

    @param date: The present time, in the format of RFC 9110 5.6.7.

    @raise ValueError: If a header has a line break or is a header of framing,
        or there is a body though the status allows none.
    """
    if body and status in _BODILESS:
        raise ValueError(f"a response of status {status} has no body")
    checkHeader(b"Date", date)
    framing = _frameComplete(version, status, b"%d" % len(body), persistent)
    return _encodeHead(status, date, _check(headers), framing) + body


def endConnection(response: bytes) -> bytes:
    """
    Make a response of HTTP/1 say that the connection ends after it.

    @param response: The bytes of a response, from their beginning to the end of
        the head at least.
    """
    head, end, body = response.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return b"\r\n".join((first, *kept, b"Connection: close")) + end + body


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

    @param headers: Names and values, without the headers of framing and the
        date.

    @param chunked: Whether the body comes in chunks; otherwise it ends with
        the connection.

    @param persistent: Whether the connection stays open after the last chunk.

    @param date: The present time, in the format of RFC 9110 5.6.7.

    @raise ValueError: If a header has a line break or is a header of framing,
        or the client does not understand chunks.
    """
    checkHeader(b"Date", date)
    framing = _frameStream(version, chunked, persistent)
    return _encodeHead(status, date, _check(headers), framing)


class ResponseTemplate:
    """
    A response head of HTTP/1, checked and encoded once, with holes for what
    differs from response to response: the date, always; the entity tag, if
    the template is made with one; the length of the body, if the response can
    have a body of known length.
    """

    __slots__ = (
        *("_beforeDate", "_beforeLength", "_beforeTag", "_end", "_hasLength"),
        *("_second", "_start"),
    )

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        framing: Sequence[tuple[bytes, bytes]],
        isTagged: bool = False,
    ) -> None:
        """
        Use L{complete} or L{stream} to make one.

        @raise ValueError: If a header has a line break or is a header of
            framing.
        """
        # Headers with this byte are refused, so that every one is a hole.
        tag = [(b"ETag", b'"%b"' % _HOLE)] if isTagged else []
        head = _encodeHead(status, _HOLE, [*tag, *_check(headers)], framing)
        self._beforeDate, *between, self._end = head.split(_HOLE)
        self._beforeTag = between.pop(0) if isTagged else b""
        self._hasLength = bool(between)
        self._beforeLength = between[0] if between else b""
        # All up to the tag, as it was made last, and in which second.
        self._second = -1
        self._start = b""

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
        Make a template for complete responses, as L{encodeResponse} makes
        them.

        @param isTagged: Whether the first header is an entity tag, which
            L{fill} is given.
        """
        framing = _frameComplete(version, status, _HOLE, persistent)
        return cls(status, headers, framing, isTagged)

    @classmethod
    def stream(
        cls, version: tuple[int, int], headers: Iterable[tuple[bytes, bytes]], chunked: bool
    ) -> ResponseTemplate:
        """
        Make a template for the heads of responses that never end.  L{fill} is
        given no body for it.

        @raise ValueError: If the client does not understand chunks.
        """
        return cls(200, headers, _frameStream(version, chunked, False))

    def fill(self, body: bytes = b"", tag: bytes = b"") -> bytes:
        """
        Make a response with the present time as its date.

        @param body: The body; empty if the template has no length.

        @param tag: The entity tag without its quotes; empty if the template
            has none.
        """
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._start = self._beforeDate + _dateOf(second) + self._beforeTag
        if not self._hasLength:
            return b"".join((self._start, tag, self._end, body))
        return b"%b%b%b%d%b%b" % (
            *(self._start, tag, self._beforeLength, len(body)),
            *(self._end, body),
        )


@lru_cache(TEMPLATE_CACHE_SIZE)
def completeTemplate(status: int, headers: Headers) -> ResponseTemplate:
    """
    Get the template for complete HTTP/1.1 responses on connections that stay
    open.  It is made once for each status and headers.
    """
    return ResponseTemplate.complete((1, 1), status, headers, True)


@lru_cache(TEMPLATE_CACHE_SIZE)
def streamTemplate(headers: Headers) -> ResponseTemplate:
    """
    Get the template for the heads of chunked HTTP/1.1 responses that never
    end.  It is made once for each headers.
    """
    return ResponseTemplate.stream((1, 1), headers, True)


def checkHeader(name: bytes, value: bytes) -> None:
    """
    Check a header before it is sent.

    @raise ValueError: If the name is not a token, or the value has a line
        break or NUL.
    """
    if not _TOKEN.fullmatch(name) or _UNSAFE.search(value):
        raise ValueError(f"{name!r} with the value {value!r} is not a valid header")


@lru_cache(1)
def _dateOf(second: int) -> bytes:
    """
    Make the value of the header C{Date}.

    @param second: The time, in seconds since 1970.
    """
    # RFC 9110 5.6.7
    return formatdate(second, usegmt=True).encode("ascii")


def _check(headers: Iterable[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
    """
    Check the headers that a caller gives.

    @raise ValueError: If one is not valid, or is a header of framing or the
        date.
    """
    given = list(headers)
    for name, value in given:
        checkHeader(name, value)
        if name.lower() in _FRAMING:
            raise ValueError(f"{name!r} is added when the response is framed; leave it out")
    return given


def _frameComplete(
    version: tuple[int, int], status: int, length: bytes, persistent: bool
) -> Sequence[tuple[bytes, bytes]]:
    framing = []
    # RFC 9110 8.6 and 15.4.5: without a body there is no length.
    if status not in _BODILESS:
        framing.append((b"Content-Length", length))
    if not persistent:
        framing.append((b"Connection", b"close"))
    elif version < (1, 1):
        # RFC 9112 9.3: otherwise a client of HTTP/1.0 expects the end.
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
    # RFC 9112 2.3: the version is the server's, not the client's.
    lines = [b"HTTP/1.1 %d %s" % (status, reason(status).encode("ascii"))]
    # RFC 9110 6.6.1
    for name, value in ((b"Date", date), *headers, *framing):
        lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
