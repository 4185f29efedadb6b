"""
Sending past a transport of Twisted's, straight to its socket.

C{transport.write} keeps the data, has the reactor watch the socket, and sends in the next
turn.  To send at once costs a third of that; and in a moment in which the server has much
to do, what is sent does not wait for a turn.
"""

from __future__ import annotations

from typing import Any, Final

# A TLS transport has the attributes of the plain one below it, so plaintext would leak;
# and a subclass may do more with what is written.
_ATTRIBUTES: Final = ("TLS", "_tempDataBuffer", "dataBuffer", "socket")


def isPlain(transport: Any, kind: type) -> bool:
    """
    Whether a transport is Twisted's own plain TCP connection, whose socket may be sent to
    past it while its buffers are empty.

    @param kind: The class of Twisted's that it has to be of, and of no subclass.
    """
    return (
        type(transport) is kind
        and all(hasattr(transport, name) for name in _ATTRIBUTES)
        and not getattr(transport, "TLS", True)
    )


def isEmpty(transport: Any) -> bool:
    """
    Whether a plain transport has nothing left to send: only then may its socket be sent to.
    """
    return not (transport.dataBuffer or transport._tempDataBuffer)


def sendPlain(transport: Any, data: bytes | memoryview) -> int:
    """
    Send to the socket of a plain transport.

    @return: How many bytes the socket took.
    """
    if not transport.connected or transport.disconnecting:
        return 0
    try:
        sent: int = transport.socket.send(data)
    except OSError:
        # Full or broken: the reactor finds out which.
        return 0
    return sent
