"""
Tests of L{comet.transports.vanished}, and that the connections of both edges have
its options.
"""

from __future__ import annotations

import select
import socket
import time
from struct import pack, unpack_from
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Server
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.streams import STALLED
from comet.transports.tcp import CometFactory
from comet.transports.vanished import (
    UNACKNOWLEDGED,
    socketOf,
    waitForProgram,
    watchForVanishing,
)
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.lean.case import LeanTestCase, Peer, read
from tests.lean.handreactor import HandReactor


def option(connection: socket.socket, name: str) -> int:
    """
    Return an option of TCP.
    """
    value: int = connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
    return value


def patience(connection: socket.socket) -> float:
    """
    Return for how many seconds data may be unacknowledged.
    """
    return option(connection, "TCP_USER_TIMEOUT") / 1000


def isWritable(connection: socket.socket) -> bool:
    """
    Return whether a socket takes more.
    """
    return bool(select.select([], [connection], [], 0)[1])


def isAcknowledged(connection: socket.socket) -> bool:
    """
    Return whether the client's system has acknowledged all that it was sent.
    """
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    return unpack_from("I", info, 24)[0] == 0 and info[3] == 0


class VanishedTestCase(SynchronousTestCase):
    """
    Looks at the options of sockets.
    """

    def assertWatched(self, connection: socket.socket) -> None:
        """
        Assert that the client of a connection does not vanish unnoticed: 60 seconds
        after there was something to send, 300 seconds after the last sign of it.
        """
        self.assertEqual(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        self.assertTrue(0 < patience(connection) <= 60)
        times = option(connection, "TCP_KEEPCNT")
        asks = times * option(connection, "TCP_KEEPINTVL")
        self.assertLessEqual(option(connection, "TCP_KEEPIDLE") + asks, 300)


class OptionTests(VanishedTestCase):
    """
    The options.
    """

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """
        Make a connection to a port that is watched for vanishing, with little room
        for what is sent to the client.

        @return: The server's side and the client's side.
        """
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        watchForVanishing(listening)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        server, _ = listening.accept()
        self.addCleanup(server.close)
        server.setblocking(False)
        return server, client

    def test_connectionsInherit(self) -> None:
        """
        The connections of a port have the options of the port.
        """
        server, _ = self.connect()
        self.assertWatched(server)

    def test_leavesOtherSockets(self) -> None:
        """
        A socket of another kind is left alone.
        """
        for each in socket.socketpair():
            self.addCleanup(each.close)
            watchForVanishing(each)
            waitForProgram(each, True)
            self.assertEqual(each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 0)

    def test_survivesClosedSocket(self) -> None:
        """
        A client that has left is no error.
        """
        server, _ = self.connect()
        server.close()
        watchForVanishing(server)
        waitForProgram(server, True)

    def test_waitsForProgram(self) -> None:
        """
        A client whose system has acknowledged everything, and whose program does
        not read, has as long as comet gives it.  Once it reads it has no longer than
        others.
        """
        server, _ = self.connect()
        while isWritable(server):
            server.send(b"x" * 65536)
        # The client's system takes a moment.
        for _ in range(1000):
            waitForProgram(server, True)
            if patience(server) > STALLED:
                break
            time.sleep(0.01)
        self.assertGreater(patience(server), STALLED)
        waitForProgram(server, False)
        self.assertEqual(patience(server), UNACKNOWLEDGED)

    def test_doesNotWaitForVanished(self) -> None:
        """
        A client whose system acknowledges nothing, or answers no probe, has no
        longer than others.
        """
        for unacknowledged, probes, isThere in (
            (0, 0, True),
            (0, 1, True),
            (0, 2, False),
            (1, 0, False),
        ):
            given: list[Any] = []

            class Known:
                family = socket.AF_INET
                info = pack("3xB20xI", probes, unacknowledged)

                def getsockopt(self, *arguments: int) -> bytes:
                    return self.info

                def setsockopt(self, *arguments: int, given: list[Any] = given) -> None:
                    given.append(arguments[2])

            known: Any = Known()
            waitForProgram(known, True)
            self.assertEqual(given[0] > STALLED * 1000, isThere, (unacknowledged, probes))

    def test_findsSocketBelowWrapper(self) -> None:
        """
        The socket of a transport is found below TLS and other wrappers, and a
        transport may have none.
        """
        server, _ = self.connect()
        reactor: Any = HandReactor()
        port: Any = None
        transport: Any = Server(server, Protocol(), ("127.0.0.1", 1), port, 1, reactor)
        wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
        wrapper.makeConnection(transport)
        self.assertIs(socketOf(wrapper), server)
        self.assertIs(socketOf(transport), server)
        self.assertIsNone(socketOf(object()))


class EdgeTests(VanishedTestCase, LeanTestCase):
    """
    The connections of both edges.
    """

    def accepted(self) -> list[Any]:
        """
        Return the sockets of the connections of both edges.
        """
        edges = (self.port._edge, self.tcpPort._edge)
        lean = [each.socket for edge in edges for each in edge.connections.values()]
        return lean + [each.socket for each in self.reactor.readers if isinstance(each, Server)]

    def test_leanEdge(self) -> None:
        """
        Every connection of the lean edge is watched, from the beginning on.
        """
        self.peer(), self.peer(isTCP=True)
        for transport in ("longpoll", "stream", "websocket", "tcp"):
            self.reader(transport)
        self.reactor.settle()
        self.assertEqual(len(self.accepted()), 6)
        for connection in self.accepted():
            self.assertWatched(connection)

    def test_twistedEdge(self) -> None:
        """
        Every connection of Twisted's edge is watched, from the beginning on.
        """
        site = CometSite(CometResource(self.hub), 65536, reactor=self.reactor)
        requests = (b"", read("longpoll"), read("sse"), read("websocket"))
        lines = (b"", b"{", b'{"ping":1}\n', b'{"subscribe":["c"]}\n')
        for factory, begins in ((site, requests), (CometFactory(self.hub), lines)):
            port = self.reactor.listenTCP(0, factory, 50, "127.0.0.1")
            self.addCleanup(port.stopListening)
            for said in begins:
                peer = Peer(self.reactor, port.getHost().port)
                self.addCleanup(peer.socket.close)
                peer.send(said)
        self.reactor.settle()
        self.assertEqual(len(self.accepted()), 8)
        for connection in self.accepted():
            self.assertWatched(connection)

    def test_clientThatDoesNotRead(self) -> None:
        """
        A reader of either edge whose program does not read for a while is not cut
        by the system before comet does.
        """
        self.keepLittle()
        slow = self.reader("stream", 4096)
        for number in range(20):
            self.publish(number, filler="x" * 20_000)
        (connection,) = self.accepted()
        self.assertEqual(patience(connection), UNACKNOWLEDGED)
        self.reactor.until(lambda: isAcknowledged(connection))
        self.reactor.advance(26)
        self.assertGreater(patience(connection), STALLED)
        slow.upTo(19)
        self.assertEqual(patience(connection), UNACKNOWLEDGED)
