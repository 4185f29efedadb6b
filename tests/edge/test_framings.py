"""
Where requests end, and what becomes of the next one: both edges say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.edge.case import EdgeTestCase
from tests.edge.connections import TcpConnection
from tests.edge.framings import broken, framings
from tests.edge.test_edges import conversation, plain


def saidBeforeTheEnd(port: int, said: bytes) -> bytes:
    """
    All that is answered to a client that then says that it sends no more.
    """
    tcp = TcpConnection(port)
    heard = b""
    try:
        tcp.send(said)
        tcp.halfClose()
        while received := tcp.receive(5.0):
            heard += received
    finally:
        tcp.close()
    return plain(heard)


class SameTests(EdgeTestCase):
    """
    The same bytes to both.
    """

    def assertSame(self, talk: Callable[[int, bytes], bytes], said: Iterable[bytes]) -> None:
        """
        Both edges answer alike.
        """
        lean = self.startServer("--open", "open/**")
        twisted = self.startServer("--open", "open/**", "--edge", "twisted")
        for each in said:
            self.assertEqual(talk(lean.port, each), talk(twisted.port, each), each[:300])

    def test_framings(self) -> None:
        """
        However a request says where it ends, the answer is the same, and so is
        that to the next one.
        """
        self.assertSame(conversation, framings())

    def test_halfClosed(self) -> None:
        """
        A client that says that it sends no more is given the same, whether it
        has asked for something or broken off.
        """
        self.assertSame(saidBeforeTheEnd, broken())
