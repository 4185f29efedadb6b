"""
A connection within the process, over a pair of sockets.  No port listens for it, so
no other program, and no web page, can connect in its way.
"""

from __future__ import annotations

import socket
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer


@implementer(IStreamClientEndpoint)
@frozen
class PairEndpoint:
    """
    Connects to a factory of the same process.

    @ivar reactor: Provides L{IReactorSocket
        <twisted.internet.interfaces.IReactorSocket>}; without it no connection
        can be made.

    @ivar factory: Makes the protocols of the server's side.
    """

    reactor: Any
    factory: IProtocolFactory

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        See L{IStreamClientEndpoint}.
        """
        return maybeDeferred(self._connect, protocolFactory)

    def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        theirs, ours = socket.socketpair()
        # The reactor duplicates both descriptors.
        with theirs, ours:
            self._adopt(theirs, self.factory)
            protocol: IProtocol = self._adopt(ours, protocolFactory).protocol
            return protocol

    def _adopt(self, end: socket.socket, factory: IProtocolFactory) -> Any:
        end.setblocking(False)
        return self.reactor.adoptStreamConnection(end.fileno(), end.family, factory)
