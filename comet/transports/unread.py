"""
How much of a response its client has not taken: what the server has written may
still be with the transport, or with the system.
"""

from __future__ import annotations

from struct import unpack
from typing import Any

from twisted.protocols.policies import ProtocolWrapper

from comet.interfaces.sockets import ClientSocket
from comet.transports.vanished import socketOf


def unreadIn(connection: ClientSocket) -> int:
    """
    Return how many bytes the system keeps for a client, until the client's system
    has acknowledged them; 0 if the system does not tell, or the connection is
    broken.
    """
    try:
        # Windows has neither.
        from fcntl import ioctl
        from termios import TIOCOUTQ

        (size,) = unpack("i", ioctl(connection, TIOCOUTQ, bytes(4)))
    except (ImportError, OSError, ValueError):
        return 0
    return int(size)


def unreadBelow(transport: Any) -> int:
    """
    Return how many bytes a transport of Twisted's, and the system below it, keep
    for a client.
    """
    connection = socketOf(transport)
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    # Twisted has no method that tells this, and other transports keep it elsewhere.
    kept: int = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    kept += getattr(transport, "_tempDataLen", 0)
    return kept + (0 if connection is None else unreadIn(connection))
