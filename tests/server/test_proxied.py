"""
Endpoints behind the PROXY protocol.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.server.proxied import ProxiedFactory
from tests.framing.test_proxyheader import BEFORE, INET, SHORT, UNIX, binary

OWN = IPv4Address("TCP", "10.0.0.1", 1), IPv4Address("TCP", "10.0.0.2", 2)


class Recorder(Protocol):
    """
    A protocol that records what it gets.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Record it.
        """
        self.received.append(data)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """
    A protocol that goes on when the client has closed its writing side.
    """

    def readConnectionLost(self) -> None:
        """
        Record it.
        """
        self.received.append(b"ended")

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """


class ProxiedTests(SynchronousTestCase):
    """
    L{ProxiedFactory}.
    """

    def connect(self, kind: type[Recorder] = Recorder) -> tuple[Recorder, Any, StringTransport]:
        """
        Make a connection.

        @return: The protocol, its wrapper, and the transport.
        """
        factory = ProxiedFactory(Factory.forProtocol(kind))
        wrapper: Any = factory.buildProtocol(OWN[0])
        transport = StringTransport(OWN[1], OWN[0])
        wrapper.makeConnection(transport)
        return wrapper.wrappedProtocol, wrapper, transport

    def test_givesRestToProtocol(self) -> None:
        """
        The protocol gets what follows the header, however the bytes arrive.
        """
        for header in (SHORT, BEFORE, binary(0x21, 0x11, INET), binary(0x20, 0, b"")):
            for size in (1, 7, 1000):
                protocol, wrapper, _ = self.connect()
                said = header + b"hello"
                for start in range(0, len(said), size):
                    wrapper.dataReceived(said[start : start + size])
                self.assertEqual(b"".join(protocol.received), b"hello")

    def test_addressesAreClients(self) -> None:
        """
        Peer and host are those that the header names; where it names none, those
        of the connection.
        """
        inet = IPv4Address("TCP", "192.0.2.1", 56324), IPv4Address("TCP", "192.0.2.2", 443)
        unix = UNIXAddress("/tmp/a"), UNIXAddress("/tmp/b")
        for header, addresses in (
            (SHORT, OWN),
            (binary(0x20, 0x11, INET), OWN),
            (binary(0x21, 0x11, INET), inet),
            (binary(0x21, 0x31, UNIX), unix),
        ):
            _, wrapper, _ = self.connect()
            self.assertEqual((wrapper.getPeer(), wrapper.getHost()), OWN)
            wrapper.dataReceived(header)
            self.assertEqual((wrapper.getPeer(), wrapper.getHost()), addresses)

    def test_tellsEndOfInput(self) -> None:
        """
        A protocol that can go on is told that the client has closed its writing
        side.  Without such a protocol, or without a header, that ends the
        connection.
        """
        for kind, header, isClosed in (
            (HalfCloseable, SHORT, False),
            (HalfCloseable, b"PROXY", True),
            (Recorder, SHORT, True),
        ):
            protocol, wrapper, transport = self.connect(kind)
            self.assertTrue(IHalfCloseableProtocol.providedBy(wrapper))
            wrapper.dataReceived(header)
            wrapper.readConnectionLost()
            self.assertEqual(transport.disconnecting, isClosed, (kind, header))
            self.assertEqual(protocol.received, [] if isClosed else [b"ended"])

    def test_closesWithoutHeader(self) -> None:
        """
        A connection that does not begin with a header is closed, and the protocol
        gets nothing.
        """
        protocol, wrapper, transport = self.connect()
        wrapper.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(protocol.received, [])
