"""
Tests of L{comet.client.websocketlink}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from comet.client.clientcore import Core
from comet.client.standing import Standing
from comet.client.websocketlink import WebSocketLink


class FragmentsTests(SynchronousTestCase):
    """
    Messages that come in several frames.
    """

    def test_joined(self) -> None:
        """
        The frames of a message are joined, and many that are empty take no memory.
        """
        core = Core("http://localhost", lambda: 0.0, random=Random(0))
        link = WebSocketLink(core._requester, Standing(["a"]))
        protocol = ClientProtocol(parse_uri("ws://localhost"))
        self.shake(protocol)
        texts: list[bytes] = []

        def receive(opcode: Opcode, data: bytes, isLast: bool = False) -> None:
            frame = Frame(opcode, data, isLast)
            protocol.receive_data(frame.serialize(mask=False))
            texts.extend(link._texts(protocol))

        receive(Opcode.TEXT, b"ab")
        for _ in range(1000):
            receive(Opcode.CONT, b"")
        self.assertEqual((texts, len(link._text)), ([], 2))
        receive(Opcode.CONT, b"c", True)
        receive(Opcode.TEXT, b"d", True)
        self.assertEqual(texts, [b"abc", b"d"])

    def shake(self, protocol: ClientProtocol) -> None:
        """
        Make the handshake with a server.
        """
        server = ServerProtocol()
        protocol.send_request(protocol.connect())
        server.receive_data(b"".join(protocol.data_to_send()))
        (request,) = server.events_received()
        assert isinstance(request, Request)
        server.send_response(server.accept(request))
        protocol.receive_data(b"".join(server.data_to_send()))
