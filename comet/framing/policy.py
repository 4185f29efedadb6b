"""
Flash's policy file: which pages' movies may open sockets to which ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import quoteattr

# What a Flash player sends to a port before it opens a socket to it for a
# movie.
REQUEST: Final = b"<policy-file-request/>\0"


def encodePolicy(domains: Iterable[str], ports: Iterable[int]) -> bytes:
    """
    The policy file, with the U+0000 that ends it on the wire.

    @param domains: The hosts of the pages, C{*} for all.

    @param ports: The ports to which they may connect; without any, nobody may
        connect.
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
