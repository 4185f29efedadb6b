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

from typing import Any

from twisted.protocols.policies import ProtocolWrapper


def setReturning(transport: Any, comesBack: bool) -> None:
    """
    Say whether the client of a connection comes back together with many others, as
    clients do whose polls were held, or is in the middle of a request.  What it sends is
    then read behind what others send.

    @param transport: Its transport, or one above that, as of TLS.
    """
    below = _lowest(transport)
    if below is not None:
        below.comesBack = comesBack


def isReturning(transport: Any) -> bool:
    """
    Tell what was said last by L{setReturning}; False if it was not called.
    """
    comesBack: bool = getattr(transport, "comesBack", False)
    return comesBack


def setBeginning(transport: Any, begins: bool) -> None:
    """
    Say whether nothing was heard of the client of a connection but its TLS.

    @param transport: Its transport, or one above that.
    """
    below = _lowest(transport)
    if below is not None:
        below.begins = begins


def isBeginning(transport: Any) -> bool:
    """
    Tell what was said last by L{setBeginning}; False if it was not called.
    """
    begins: bool = getattr(transport, "begins", False)
    return begins


def _lowest(transport: Any) -> Any:
    while isinstance(transport, ProtocolWrapper):
        # Any: a wrapper's transport is any transport.
        transport = transport.transport
    return transport
