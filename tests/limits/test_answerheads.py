"""
Tests for L{comet.limits.answerheads}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, ResponseFailed, readBody

from comet.limits.answerheads import MAX_HEAD, makePool


class HeadTests(SynchronousTestCase):
    """
    Answers of a server that the test plays.
    """

    def ask(self) -> tuple[Any, StringTransport, Any]:
        """
        Send a request.

        @return: What fires with the response, the transport and the protocol.
        """
        reactor: Any = MemoryReactorClock()
        asked = Agent(reactor, pool=makePool(reactor)).request(b"GET", b"http://127.0.0.1/")
        factory = reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return asked, transport, protocol

    def test_ordinary(self) -> None:
        """
        An answer comes in any pieces, with a body of any size.
        """
        body = b"x" * (2 * MAX_HEAD)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: %b\r\n\r\n" % (len(body), b"y" * 9000)
        interim = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
        for size in (1, 500, 1024, 1 << 20):
            asked, _, protocol = self.ask()
            said = interim + head + body
            bodies: list[Any] = []
            asked.addCallback(lambda response, bodies=bodies: bodies.append(readBody(response)))
            for at in range(0, len(said), size):
                protocol.dataReceived(said[at : at + size])
            self.assertEqual(self.successResultOf(bodies[0]), body)

    def test_tooLarge(self) -> None:
        """
        A server that sends headers, or responses before the last, without end is cut.
        """
        for begin, again in (
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\nX: ", b"yyyy\r\n "),
        ):
            for size in (100, 1 << 20):
                asked, transport, protocol = self.ask()
                said = begin + again * (MAX_HEAD // len(again) + 1)
                for at in range(0, len(said), size):
                    if not transport.disconnected:
                        protocol.dataReceived(said[at : at + size])
                self.assertTrue(transport.disconnected)
                protocol.connectionLost(Failure(ConnectionAborted()))
                self.failureResultOf(asked, ResponseFailed)
