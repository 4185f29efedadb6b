"""
A reactor that listens with the lean edge wherever it can stand for Twisted's.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReactorSocket
from twisted.internet.tcp import Port

from comet.lean.http import HTTPConnection
from comet.lean.httpedge import HTTPEdge
from comet.lean.port import LeanPort
from comet.lean.routes import findRoutes
from comet.lean.tcp import TCPConnection, TCPEdge
from comet.transports.tcp import CometFactory
from comet.web.site import CometSite


def canBeLean(reactor: Any) -> bool:
    """
    Tell whether the lean edge works with a reactor on this system.
    """
    return (
        sys.platform == "linux"
        and IReactorFDSet.providedBy(reactor)
        and IReactorSocket.providedBy(reactor)
    )


class LeanReactor:
    """
    Another reactor, except that comet's own factories listen on TCP with the lean edge,
    plain or over TLS.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: A reactor that L{can be lean<canBeLean>}.
        """
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self._lean(self._reactor.listenTCP(port, factory, backlog, interface), factory)

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """
        See L{IReactorSocket}.
        """
        port = self._reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)
        isTCP = addressFamily in (socket.AF_INET, socket.AF_INET6)
        return self._lean(port, factory) if isTCP else port

    def _lean(self, port: Any, factory: Any) -> Any:
        """
        Put a lean port in the place of one of Twisted's, if it can stand for it.
        """
        # A subclass of a port, a site or a factory may do more than is done here.
        if type(port) is not Port:
            return port
        if getattr(factory, "serverContexts", None) is not None:
            # It needs packages that may not be installed.
            from comet.lean.secureedges import securePort

            return securePort(self._reactor, port, factory) or port
        family = port.socket.family
        if type(factory) is CometSite:
            routes = findRoutes(factory)
            if routes is not None:
                edge = HTTPEdge(self._reactor, routes, factory, family)
                return LeanPort(port, edge, partial(HTTPConnection, edge))
        elif type(factory) is CometFactory:
            tcpEdge = TCPEdge(self._reactor, factory, family)
            return LeanPort(port, tcpEdge, partial(TCPConnection, tcpEdge))
        return port
