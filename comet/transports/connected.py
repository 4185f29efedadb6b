"""
The connections of a factory, to close those that are left when the server stops;
and the end of a connection whose protocol fails.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from comet.logging.clientlog import ClientLogger

_log = ClientLogger()


def connectionFailed(transport: Any) -> None:
    """
    Cut a connection whose protocol raised the exception being handled.  Twisted
    would log it as often as it comes, or leave the connection open.
    """
    _log.failure("the connection of {peer} failed, and is cut", peer=transport.getPeer())
    transport.abortConnection()


class Connections:
    """
    The protocols of a factory that are connected.

    They are held weakly: a transport that is L{detached
    <comet.transports.detach.detach>} leaves its protocol to be forgotten.
    """

    def __init__(self) -> None:
        self._protocols: WeakSet[Any] = WeakSet()

    def add(self, protocol: Any) -> None:
        """
        Add a new protocol.
        """
        self._protocols.add(protocol)

    def discard(self, protocol: Any) -> None:
        """
        Remove a protocol whose connection is lost.
        """
        self._protocols.discard(protocol)

    def cut(self) -> bool:
        """
        Close all connections at once.  Each protocol learns of it in another
        turn.

        @return: Whether there was any.
        """
        transports = [each.transport for each in self._protocols if each.transport is not None]
        for transport in transports:
            transport.abortConnection()
        return bool(transports)
