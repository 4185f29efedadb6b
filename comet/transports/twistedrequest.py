"""
Twisted's request and response, as values.
"""

from __future__ import annotations

from typing import Final

from twisted.web.server import Request

from comet.http.request import RequestHead
from comet.http.responses import Headers

VERSIONS: Final = {b"HTTP/1.0": (1, 0), b"HTTP/1.1": (1, 1), b"HTTP/2": (2, 0)}


def makeRequestHead(request: Request, isSecure: bool | None = None) -> RequestHead:
    """
    Make a request head of Twisted's request.  Its segments begin below the
    resource that Twisted has routed the request to.

    @param isSecure: Whether the request came through TLS, if a proxy has told that.
    """
    path, _, query = request.uri.partition(b"?")
    return RequestHead(
        method=request.method,
        # As the client sent them: in Twisted's own list escapes are decoded.
        segments=tuple(path.split(b"/")[1 + len(request.prepath or ()) :]),
        query=query,
        version=VERSIONS.get(request.clientproto, (1, 0)),
        headers=lambda name: request.requestHeaders.getRawHeaders(name) or (),
        isSecure=bool(request.isSecure()) if isSecure is None else isSecure,
    )


def setHeaders(request: Request, headers: Headers) -> None:
    """
    Set headers of the response.  They replace all headers of the same names,
    and Twisted's C{Server}.
    """
    for name in {b"Server", *(name for name, _ in headers)}:
        request.responseHeaders.removeHeader(name)
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)


def responseHeadSize(request: Request) -> int:
    """
    Return how many bytes the head of a response would have in HTTP/1, for a
    response whose head Twisted has sent.
    """
    sent = request.responseHeaders.getAllRawHeaders()
    lines = sum(len(name) + len(value) + 4 for name, values in sent for value in values)
    return lines + len("HTTP/2 200 \r\n\r\n")
