"""
Where the lean edge is used: a reactor that listens with it, where it can.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReactorSocket
from twisted.internet.tcp import Port

from comet.lean.edge import Edge
from comet.lean.http import HTTPConnection
from comet.lean.port import LeanPort
from comet.lean.routes import findRoutes
from comet.lean.tcp import TCPConnection
from comet.transports.tcp import CometFactory
from comet.web.site import CometSite


def canBeLean(reactor: Any) -> bool:
    """
    Whether the lean edge can be used with a reactor on this system.
    """
    return (
        sys.platform == "linux"
        and IReactorFDSet.providedBy(reactor)
        and IReactorSocket.providedBy(reactor)
    )


class LeanReactor:
    """
    A reactor that is another one in all but this: where comet's own factories
    listen on plain TCP, the lean edge does.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: One with which that L{can be<canBeLean>}.
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
        # Never a subclass, which may do more than is done here.
        if type(port) is not Port:
            return port
        if type(factory) is CometSite:
            tree = findRoutes(factory)
            if tree is not None:
                edge = Edge(self._reactor, tree.hub, factory, port.socket.family, tree)
                return LeanPort(port, edge, HTTPConnection)
        elif type(factory) is CometFactory:
            edge = Edge(self._reactor, factory.hub, factory, port.socket.family)
            return LeanPort(port, edge, TCPConnection)
        return port
