"""
Tests for L{tests.faults.proxy}.
"""

from __future__ import annotations

import socket
import threading

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.proxy import Link, Proxies


class Echo(threading.Thread):
    """
    A server that echoes all bytes, in a thread.

    @ivar port: The port on which it listens.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._taken: list[socket.socket] = []

    def run(self) -> None:
        """
        Accept connections until L{close}.
        """
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self._taken.append(taken)
            threading.Thread(target=self._echo, args=(taken,), daemon=True).start()

    def _echo(self, taken: socket.socket) -> None:
        try:
            while data := taken.recv(65536):
                taken.sendall(data)
        except OSError:
            pass
        taken.close()

    def close(self) -> None:
        """
        Stop listening.
        """
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


class LinkTests(SynchronousTestCase):
    """
    Links and their faults.
    """

    def setUp(self) -> None:
        """
        Make a link to an echo server.
        """
        self.echo = Echo()
        self.echo.start()
        self.proxies = Proxies()
        self.addCleanup(self.proxies.close)
        self.link = self.proxies.link(self.echo.port)

    def connect(self, link: Link | None = None) -> socket.socket:
        """
        Connect through the link.
        """
        made = socket.create_connection(("127.0.0.1", (link or self.link).port), 5)
        self.addCleanup(made.close)
        return made

    def assertEcho(self, made: socket.socket, data: bytes) -> None:
        """
        Check that bytes come back.
        """
        made.sendall(data)
        heard = b""
        while len(heard) < len(data):
            piece = made.recv(65536)
            self.assertTrue(piece, heard)
            heard += piece
        self.assertEqual(heard, data)

    def assertOver(self, made: socket.socket) -> None:
        """
        Check that the connection is over.
        """
        try:
            heard = made.recv(1)
        except ConnectionError:
            heard = b""
        self.assertEqual(heard, b"")

    def test_through(self) -> None:
        """
        All bytes pass, also many.
        """
        one, other = self.connect(), self.connect()
        self.assertEcho(one, b"abc")
        self.assertEcho(other, b"def")
        self.assertEcho(one, bytes(range(256)) * 100)

    def test_cutAll(self) -> None:
        """
        All connections are cut, and new ones can be made.
        """
        one, other = self.connect(), self.connect()
        self.assertEcho(one, b"abc")
        self.assertEcho(other, b"def")
        self.assertEqual(self.link.cut(), 2)
        self.assertOver(one)
        self.assertOver(other)
        self.assertEcho(self.connect(), b"ghi")

    def test_cutOne(self) -> None:
        """
        One connection is cut, and the others stay.
        """
        one, other = self.connect(), self.connect()
        self.assertEcho(one, b"abc")
        self.assertEcho(other, b"def")
        self.assertEqual(self.link.cut(lambda count: count - 1), 1)
        self.assertOver(other)
        self.assertEcho(one, b"ghi")

    def test_refuse(self) -> None:
        """
        While a link refuses, new connections are closed at once, and old ones
        stay.
        """
        one = self.connect()
        self.assertEcho(one, b"abc")
        self.link.refuse(True)
        self.assertOver(self.connect())
        self.assertEcho(one, b"def")
        self.link.refuse(False)
        self.assertEcho(self.connect(), b"ghi")

    def test_stall(self) -> None:
        """
        While a link is stalled no bytes pass, also on new connections; then all
        of them do.
        """
        one = self.connect()
        self.assertEcho(one, b"abc")
        self.link.stall(True)
        other = self.connect()
        one.sendall(b"def")
        other.sendall(b"ghi")
        one.settimeout(0.1)
        self.assertRaises(TimeoutError, one.recv, 1)
        self.link.stall(False)
        one.settimeout(5)
        self.assertEqual(one.recv(3), b"def")
        self.assertEqual(other.recv(3), b"ghi")

    def test_noTarget(self) -> None:
        """
        If no server listens at the target, a connection is closed at once.
        """
        self.echo.close()
        self.assertOver(self.connect())
