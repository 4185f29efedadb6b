"""
The header of the PROXY protocol, versions 1 and 2, with which a proxy says between
whom a connection is.

See U{https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt}.  Twisted's own
parsers refuse C{PROXY UNKNOWN} without addresses, and a header that arrives in
pieces.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final, NamedTuple

# Section 2.1: the longest line, with its end.
MAX_LINE: Final = 107

# Section 2.2: the block of a version 2 header may have up to 65,535 bytes.
# HAProxy sends at most some hundred: addresses, and a few facts about TLS.
MAX_BLOCK: Final = 4096

_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"

_PORT: Final = re.compile(rb"0|[1-9][0-9]{0,4}")

# The signature, version and command, family and protocol, size of the block.
_FIXED: Final = Struct("!12sBBH")
_INET: Final = Struct("!4s4sHH")
_INET6: Final = Struct("!16s16sHH")
_UNIX: Final = Struct("!108s108s")

_LOCAL: Final = 0x20
_PROXY: Final = 0x21


class BadProxyHeader(ValueError):
    """
    Bytes that are no header of the PROXY protocol.
    """


class Endpoint(NamedTuple):
    """
    One end of the connection between the client and the proxy.

    @ivar host: An IP address, or the path of a UNIX socket.

    @ivar port: The port; L{None} for a UNIX socket.
    """

    host: str
    port: int | None


class ProxyHeader(NamedTuple):
    """
    A header.

    @ivar size: How many bytes it has.

    @ivar source: The client, or L{None} if the proxy does not say: the
        connection is then the proxy's own.

    @ivar destination: Where the client connected to, or L{None}.
    """

    size: int
    source: Endpoint | None = None
    destination: Endpoint | None = None


def parseProxyHeader(data: bytes) -> ProxyHeader | None:
    """
    Parse the header at the beginning of a connection.

    @param data: All bytes that have come.

    @return: L{None} if more bytes are needed.

    @raise BadProxyHeader: If it is no header.
    """
    if data.startswith(_V1):
        return _parseLine(data)
    if data.startswith(_V2):
        return _parseBinary(data)
    if _V1.startswith(data) or _V2.startswith(data):
        return None
    raise BadProxyHeader("the connection does not begin with a PROXY header")


def _parseLine(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_LINE)
    if end < 0:
        if len(data) >= MAX_LINE:
            raise BadProxyHeader(f"a PROXY line has at most {MAX_LINE} bytes")
        return None
    size = end + 2
    kind, *fields = data[len(_V1) : end].split(b" ")
    if kind == b"UNKNOWN":
        # Section 2.1: the receiver ignores what stands before the end of the line.
        return ProxyHeader(size)
    if kind not in (b"TCP4", b"TCP6") or len(fields) != 4:
        raise BadProxyHeader("a PROXY line is TCP4 or TCP6 with four fields, or UNKNOWN")
    hosts = [_readHost(kind, field) for field in fields[:2]]
    ports = [_readPort(field) for field in fields[2:]]
    return ProxyHeader(size, *map(Endpoint, hosts, ports))


def _readHost(kind: bytes, field: bytes) -> str:
    read = IPv4Address if kind == b"TCP4" else IPv6Address
    try:
        # A scope, as in fe80::1%eth0, means something to the proxy only.
        if b"%" in field:
            raise ValueError
        return str(read(field.decode("ascii")))
    except ValueError:
        raise BadProxyHeader(f"{field[:48]!r} is no address of {kind.decode()}") from None


def _readPort(field: bytes) -> int:
    if not _PORT.fullmatch(field) or int(field) > 65535:
        raise BadProxyHeader(f"{field[:48]!r} is no port: a number up to 65535 is")
    return int(field)


def _parseBinary(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED.size:
        return None
    _, command, family, length = _FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader(f"the version and command {command:#x} are unknown")
    if length > MAX_BLOCK:
        raise BadProxyHeader(f"a PROXY header of {length} bytes is too long: {MAX_BLOCK} are taken")
    size = _FIXED.size + length
    if len(data) < size:
        return None
    if command == _LOCAL:
        # Section 2.2: the proxy's own connection, whatever the block says.
        return ProxyHeader(size)
    kind, protocol = family >> 4, family & 15
    if kind > 3 or protocol > 2:
        raise BadProxyHeader(f"the family and protocol {family:#x} are unknown")
    if kind == 0 or protocol == 0:
        return ProxyHeader(size)
    layout = (_INET, _INET6, _UNIX)[kind - 1]
    if length < layout.size:
        raise BadProxyHeader(f"{length} bytes are too few for the addresses of {family:#x}")
    fields = layout.unpack_from(data, _FIXED.size)
    if layout is _UNIX:
        paths = [field.rstrip(b"\0").decode("utf-8", "replace") for field in fields]
        return ProxyHeader(size, *(Endpoint(path, None) for path in paths))
    read = IPv4Address if layout is _INET else IPv6Address
    hosts = [str(read(field)) for field in fields[:2]]
    return ProxyHeader(size, *map(Endpoint, hosts, fields[2:]))
