"""
What the tests of HTTP/2 in memory share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import ISSLTransport
from zope.interface import classImplements

from tests.edge.connections import Silence
from tests.edge.h2client import Http2Connection, Http2Stream
from tests.framing.readers import LinesReader
from tests.transports.case import HubTestCase
from tests.transports.wire import MemoryTransport, Wire
from tests.web.http2.rawclient import SETTINGS, RawClient, request


class SecureTransport(MemoryTransport):
    """
    A transport on which TLS has negotiated HTTP/2.
    """

    negotiatedProtocol = b"h2"

    def getPeerCertificate(self) -> None:
        """
        Return None: clients have no certificate.
        """


classImplements(SecureTransport, ISSLTransport)


class MemoryPipe:
    """
    What the client's side of HTTP/2 is connected with.
    """

    def __init__(self, wire: Wire, turn: Callable[[], None]) -> None:
        """
        @param turn: Lets everything happen that is due.
        """
        self.memory = wire
        self._turn = turn

    def send(self, data: bytes) -> None:
        """
        Send all of the data.
        """
        if data and self.memory.isOpen:
            self.memory.send(data)

    def receive(self, timeout: float) -> bytes:
        """
        Return what has arrived.
        """
        data = self.memory.take()
        if not data:
            self._turn()
            data = self.memory.take()
        if not data and self.memory.isOpen:
            raise Silence
        return data

    def close(self) -> None:
        """
        Leave.
        """
        self.memory.leave()

    cut = close


class Http2TestCase(HubTestCase):
    """
    A hub, and connections of HTTP/2 to it in memory.
    """

    def open(self, window: int = 0) -> tuple[Http2Connection, Wire]:
        """
        Connect.

        @return: The client's side, and the connection below it.
        """
        wire = Wire(self.site, SecureTransport())
        self.wires.append(wire)
        wire.transport.protocol.handshakeCompleted()
        return Http2Connection(MemoryPipe(wire, self.turn), "localhost", window), wire

    def read(self, stream: Http2Stream) -> list[Any]:
        """
        Return what has arrived of a C{stream} since the last call.
        """
        lines = LinesReader()
        try:
            while piece := stream.piece():
                lines.feed(piece)
        except Silence:
            pass
        self.assertEqual(lines.rest, b"")
        return lines.values


class RawTestCase(Http2TestCase):
    """
    A client that reads a channel on stream 1, and does something else on others.
    """

    def raw(self, settings: bytes = SETTINGS) -> RawClient:
        """
        Connect, and begin to read.
        """
        wire = Wire(self.site, SecureTransport())
        self.wires.append(wire)
        wire.transport.protocol.handshakeCompleted()
        raw = RawClient(wire, settings)
        raw.send(raw.headers(1, request(b"GET", b"/channels/news?transport=stream")))
        return raw

    def assertGoesOn(self, raw: RawClient, ident: int, case: str) -> None:
        """
        Check that stream 1 gets a message, and the next request its response.
        """
        self.assertTrue(raw.wire.isOpen, case)
        self.assertIsNone(raw.goodbye, case)
        self.publish("news", case)
        raw.send(raw.headers(ident, request()))
        self.assertEqual(raw.statuses.get(ident), 200, case)
        self.assertIn(f'"{case}"'.encode(), raw.bodies[1])
        self.assertNotIn(1, raw.resets)
