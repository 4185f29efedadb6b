"""
Tests of L{comet.http.forwarded}.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.http.forwarded import (
    FORWARDED,
    MAX_BYTES,
    MAX_HOPS,
    NOTHING,
    Forwarded,
    Proxies,
    readAddress,
    readElements,
    readNetwork,
)

INNER = Proxies(["10.0.0.0/8", "2001:db8::/32", "unix"])
STANDARD = Proxies(["10.0.0.0/8", "2001:db8::/32"], FORWARDED)

_addresses = st.ip_addresses().map(str)
_bytes = st.binary(max_size=60).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b""))


def x(addresses: Sequence[bytes] | bytes = (), schemes: Sequence[bytes] | bytes = ()) -> Forwarded:
    """
    Read C{X-Forwarded-For} and C{X-Forwarded-Proto}.
    """
    lines = {
        name: [given] if isinstance(given, bytes) else list(given)
        for name, given in ((b"x-forwarded-for", addresses), (b"x-forwarded-proto", schemes))
    }
    return INNER.read(lambda name: lines.get(name.lower(), []))


def standard(*lines: bytes) -> Forwarded:
    """
    Read C{Forwarded}.
    """
    return STANDARD.read(lambda name: lines if name == b"Forwarded" else [])


class TrustTests(SynchronousTestCase):
    """
    Which proxies are trusted.
    """

    def test_addresses(self) -> None:
        """
        An address is trusted that is in a network that is, however it is written;
        none is that is not known.
        """
        for address, isTrusted in (
            ("10.1.2.3", True),
            ("::ffff:10.1.2.3", True),
            ("11.1.2.3", False),
            ("2001:db8::1", True),
            ("2001:db9::1", False),
            ("", False),
            ("unix", False),
        ):
            self.assertEqual(INNER.trusts(address), isTrusted, address)
        self.assertTrue(INNER.trustsUNIX)
        self.assertFalse(STANDARD.trustsUNIX)

    def test_refusesOthers(self) -> None:
        """
        Anything else is refused: a name, a network with bits beyond its length, another
        header.
        """
        for text in ("localhost", "10.0.0.1/8", "", "10.0.0.0/33", "10.0.0.256"):
            self.assertRaises(ValueError, readNetwork, text)
            self.assertRaises(ValueError, Proxies, [text])
        self.assertRaises(ValueError, Proxies, [], "x-real-ip")


class AddressTests(SynchronousTestCase):
    """
    The address of one hop.
    """

    def test_reads(self) -> None:
        """
        A port is ignored, as are the brackets of an IPv6 address.
        """
        for node, address in (
            (b"192.0.2.1", "192.0.2.1"),
            (b"192.0.2.1:4711", "192.0.2.1"),
            (b"2001:db8::1", "2001:db8::1"),
            (b"[2001:db8::1]", "2001:db8::1"),
            (b"[2001:db8::1]:80", "2001:db8::1"),
            (b"::ffff:192.0.2.1", "192.0.2.1"),
            (b"unknown", None),
            (b"_hidden", None),
            (b"", None),
            (b"192.0.2.1:", None),
            (b"192.0.2.999", None),
            (b"192.0.2.1 ", None),
            (b"[192.0.2.1]x", None),
            (b"fe80::1%eth0", None),
            (b"[::1", None),
        ):
            self.assertEqual(readAddress(node), address, node)

    @given(_addresses)
    def test_readsAll(self, address: str) -> None:
        """
        Every address is read as what it means.
        """
        read = readAddress(address.encode("ascii"))
        mapped = getattr(ip_address(address), "ipv4_mapped", None)
        self.assertEqual(read, address if mapped is None else str(mapped))


class XForwardedTests(SynchronousTestCase):
    """
    C{X-Forwarded-For} and C{X-Forwarded-Proto}.
    """

    def test_rightmostUntrusted(self) -> None:
        """
        The rightmost address that is not trusted counts, with the scheme that was told
        together with it.
        """
        for addresses, schemes, found in (
            (b"192.0.2.1", b"https", Forwarded("192.0.2.1", True)),
            (b"192.0.2.1", b"HTTP", Forwarded("192.0.2.1", False)),
            (b"192.0.2.1", b"", Forwarded("192.0.2.1", None)),
            (b"203.0.113.9, 192.0.2.1", b"https, http", Forwarded("192.0.2.1", False)),
            (b"192.0.2.1,10.0.0.1", b"https", Forwarded("192.0.2.1", True)),
            (b"192.0.2.1,10.0.0.1", b"https,http", Forwarded("192.0.2.1", True)),
            (b"203.0.113.9, 192.0.2.1, 10.0.0.1", b"http", Forwarded("192.0.2.1", False)),
            (b"10.0.0.2, 10.0.0.1", b"", Forwarded("10.0.0.2", None)),
            (b"192.0.2.1, unknown, 10.0.0.1", b"", Forwarded("10.0.0.1", None)),
            (b"192.0.2.1, unknown", b"https", Forwarded(None, True)),
            (b"", b"https", Forwarded(None, True)),
            (b"", b"gopher", NOTHING),
            (b"", b"http, https", Forwarded(None, True)),
        ):
            given = x(addresses or (), schemes or ())
            self.assertEqual(given, found, (addresses, schemes))
        self.assertEqual(x(), NOTHING)

    def test_severalLines(self) -> None:
        """
        Several lines are one list.
        """
        self.assertEqual(x([b"203.0.113.9", b"192.0.2.1", b"10.0.0.1"]).address, "192.0.2.1")

    def test_bounded(self) -> None:
        """
        Only so many hops are followed, and so many bytes read.
        """
        hops = [b"10.0.0.%d" % number for number in range(1, MAX_HOPS + 3)]
        self.assertEqual(x(b",".join([b"192.0.2.1", *hops])).address, "10.0.0.3")
        self.assertEqual(x([b"192.0.2.1", *hops]).address, "10.0.0.3")
        self.assertEqual(x(b"192.0.2.1" + b" " * MAX_BYTES).address, None)

    @settings(deadline=None)
    @given(_bytes, _addresses.filter(lambda each: not INNER.trusts(each)))
    def test_clientCannotChoose(self, written: bytes, address: str) -> None:
        """
        Whatever the client has written, what the proxy adds counts.
        """
        own = readAddress(address.encode("ascii"))
        given = x([written + b", " + address.encode("ascii")], [written + b",http"])
        self.assertEqual(given, Forwarded(own, False))


class ForwardedTests(SynchronousTestCase):
    """
    C{Forwarded}, RFC 7239.
    """

    def test_rightmostUntrusted(self) -> None:
        """
        The rightmost address that is not trusted counts, and the scheme in the same
        element.
        """
        for line, found in (
            (b"for=192.0.2.1;proto=https;by=10.0.0.1", Forwarded("192.0.2.1", True)),
            (b'For="[2001:db9::17]:4711"; proto=http', Forwarded("2001:db9::17", False)),
            (b"for=203.0.113.9;proto=https, for=192.0.2.1", Forwarded("192.0.2.1", None)),
            (b"for=192.0.2.1;proto=https, for=10.0.0.1;proto=http", Forwarded("192.0.2.1", True)),
            (b"for=10.0.0.2,for=10.0.0.1", Forwarded("10.0.0.2", None)),
            (b"for=192.0.2.1,for=unknown;proto=https", Forwarded(None, True)),
            (b"for=192.0.2.1,proto=https", Forwarded(None, True)),
            (b',, for="192.0.2\\.1" ,', Forwarded("192.0.2.1", None)),
            (b"", NOTHING),
        ):
            self.assertEqual(standard(line), found, line)

    def test_malformed(self) -> None:
        """
        What is not well-formed tells nothing, nor does what stands before it.
        """
        for line in (
            *(b"for", b"for=", b"for =1.2.3.4", b"for= 1.2.3.4", b'for="1.2.3.4', b"for=1.2.3.4 x"),
            *(b"for=1.2.3.4;for=5.6.7.8", b"=1.2.3.4", b'for="a"b', b"for=[::1]", b'for="\x00"'),
            b"for=1.2.3.4;x=%b" % (b"y" * MAX_BYTES),
        ):
            self.assertEqual(standard(line), NOTHING, line)
            self.assertEqual(standard(b"for=192.0.2.1", line), NOTHING, line)
            self.assertEqual(standard(line, b"for=10.0.0.1").address, "10.0.0.1", line)

    def test_swallowed(self) -> None:
        """
        A client that leaves a quoted string open swallows nothing of what the proxy
        adds.
        """
        for written in (b'for="', b'for=evil;x="', b'for=203.0.113.9;x="\\', b'for=203.0.113.9;"'):
            for added in (
                b"for=192.0.2.1",
                b'for="[2001:db9::1]";proto=https',
                b'for="[2001:db9::1]";by="[2001:db9::2]"',
            ):
                address = standard(written + b", " + added).address
                self.assertIn(address, (None, "192.0.2.1", "2001:db9::1"), (written, added))

    @settings(deadline=None)
    @given(_bytes)
    def test_anyBytes(self, line: bytes) -> None:
        """
        Any bytes are read without a failure; and with what a proxy adds behind them,
        nothing else counts.
        """
        address = standard(line + b", for=192.0.2.1").address
        self.assertIn(address, (None, "192.0.2.1"))
        standard(line)

    @settings(deadline=None)
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from([b"for", b"by", b"proto", b"x-y"]),
                st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.encode),
                min_size=1,
            )
        )
    )
    def test_readsWhatIsWritten(self, elements: list[dict[bytes, bytes]]) -> None:
        """
        Elements whose values are quoted are read as they were written.
        """

        def quoted(value: bytes) -> bytes:
            return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')

        line = b" , ".join(
            b";".join(b"%b=%b" % (name.upper(), quoted(value)) for name, value in pairs.items())
            for pairs in elements
        )
        self.assertEqual(readElements(line), elements)
