"""
Flash's policy file: which Flash movies may connect to which ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import quoteattr

# A Flash player sends this to ask for the policy file, before it connects for a
# movie.
REQUEST: Final = b"<policy-file-request/>\0"


def encodePolicy(domains: Iterable[str], ports: Iterable[int]) -> bytes:
    """
    Encode the policy file, with the U+0000 that ends it on the wire.

    @param domains: The hosts from which movies may come, C{*} for all.

    @param ports: The ports to which movies may connect.  Without a port no
        host is allowed.
    """
    toPorts = ",".join(map(str, sorted(set(ports))))
    allowed = sorted(set(domains)) if toPorts else []
    lines = [
        '<?xml version="1.0"?>',
        "<cross-domain-policy>",
        *(
            f"<allow-access-from domain={quoteattr(domain)} to-ports={quoteattr(toPorts)}/>"
            for domain in allowed
        ),
        "</cross-domain-policy>",
    ]
    return "\n".join([*lines, "\0"]).encode("utf-8")
