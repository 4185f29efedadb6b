"""
Tests of clients that read a large response slowly, of which the system has taken
all at once: on both edges.
"""

from __future__ import annotations

import socket
from typing import Any

from comet.http.pace import LEAST_RATE, SMALL
from comet.transports.vanished import UNACKNOWLEDGED
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read

BIG = 2 * SMALL
POLL = read("poll", more="&since=earliest")


class SlowReadTests(LeanTestCase):
    """
    Clients of a port of the lean edge, and of one of Twisted's edge.
    """

    def setUp(self) -> None:
        """
        Publish a large response.
        """
        super().setUp()
        self.publish(*range(10), filler="x" * (BIG // 10))
        plain: Any = self.reactor.listenTCP(0, self.port._edge.factory, interface="127.0.0.1")
        self.addCleanup(plain.stopListening)
        self.ports = (self.port.getHost().port, plain.getHost().port)

    def ask(self, port: int) -> tuple[Peer, socket.socket]:
        """
        Ask for the response, and read nothing.

        @return: The client, and the server's socket.
        """
        peer = Peer(self.reactor, port, 4096)
        self.addCleanup(peer.socket.close)
        peer.send(POLL)
        self.reactor.settle()
        mine = peer.socket.getsockname()
        for each in self.reactor.readers:
            found = getattr(each, "socket", None)
            if found is not None and isConnectedTo(found, mine):
                return peer, found
        connections: Any = self.port._edge.connections
        (server,) = (each for each in connections.values() if isConnectedTo(each.socket, mine))
        return peer, server.socket

    def hears(self, peer: Peer, size: int) -> None:
        """
        Receive some bytes.
        """
        taken = 0

        def take() -> bool:
            nonlocal taken
            try:
                taken += len(peer.socket.recv(size - taken))
            except BlockingIOError:
                pass
            return taken == size

        self.reactor.until(take)

    def hearsEnd(self, peer: Peer) -> None:
        """
        Receive all that is left.
        """
        self.reactor.until(lambda: peer.take().endswith(b"}\n"))

    def test_keeps(self) -> None:
        """
        One that reads at the least rate has the time for it, of the system, too,
        and keeps its connection.  When its next request is held, it has no longer
        than others to acknowledge what it is sent.
        """
        for port in self.ports:
            peer, server = self.ask(port)
            self.assertGreaterEqual(patience(server), UNACKNOWLEDGED + BIG / LEAST_RATE)
            for _ in range(BIG // 12_000):
                self.hears(peer, 12_000)
                self.reactor.advance(10)
                self.reactor.settle()
            self.hearsEnd(peer)
            peer.said = b""
            peer.send(read("longpoll"))
            self.untilReaders(1)
            self.assertEqual(patience(server), UNACKNOWLEDGED)
            self.publish(11)
            self.assertEqual(peer.upTo(11), [11])
            peer.cut()
            self.reactor.settle()

    def test_cuts(self) -> None:
        """
        One that reads too slowly is cut off, though the server has nothing left to
        send.
        """
        for port in self.ports:
            peer, server = self.ask(port)
            for _ in range(15):
                self.hears(peer, 100)
                self.reactor.advance(IDLE_TIMEOUT / 7)
                self.reactor.settle()
                if server.fileno() < 0:
                    break
            self.reactor.advance(0.2)
            self.assertLess(server.fileno(), 0)
            # What was unread is dropped.
            self.assertLess(len(peer.ends()), BIG)


def isConnectedTo(server: socket.socket, client: object) -> bool:
    """
    Tell whether a socket is the server's side of a client's connection.
    """
    try:
        return bool(server.getpeername() == client)
    except OSError:
        return False


def patience(server: socket.socket) -> float:
    """
    Return for how many seconds the client's system may acknowledge nothing.
    """
    return server.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
