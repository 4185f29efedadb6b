"""
TLS of clients that trust any server.
"""

from __future__ import annotations

import ssl


def trusting(isHTTP2: bool) -> ssl.SSLContext:
    """
    Make a context of clients that trust any certificate.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if isHTTP2:
        context.set_alpn_protocols(["h2"])
    return context
