"""
The header of the PROXY protocol, by the examples of its specification.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import pack
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from comet.framing.proxyheader import (
    MAX_BLOCK,
    MAX_LINE,
    BadProxyHeader,
    Endpoint,
    ProxyHeader,
    parseProxyHeader,
)

# Section 2.1 gives these: the longest line of each kind, and the one before a
# request.
MOST = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
TCP4 = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"
TCP6 = f"PROXY TCP6 {MOST} {MOST} 65535 65535\r\n".encode()
SHORT = b"PROXY UNKNOWN\r\n"
WORST = f"PROXY UNKNOWN {MOST} {MOST} 65535 65535\r\n".encode()
BEFORE = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
INET = pack("!4s4sHH", bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 56324, 443)
INET6 = IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::2").packed + pack("!HH", 1, 2)
UNIX = b"/tmp/a".ljust(108, b"\0") + b"/tmp/b".ljust(108, b"\0")


def binary(command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    """
    Encode a header of version 2.
    """
    size = len(block) if length is None else length
    return SIGNATURE + pack("!BBH", command, family, size) + block


class LineTests(TestCase):
    """
    Version 1.
    """

    def test_readsExamplesOfSpecification(self) -> None:
        """
        Each line that the specification shows is read.
        """
        most4 = Endpoint("255.255.255.255", 65535)
        most6 = Endpoint(MOST, 65535)
        for line, source, destination in (
            (TCP4, most4, most4),
            (TCP6, most6, most6),
            (BEFORE, Endpoint("192.168.0.1", 56324), Endpoint("192.168.0.11", 443)),
        ):
            self.assertEqual(
                parseProxyHeader(line + b"GET / HTTP/1.1\r\n"),
                ProxyHeader(len(line), source, destination),
            )

    def test_unknownIsProxysOwnConnection(self) -> None:
        """
        C{UNKNOWN} names no client, with or without anything behind it.
        """
        for line in (SHORT, WORST, b"PROXY UNKNOWN what ever\r\n"):
            self.assertEqual(parseProxyHeader(line + b"x"), ProxyHeader(len(line)))

    def test_waitsForEnd(self) -> None:
        """
        A line may arrive in any number of pieces.
        """
        for line in (TCP4, TCP6, SHORT, WORST):
            self.assertLessEqual(len(line), MAX_LINE)
            for end in range(len(line)):
                self.assertIsNone(parseProxyHeader(line[:end]))

    def test_refusesMalformedLine(self) -> None:
        """
        A line is refused that is too long, of another protocol, or has a field
        too few, too many, or malformed.
        """
        for line in (
            b"GET / HTTP/1.1\r\n",
            b"proxy UNKNOWN\r\n",
            b"PROXY \r\n",
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            b"PROXY TCP4 \xff.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY UNKNOWN " + b"x" * MAX_LINE,
        ):
            self.assertRaises(BadProxyHeader, parseProxyHeader, line)


class BinaryTests(TestCase):
    """
    Version 2.
    """

    def test_readsEachFamily(self) -> None:
        """
        The addresses of each family are read, and facts behind them skipped.
        """
        inet = Endpoint("192.0.2.1", 56324), Endpoint("192.0.2.2", 443)
        inet6 = Endpoint("2001:db8::1", 1), Endpoint("2001:db8::2", 2)
        unix = Endpoint("/tmp/a", None), Endpoint("/tmp/b", None)
        for family, block, ends in (
            (0x11, INET, inet),
            (0x12, INET, inet),
            (0x21, INET6, inet6),
            (0x22, INET6, inet6),
            (0x31, UNIX, unix),
            (0x32, UNIX, unix),
            (0x11, INET + b"\x03\x00\x04abcd", inet),
        ):
            header = binary(0x21, family, block)
            self.assertEqual(parseProxyHeader(header + b"GET"), ProxyHeader(len(header), *ends))

    def test_localAndUnspecifiedAreProxysOwnConnection(self) -> None:
        """
        The command C{LOCAL} names no client, whatever the block says, and neither
        does C{PROXY} with a family or protocol that is not specified.
        """
        for header in (
            binary(0x20, 0x00, b""),
            binary(0x20, 0x11, INET),
            binary(0x20, 0xFF, b"what"),
            binary(0x21, 0x00, b""),
            binary(0x21, 0x10, INET),
            binary(0x21, 0x01, INET),
        ):
            self.assertEqual(parseProxyHeader(header + b"x"), ProxyHeader(len(header)))

    def test_waitsForEnd(self) -> None:
        """
        A header may arrive in any number of pieces.
        """
        header = binary(0x21, 0x21, INET6)
        for end in range(len(header)):
            self.assertIsNone(parseProxyHeader(header[:end]))

    def test_refusesMalformedHeader(self) -> None:
        """
        A header is refused with another version, command, family or protocol, and
        with a block that is too long or too short.
        """
        for header in (
            binary(0x11, 0x11, INET),
            binary(0x22, 0x11, INET),
            binary(0x21, 0x41, INET),
            binary(0x21, 0x13, INET),
            binary(0x21, 0x11, INET[:-1]),
            binary(0x21, 0x31, INET),
            binary(0x21, 0x11, b"", MAX_BLOCK + 1),
            SIGNATURE[:-1] + b"x" + b"\x21\x11\x00\x0c" + INET,
        ):
            self.assertRaises(BadProxyHeader, parseProxyHeader, header)


class AnyTests(TestCase):
    """
    Any bytes.
    """

    @given(st.one_of(st.binary(), st.binary().map(lambda rest: SIGNATURE + rest)))
    def test_parsesOrRefuses(self, data: bytes) -> None:
        """
        Any bytes are parsed, waited for, or refused.
        """
        try:
            header = parseProxyHeader(data)
        except BadProxyHeader:
            return
        if header is not None:
            self.assertLessEqual(header.size, len(data))

    @given(st.ip_addresses(), st.integers(0, 65535))
    def test_readsAnyAddress(self, address: IPv4Address | IPv6Address, port: int) -> None:
        """
        Every address and port is read from a line as it was written.
        """
        line = f"PROXY TCP{address.version} {address} {address} {port} 0\r\n".encode()
        ends = Endpoint(str(address), port), Endpoint(str(address), 0)
        self.assertEqual(parseProxyHeader(line), ProxyHeader(len(line), *ends))
