"""
Tests that both edges agree where a request ends and the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.edge.case import EdgeTestCase
from tests.edge.connections import TcpConnection
from tests.edge.framings import broken, framings
from tests.edge.test_edges import conversation, plain


def saidBeforeTheEnd(port: int, said: bytes) -> bytes:
    """
    Send bytes, close the sending half, and return all answers.
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
    The same bytes, sent to both edges.
    """

    def assertSame(self, talk: Callable[[int, bytes], bytes], said: Iterable[bytes]) -> None:
        """
        Check that both edges give the same answers.
        """
        lean = self.startServer("--open", "open/**")
        twisted = self.startServer("--open", "open/**", "--edge", "twisted")
        for each in said:
            self.assertEqual(talk(lean.port, each), talk(twisted.port, each), each[:300])

    def test_framings(self) -> None:
        """
        Both edges give the same answers to requests that mark their end in odd
        ways, and to the requests behind them.
        """
        self.assertSame(conversation, framings())

    def test_halfClosed(self) -> None:
        """
        Both edges give the same answers to a client that closes its sending
        half, behind a whole request and in the middle of one.
        """
        self.assertSame(saidBeforeTheEnd, broken())
