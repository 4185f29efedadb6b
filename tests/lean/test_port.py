"""
Tests of L{comet.lean.port}: accepting clients, with descriptors left and without,
and the end of the port.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from comet.lean.edge import GRACE_TIME
from comet.lean.port import FULL_PAUSE, MAX_ACCEPTED, MAX_HANDLED
from comet.limits.acceptshare import PATIENCE
from comet.transports.tcp import CometFactory
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, read, request

POLL = read("poll")
OK = b"HTTP/1.1 200 OK\r\n"


class Crowded:
    """
    Other workers, beside which this one may have so many connections.
    """

    number = 1

    def __init__(self, most: int) -> None:
        self.most = most
        self._watched: list[Sized] = []

    def watch(self, held: Sized) -> None:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        self._watched.append(held)

    def room(self) -> int:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        return self.most - sum(map(len, self._watched))

    def figures(self) -> Deferred[Mapping[int, Any]]:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        return succeed({})


class AcceptTests(LeanTestCase):
    """
    Clients that connect.
    """

    def test_acceptsManyInSeveralTurns(self) -> None:
        """
        Many clients are accepted in several turns, each once.
        """
        peers = [self.peer(POLL) for _ in range(MAX_HANDLED + MAX_ACCEPTED)]
        self.reactor.turn(5)
        self.assertTrue(MAX_ACCEPTED <= self.connections <= MAX_HANDLED, self.connections)
        for peer in peers:
            self.assertEqual(peer.hears(OK).count(OK), 1)
        self.assertEqual(self.connections, len(peers))

    def test_clientLeavesBeforeAccept(self) -> None:
        """
        A client that has left before it is accepted does no harm to the clients
        behind it.
        """
        for _ in range(3):
            self.peer(POLL).cut()
            self.peer(POLL).socket.close()
            self.peer().halfClose()
        self.assertIn(OK, self.peer(POLL).hears(OK))
        self.reactor.settle()
        self.assertEqual(self.connections, 1)

    @contextmanager
    def full(self) -> Iterator[None]:
        """
        Let the process have no descriptors left.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = self.peer().socket.dup()
        lowest = spare.fileno()
        spare.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_pausesWithoutDescriptors(self) -> None:
        """
        Without descriptors the port accepts no client for some time, and does
        not keep the reactor busy.  Connected clients are served, and the waiting
        client is accepted once there is room.
        """
        old, reader = self.peer(POLL), self.reader("stream")
        old.hears(OK)
        self.reactor.settle()
        new = self.peer(POLL)
        with self.full():
            self.reactor.until(lambda: not self.port._isAccepting)
            before = self.reactor.turns
            for _ in range(20):
                self.reactor.turn(1)
            self.assertEqual(self.reactor.turns, before)
            old.send(POLL)
            old.hears(OK, 2)
            self.publish(1)
            reader.hears(b'"data":1')
            for _ in range(3):
                # The port tries again, and pauses again.
                self.reactor.advance(FULL_PAUSE + 0.2)
                self.reactor.settle()
        self.assertEqual(new.take(), b"")
        self.reactor.advance(FULL_PAUSE + 0.2)
        new.hears(OK)

    def test_handsOverWithoutDescriptors(self) -> None:
        """
        Without descriptors a connection is handed over all the same, and other
        connections are served.
        """
        first, second = self.peer(POLL), self.peer(POLL)
        first.hears(OK)
        second.hears(OK)
        with self.full():
            first.send(request("/health"))
            self.reactor.until(lambda: first.take().count(b"HTTP/1.1 ") == 2 or first.isOver)
            second.send(POLL)
            second.hears(OK, 2)
        self.assertEqual(first.take().count(OK), 2)

    def test_stopReadingEndsPause(self) -> None:
        """
        A port that was told to stop reading accepts no client until it is told
        to start, also if it had paused for want of descriptors.
        """
        waits = self.peer(POLL)
        with self.full():
            self.reactor.until(lambda: not self.port._isAccepting)
        self.port.stopReading()
        self.reactor.advance(10 * FULL_PAUSE)
        self.reactor.settle()
        self.assertEqual((waits.take(), self.connections), (b"", 0))
        self.port.startReading()
        waits.hears(OK)

    def test_share(self) -> None:
        """
        One of several workers accepts as many as are its share, and others a moment later
        if no other worker does.
        """
        self.hub.siblings = siblings = Crowded(2)
        self.port = self.listen(self.port._edge.factory)
        peers = [self.peer(POLL) for _ in range(3)]
        self.reactor.until(lambda: not self.port._isAccepting)
        self.assertEqual(self.connections, 2)
        self.reactor.advance(PATIENCE / 2)
        self.reactor.settle()
        self.assertEqual(self.connections, 2)
        self.reactor.advance(PATIENCE)
        for peer in peers:
            peer.hears(OK)
        siblings.most = 10
        self.peer(POLL).hears(OK)
        siblings.most = 0
        self.peer(POLL)
        self.reactor.until(lambda: not self.port._isAccepting)
        # What waits for the others does not begin again once the port is stopped.
        self.port.stopReading()
        self.reactor.advance(10 * PATIENCE)
        self.reactor.settle()
        self.assertEqual(self.connections, 4)

    def test_closesConnectionThatFails(self) -> None:
        """
        A connection that fails as it begins, with its first input, or at the
        end of its grace time is closed.  Other connections live on, and new ones
        are accepted.
        """
        factory = CometFactory(self.hub)
        self.tcpPort = port = self.listen(factory)
        there = self.reader("tcp")

        def fails(*arguments: object) -> None:
            raise ArithmeticError

        metrics, build = self.hub.metrics.of, factory.buildProtocol
        self.patch(self.hub.metrics, "of", fails)
        self.assertEqual(self.peer(isTCP=True).ends(), b"")
        self.patch(self.hub.metrics, "of", metrics)
        self.patch(factory, "buildProtocol", fails)
        self.assertEqual(self.peer(b"rubbish\n", isTCP=True).ends(), b"")
        silent = [self.peer(isTCP=True) for _ in range(2)]
        self.reactor.until(lambda: len(port._edge) == 3)
        self.reactor.advance(GRACE_TIME + 0.1)
        self.assertEqual([peer.ends() for peer in silent], [b"", b""])
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 4)
        self.assertEqual(len(port._edge), 1)
        self.patch(factory, "buildProtocol", build)
        come = self.reader("tcp")
        self.publish(1)
        self.assertEqual((there.upTo(1), come.upTo(1)), ([1], [1]))

    def test_tickThatFails(self) -> None:
        """
        An exception at the end of a turn ends neither the port nor the
        connections.
        """
        there = self.reader("stream")

        ends = self.hub.fanout.endTurn

        def fails() -> None:
            ends()
            raise ArithmeticError

        patch = self.patch(self.hub.fanout, "endTurn", fails)
        asks = self.peer(POLL)
        asks.hears(OK)
        self.assertTrue(self.flushLoggedErrors(ArithmeticError))
        patch.restore()
        self.publish(1)
        self.assertEqual(there.upTo(1), [1])
        asks.send(POLL)
        asks.hears(OK, 2)


