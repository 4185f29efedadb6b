"""
A request as Twisted's WSGI support sees it: with the address and the scheme of the client
where a trusted proxy tells them, and with a response that goes out at the client's pace.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address

from comet.http.forwarded import Forwarded
from comet.server.wsgipace import Pace

# Where a client is that a proxy hands over by a UNIX socket, and where that is.
_NOWHERE: Final = IPv4Address("TCP", "127.0.0.1", 0)


class SeenRequest:
    """
    A request.  All that is not here is the real request's.
    """

    def __init__(self, request: Any, pace: Pace, forwarded: Forwarded) -> None:
        """
        @param forwarded: What trusted proxies tell of it.
        """
        self._request = request
        self._forwarded = forwarded
        self.write = pace.write
        self.finish = pace.finish
        self.loseConnection = pace.loseConnection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    @property
    def defaultContentType(self) -> Any:
        """
        The content type of a response that has none.  Twisted sets it.
        """
        return self._request.defaultContentType

    @defaultContentType.setter
    def defaultContentType(self, value: Any) -> None:
        self._request.defaultContentType = value

    def isSecure(self) -> bool:
        """
        Whether the client speaks TLS: with the proxy, if a trusted one tells.
        """
        told = self._forwarded.isSecure
        return bool(self._request.isSecure()) if told is None else told

    def getClientAddress(self) -> Any:
        """
        Return the address of the client.  Its port is 0 where a proxy tells the address,
        since it does not tell the port.
        """
        told = self._forwarded.address
        if told is not None:
            return (IPv6Address if ":" in told else IPv4Address)("TCP", told, 0)
        address = self._request.getClientAddress()
        # A UNIX socket has neither host nor port, and Twisted asks for both.
        return address if hasattr(address, "host") else _NOWHERE

    def getHost(self) -> Any:
        """
        Return the address that the client, or its proxy, has connected to.
        """
        address = self._request.getHost()
        return address if hasattr(address, "port") else _NOWHERE

    def getRequestHostname(self) -> Any:
        """
        Return the name of the host that was asked for, or that address.
        """
        try:
            return self._request.getRequestHostname()
        except AttributeError:
            # There is no header, and a UNIX socket has no host.
            return _NOWHERE.host.encode("ascii")
