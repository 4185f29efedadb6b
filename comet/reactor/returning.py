"""
Connections that a reactor may serve behind others, as their transports say.

  - Those whose clients come back together: all polls of a channel are answered with the
    same message, and their clients ask again at once.

  - Those that are in the middle of a request: its client may send it byte by byte, or much
    behind it, and waits for an answer in any case.

  - Those of clients that have not said anything yet, though their TLS has: a handshake
    takes as long as dozens of polls.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.protocols.policies import ProtocolWrapper


class Note:
    """
    Something that is said of connections.  It is kept at the lowest transport of each,
    which is what the reactor knows.
    """

    __slots__ = ("_attribute",)

    def __init__(self, attribute: str) -> None:
        """
        @param attribute: Which attribute of a transport has it.
        """
        self._attribute = attribute

    def set(self, transport: Any, isSo: bool) -> None:
        """
        Say whether it is so.

        @param transport: A transport of the connection, the lowest or one above that, as of
            TLS.
        """
        below = _lowest(transport)
        if below is not None:
            setattr(below, self._attribute, isSo)

    def isSet(self, transport: Any) -> bool:
        """
        Tell what was said last; False if nothing was.
        """
        isSo: bool = getattr(transport, self._attribute, False)
        return isSo


# The client comes back together with many others, as clients do whose polls were held, or
# is in the middle of a request.  What it sends is then read behind what others send.
RETURNING: Final = Note("comesBack")

# Nothing was heard of the client but its TLS.
BEGINNING: Final = Note("begins")


def _lowest(transport: Any) -> Any:
    while isinstance(transport, ProtocolWrapper):
        # Any: a wrapper's transport is any transport.
        transport = transport.transport
    return transport
