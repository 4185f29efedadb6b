"""
Where a request came from, as the connection or a trusted proxy tells it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.web.server import Request

from comet.http.forwarded import NOTHING, Forwarded, Proxies


def readForwarded(proxies: Proxies | None, request: Request) -> Forwarded:
    """
    Read what trusted proxies tell of a request.
    """
    if proxies is None:
        return NOTHING
    peer = _peerOf(request)
    isUNIX = isinstance(peer, UNIXAddress)
    if not (proxies.trustsUNIX if isUNIX else proxies.trusts(str(getattr(peer, "host", "")))):
        return NOTHING
    return proxies.read(lambda name: request.requestHeaders.getRawHeaders(name) or ())


def addressOf(proxies: Proxies | None, request: Request) -> str:
    """
    Return the IP address of the client that has made a request: the one that a trusted
    proxy tells, or that of the connection; empty for a UNIX socket.
    """
    return readForwarded(proxies, request).address or hostOf(request)


def hostOf(request: Request) -> str:
    """
    Return the IP address of the connection from which a request came; empty for a UNIX
    socket.
    """
    return str(getattr(_peerOf(request), "host", "") or "")


def _peerOf(request: Any) -> object:
    """
    Return the address from which a request came.
    """
    # Twisted sets the address when all of the request has come.
    return request.getClientAddress() or request.channel.getPeer()
