"""
What a transport tells of the client at its other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import ISSLTransport

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def addressOf(transport: Any) -> str:
    """
    Return the client's IP address; empty if it has none, as on a UNIX socket.

    @param transport: Anything with C{getPeer}.
    """
    return str(getattr(transport.getPeer(), "host", "") or "")


def isSecure(transport: Any) -> bool:
    """
    Return whether TLS ends at a transport.

    @param transport: Any transport.  One that is not of Twisted's may have an attribute
        C{isSecure}.
    """
    return ISSLTransport.providedBy(transport) or bool(getattr(transport, "isSecure", False))


def certificateOf(transport: Any) -> Certificate | None:
    """
    Return the certificate that the client has shown in the TLS handshake, or L{None}
    if it has shown none, speaks no TLS, or has left.

    @param transport: A transport, which has C{getPeerCertificate} if it speaks TLS.
    """
    ask = getattr(transport, "getPeerCertificate", None)
    try:
        shown = None if ask is None else ask()
    except AttributeError:
        # Twisted's TLS has forgotten the connection, which is lost.
        return None
    found: Certificate | None = None if shown is None else shown.to_cryptography()
    return found