class EndTests(LeanTestCase):
    """
    Ports that stop listening.
    """

    def test_connectionsOutliveListening(self) -> None:
        """
        A port that stops listening refuses new clients and serves those it has.
        It leaves the reactor with the last of them.
        """
        idle, reader = self.peer(POLL), self.reader("stream")
        idle.hears(OK)
        host = self.port.getHost()
        stopped = self.port.stopListening()
        self.reactor.turn()
        self.successResultOf(stopped)
        with self.assertRaises(ConnectionRefusedError), socket.socket() as late:
            late.connect((host.host, host.port))
        idle.send(POLL)
        idle.hears(OK, 2)
        self.publish(1)
        reader.hears(b'"data":1')
        self.assertIn(self.port, self.reactor.readers)
        idle.socket.close()
        reader.socket.close()
        self.reactor.until(lambda: self.port not in self.reactor.readers)
        self.assertEqual(self.port.fileno(), -1)

    def test_stopWithoutConnections(self) -> None:
        """
        A port without connections leaves the reactor as soon as it stops
        listening.
        """
        self.port.stopListening()
        self.reactor.turn()
        self.assertNotIn(self.port, self.reactor.readers)

    def test_idleConnectionsEnd(self) -> None:
        """
        Idle connections keep a port that has stopped listening in the reactor
        for no longer than the idle timeout.
        """
        peers = [self.peer(POLL) for _ in range(20)]
        for peer in peers:
            peer.hears(OK)
        self.port.stopListening()
        self.reactor.advance(IDLE_TIMEOUT + 1)
        for peer in peers:
            peer.ends()
        self.assertNotIn(self.port, self.reactor.readers)

    def test_reactorStops(self) -> None:
        """
        All connections are closed when the reactor stops.
        """
        peers = [self.peer(POLL), self.reader("stream"), self.reader("longpoll")]
        self.port.connectionLost(Failure(ConnectionDone()))
        for peer in peers:
            peer.ends()
        self.assertEqual(list(self.hub.fanout.readers), [])
        self.assertEqual(self.port.fileno(), -1)
