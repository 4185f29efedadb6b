"""
Lean ports over TLS, and what their connections share.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.logger import Logger

from comet.lean.handshakes import MakeConnection, secured
from comet.lean.http import HTTPConnection
from comet.lean.httpedge import HTTPEdge
from comet.lean.port import LeanPort
from comet.lean.routes import Routes, findRoutes
from comet.lean.tcp import TCPConnection, TCPEdge
from comet.lean.tlshandover import ContinuedTLSFactory
from comet.lean.tlssocket import TLSSocket
from comet.transports.sharedtls import SharedTLSFactory
from comet.transports.tcp import CometFactory
from comet.web.site import CometSite

_log = Logger()


class SecureHTTPEdge(HTTPEdge):
    """
    The connections of a port that speaks HTTP over TLS: HTTP/2 is spoken on Twisted's
    edge.
    """

    isSecure = True

    def __init__(self, reactor: Any, routes: Routes, factory: Any, family: int) -> None:
        super().__init__(reactor, routes, factory, family)
        self._continued = ContinuedTLSFactory(factory, routes.hub.turns, reactor)

    def isElsewhere(self, protocol: str | None) -> bool:
        """
        See L{Edge.isElsewhere<comet.lean.edge.Edge.isElsewhere>}.
        """
        return protocol == "h2"

    def refusal(self) -> bytes:
        """
        See L{Edge.refusal<comet.lean.edge.Edge.refusal>}.  To tell a client more would
        take a handshake, for which there is no room.
        """
        super().refusal()
        return b""

    def _adopt(self, sock: TLSSocket) -> Any:
        self._continued.continueWith(sock)
        try:
            return self.reactor.adoptStreamConnection(sock.fileno(), self._family, self._continued)
        finally:
            # What was said of TLS stays true.
            sock.raw.close()

    def _deliver(self, transport: Any, data: bytes) -> None:
        transport.protocol.wrappedProtocol.dataReceived(data)


class SecureTCPEdge(TCPEdge):
    """
    The connections of a port that speaks raw TCP over TLS.
    """

    def refusal(self) -> bytes:
        """
        See L{Edge.refusal<comet.lean.edge.Edge.refusal>}, and L{SecureHTTPEdge.refusal}.
        """
        return b""


class SecureTCPConnection(TCPConnection):
    """
    The connection of a client that sends lines over TLS.
    """

    isSecure = True

    __slots__ = ()


def securePort(reactor: Any, port: Any, factory: Any) -> LeanPort | None:
    """
    Put a lean port in the place of one of Twisted's over TLS.

    @param factory: The factory of the port.

    @return: L{None} if it cannot stand for it.
    """
    if type(factory) is not SharedTLSFactory or factory.serverContexts is None:
        return None
    inner: Any = factory.wrappedFactory
    family = port.socket.family
    protocols: list[str] = []
    edge: SecureHTTPEdge | SecureTCPEdge
    makeConnection: MakeConnection
    if type(inner) is CometFactory:
        edge = tcpEdge = SecureTCPEdge(reactor, inner, family)
        makeConnection = partial(SecureTCPConnection, tcpEdge)
    else:
        routes = findRoutes(inner) if type(inner) is CometSite else None
        if routes is None:
            return None
        edge = httpEdge = SecureHTTPEdge(reactor, routes, inner, family)
        makeConnection = partial(HTTPConnection, httpEdge)
        protocols = [each.decode("ascii") for each in inner.acceptableProtocols()]
    getContext = partial(factory.serverContexts.getServerContext, protocols)
    try:
        getContext()
    except (OSError, ValueError) as error:
        _log.warn("TLS is left to Twisted, which takes more time: {error}", error=error)
        edge.spare.close()
        return None
    return LeanPort(port, edge, secured(edge, getContext, makeConnection))
