"""
Where a request came from, as a trusted proxy tells it: in C{X-Forwarded-For} and
C{X-Forwarded-Proto}, or in C{Forwarded} (RFC 7239).

Any client can write these headers, and a proxy adds to what the client wrote.  So
they are read from the right, from one hop to the next, only as long as the hop is
an address that is trusted.  The first address that is not trusted is the client's.
What stands to the left of it is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

Network = IPv4Network | IPv6Network

# The word that stands for all clients of UNIX sockets.
UNIX: Final = "unix"

# The headers that may be believed: one or the other, since a proxy that writes one
# lets its clients write the other.
X_FORWARDED: Final = "x-forwarded"
FORWARDED: Final = "forwarded"

# How many hops are followed.  No request passes through so many proxies.
MAX_HOPS: Final = 32

# How many bytes of a header are read, from the right.  A proxy adds at most some
# hundred; the rest is the client's.
MAX_BYTES: Final = 8192

# How many addresses are remembered, with whether they are trusted.
_CACHE_SIZE: Final = 1024

_OWS: Final = rb"[ \t]*"
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
# RFC 7239 4: pairs of one element, and the comma or the end behind it.  No input makes
# this expression backtrack: each part begins with a byte that no other may begin with.
_PAIR: Final = re.compile(
    rb"%b(%b)=(%b|%b)%b(;|,|\Z)" % (_OWS, _TOKEN, _TOKEN, _QUOTED, _OWS), re.DOTALL
)
_EMPTY: Final = re.compile(rb"%b(;|,|\Z)" % _OWS)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)

# RFC 7239 6: an address, perhaps with a port; an IPv6 address with a port is in
# brackets.
_NODE: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}))(?::[0-9]{1,5})?")
_BARE: Final = re.compile(rb"[0-9A-Fa-f:.]{2,45}")

_SCHEMES: Final = {b"https": True, b"wss": True, b"http": False, b"ws": False}


class Forwarded(NamedTuple):
    """
    What trusted proxies tell of a request.

    @ivar address: The client's IP address; L{None} if they tell of none, so that
        it is the address of the connection.

    @ivar isSecure: Whether the request came to them through TLS; L{None} if they do
        not tell.
    """

    address: str | None
    isSecure: bool | None


NOTHING: Final = Forwarded(None, None)


class Hop(NamedTuple):
    """
    What one proxy has added.

    @ivar address: From where the request came to it; L{None} if that is no address.

    @ivar isSecure: Whether it came through TLS; L{None} if the proxy does not tell.
    """

    address: str | None
    isSecure: bool | None


class Proxies:
    """
    The proxies that are trusted, and the header in which they tell where a request
    came from.
    """

    def __init__(self, trusted: Sequence[str], header: str = X_FORWARDED) -> None:
        """
        @param trusted: IP addresses, networks such as C{10.0.0.0/8}, and C{unix}
            for all that connect to a UNIX socket.

        @param header: L{X_FORWARDED} or L{FORWARDED}.

        @raise ValueError: If one of them is not valid.
        """
        if header not in _READERS:
            raise ValueError(f"{header[:64]!r} is neither 'x-forwarded' nor 'forwarded'")
        self._networks = tuple(readNetwork(each) for each in trusted if each != UNIX)
        self.trustsUNIX = UNIX in trusted
        self._readHops = _READERS[header]
        # Remembered, since every request asks for it.
        self.trusts: Callable[[str], bool] = lru_cache(_CACHE_SIZE)(self._trusts)

    def _trusts(self, address: str) -> bool:
        """
        Tell whether the proxy with an IP address is trusted.  No proxy is whose
        address is empty: it is not known.
        """
        try:
            found = _plain(ip_address(address))
        except ValueError:
            return False
        return any(found in network for network in self._networks)

    def read(self, headers: Callable[[bytes], Sequence[bytes]]) -> Forwarded:
        """
        Read what proxies tell of a request.  The caller has found that the one that
        it came from is trusted.

        @param headers: As L{RequestHead.headers
            <comet.http.request.RequestHead.headers>}.
        """
        address, isSecure = NOTHING
        for hop in self._readHops(headers):
            # A hop without a scheme was told by a proxy that does not know it.
            isSecure = hop.isSecure
            if hop.address is None:
                # An address that cannot be read may be anybody's: it counts as
                # that of the proxy.
                break
            address = hop.address
            if not self.trusts(address):
                break
        return Forwarded(address, isSecure)


def readNetwork(text: str) -> Network:
    """
    Read an IP address, or a network.

    @raise ValueError: If it is neither.  A network with bits set beyond its length
        is none: it may be mistyped.
    """
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text[:64]!r} is not an IP address, nor a network such as '10.0.0.0/8', nor 'unix'"
        ) from None


def readAddress(node: bytes) -> str | None:
    """
    Read the address of a hop.  A port is ignored.

    @return: The address in its usual form, an IPv4 address that is written as one
        of IPv6 as IPv4; L{None} if it is none, as C{unknown}.
    """
    found = _NODE.fullmatch(node)
    if found is not None:
        node = found[1] or found[2]
    elif not _BARE.fullmatch(node):
        return None
    try:
        return str(_plain(ip_address(node.decode("ascii"))))
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """
    Return the IPv4 address that an address stands for, if it stands for one.
    """
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _readXForwarded(headers: Callable[[bytes], Sequence[bytes]]) -> Iterator[Hop]:
    """
    Yield the hops in C{X-Forwarded-For} and C{X-Forwarded-Proto}, the last one
    first.  A proxy that knows only the scheme has one hop without an address; a
    scheme that the outermost proxy alone has told counts for all hops before it.
    """
    addresses = _fromRight(headers(b"X-Forwarded-For"))
    schemes = [_SCHEMES.get(each.lower()) for each in _fromRight(headers(b"X-Forwarded-Proto"))]
    isSecure = None
    for place in range(max(len(addresses), min(len(schemes), 1))):
        isSecure = schemes[place] if place < len(schemes) else isSecure
        yield Hop(readAddress(addresses[place]) if place < len(addresses) else None, isSecure)


def _fromRight(lines: Sequence[bytes]) -> list[bytes]:
    """
    Return the last elements of a list that was sent in several lines, the last one
    first.
    """
    joined = b",".join(line[-MAX_BYTES:] for line in lines[-MAX_HOPS:])
    if not joined:
        return []
    pieces = joined.rsplit(b",", MAX_HOPS)[-MAX_HOPS:]
    return [piece.strip(b" \t") for piece in reversed(pieces)]


def _readForwarded(headers: Callable[[bytes], Sequence[bytes]]) -> Iterator[Hop]:
    """
    Yield the hops in C{Forwarded}, the last one first.  A line that is not
    well-formed ends them: what the client has written to its left may have been
    made to swallow what the proxy added.
    """
    for line in reversed(headers(b"Forwarded")):
        elements = readElements(line) if len(line) <= MAX_BYTES else None
        if elements is None:
            yield Hop(None, None)
            return
        for pairs in reversed(elements[-MAX_HOPS:]):
            node, scheme = pairs.get(b"for"), pairs.get(b"proto", b"")
            address = None if node is None else readAddress(node)
            yield Hop(address, _SCHEMES.get(scheme.lower()))


def readElements(line: bytes) -> list[dict[bytes, bytes]] | None:
    """
    Parse a header C{Forwarded}.

    @return: The parameters of each element, by their names in lower case; L{None} if
        it is not well-formed.
    """
    elements: list[dict[bytes, bytes]] = []
    pairs: dict[bytes, bytes] = {}
    at = 0
    while True:
        found = _PAIR.match(line, at)
        if found is None:
            # RFC 9110 5.6.1: empty elements are ignored.
            found = _EMPTY.match(line, at)
            if found is None:
                return None
            separator = found[1]
        else:
            name, value, separator = found[1].lower(), found[2], found[3]
            if name in pairs:
                # RFC 7239 4: each parameter once.
                return None
            if value.startswith(b'"'):
                value = _ESCAPE.sub(rb"\1", value[1:-1])
            pairs[name] = value
        at = found.end()
        if separator != b";":
            if pairs:
                elements.append(pairs)
            pairs = {}
        if not separator:
            return elements


_READERS: Final[dict[str, Callable[[Callable[[bytes], Sequence[bytes]]], Iterator[Hop]]]] = {
    X_FORWARDED: _readXForwarded,
    FORWARDED: _readForwarded,
}
