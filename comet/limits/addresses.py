"""
Which addresses count as one: those that one subscriber of a network has.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Final

# How many addresses are remembered, with what they count as.
_CACHE_SIZE: Final = 4096

# RFC 4291 2.5.5.2: how an IPv6 address begins that stands for one of IPv4.
_MAPPED: Final = bytes(10) + b"\xff\xff"

# RFC 6177: a subscriber has a /64 at least, and any address in it.
_PREFIX_BYTES: Final = 8


def countsAs(address: str) -> str:
    """
    Return what an address counts as: an IPv6 address as its network of 64 bits, an
    IPv4 address as itself.

    @param address: An IP address; empty for a client without one, as on a UNIX
        socket.
    """
    # The fast path of nearly all.
    return _network(address) if ":" in address else address


@lru_cache(_CACHE_SIZE)
def _network(address: str) -> str:
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        # No IP address: it counts as itself.
        return address
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED) :])
    prefix = packed[:_PREFIX_BYTES] + bytes(_PREFIX_BYTES)
    return f"{socket.inet_ntop(socket.AF_INET6, prefix)}/64"
