"""
Connections whose clients come back together: all polls of a channel are answered with
the same message, and their clients ask again at once.  The transports say which they
are, and a reactor may serve them behind others.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.policies import ProtocolWrapper


def setReturning(transport: Any, comesBack: bool) -> None:
    """
    Say whether the client of a connection comes back together with many others, as
    clients do whose polls were held.  What it sends is then read behind what others send.

    @param transport: Its transport, or one above that, as of TLS.
    """
    while isinstance(transport, ProtocolWrapper):
        # Any: a wrapper's transport is any transport.
        transport = transport.transport
    if transport is not None:
        transport.comesBack = comesBack


def isReturning(transport: Any) -> bool:
    """
    Tell what was said last by L{setReturning}; False if it was not called.
    """
    comesBack: bool = getattr(transport, "comesBack", False)
    return comesBack
