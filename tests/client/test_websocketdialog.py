"""
Tests of L{comet.client.websocketdialog}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from comet.client.failures import BadAnswer, Lost
from comet.client.serverurl import parseServerURL
from comet.client.websocketdialog import WebSocketDialog


class DialogTests(SynchronousTestCase):
    """
    L{WebSocketDialog}, with a server of C{websockets}.
    """

    def setUp(self) -> None:
        """
        Make both.
        """
        self.dialog = WebSocketDialog(
            parseServerURL("ws://localhost"), {"User-Agent": "x", "Authorization": "Bearer y"}
        )
        self.server = ServerProtocol()

    def shake(self, status: int = 101) -> None:
        """
        Make the handshake.
        """
        self.server.receive_data(self.dialog.unsent())
        (request,) = self.server.events_received()
        assert isinstance(request, Request)
        self.assertEqual(request.headers.get_all("User-Agent"), ["x"])
        self.assertEqual(request.headers["Authorization"], "Bearer y")
        response = self.server.accept(request)
        if status != 101:
            response = self.server.reject(status, "no")
        self.server.send_response(response)
        self.dialog.received(b"".join(self.server.data_to_send()))

    def receive(self, opcode: Opcode, data: bytes, isLast: bool = True) -> list[bytes]:
        """
        Take a frame.
        """
        self.dialog.received(Frame(opcode, data, isLast).serialize(mask=False))
        return self.dialog.take()

    def test_joined(self) -> None:
        """
        The frames of a message are joined, and many that are empty take no memory.
        """
        self.shake()
        self.assertEqual(self.dialog.status, 101)
        self.assertEqual(self.receive(Opcode.TEXT, b"ab", False), [])
        for _ in range(1000):
            self.assertEqual(self.receive(Opcode.CONT, b"", False), [])
        self.assertEqual(len(self.dialog._text), 2)
        self.assertEqual(self.receive(Opcode.CONT, b"c"), [b"abc"])
        self.assertEqual(self.receive(Opcode.TEXT, b"d"), [b"d"])

    def test_refused(self) -> None:
        """
        A refusal has its status, headers and body.
        """
        self.shake(403)
        self.dialog.received(b"")
        self.assertEqual((self.dialog.status, self.dialog.body), (403, b"no"))
        self.assertEqual(self.dialog.header("content-type"), "text/plain; charset=utf-8")
        self.assertIsNone(self.dialog.header("location"))

    def test_noWebSocket(self) -> None:
        """
        What is no answer to a handshake is refused; an end within it is a lost connection.
        """
        wrong = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        self.assertRaises(BadAnswer, self.dialog.received, wrong)
        dialog = WebSocketDialog(parseServerURL("ws://localhost"), {})
        dialog.received(b"HTTP/1.1 101 Yes\r\n")
        self.assertRaises(Lost, dialog.received, b"")

    def test_ends(self) -> None:
        """
        Pings are answered, and the end is told.
        """
        self.shake()
        self.assertEqual(self.receive(Opcode.PING, b"x"), [])
        self.assertEqual(len(self.dialog.unsent()), 2 + 4 + 1)
        self.dialog.received(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False))
        self.assertRaises(Lost, self.dialog.take)

    def test_binary(self) -> None:
        """
        What is no text is told behind the texts before it.
        """
        self.shake()
        frames = [Frame(Opcode.TEXT, b"a"), Frame(Opcode.BINARY, b"b"), Frame(Opcode.TEXT, b"c")]
        self.dialog.received(b"".join(each.serialize(mask=False) for each in frames))
        self.assertEqual(self.dialog.take(), [b"a"])
        for _ in range(2):
            self.assertRaises(BadAnswer, self.dialog.take)
