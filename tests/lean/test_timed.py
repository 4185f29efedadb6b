"""
Tests of L{comet.lean.timed}: the time that clients are given, and those that take
less or more of it.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from comet.fanout.polls import BUS_SECONDS
from comet.fanout.reader import Reader
from comet.http.pace import BODY_TIME, HEAD_TIME, LEAST_RATE, UNSENT_TIMEOUT
from comet.lean.connection import READ_SIZE
from comet.lean.edge import GRACE_TIME
from comet.transports.detach import MAX_HELD_INPUT
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read, request

POLL = read("poll")
OK = b"HTTP/1.1 200 OK\r\n"


class TimeTests(LeanTestCase):
    """
    The time that clients have.
    """

    def after(self, *pieces: tuple[float, bytes]) -> Peer:
        """
        Connect a client that sends pieces.

        @param pieces: Each with the seconds that pass before it is sent.
        """
        peer = self.peer()
        self.reactor.turn(5)
        self.reactor.advance(GRACE_TIME + 0.1)
        for seconds, piece in pieces:
            self.reactor.advance(seconds)
            peer.send(piece)
            self.reactor.settle()
        return peer

    def assertClosed(self, peer: Peer) -> None:
        """
        Fail unless the server has closed the connection, and sent nothing.
        """
        self.assertEqual(peer.ends(), b"")
        self.assertEqual(self.connections, 0)

    def test_closesSilentClient(self) -> None:
        """
        A client that sends nothing is closed after the idle timeout, and not
        before.
        """
        peer = self.after((IDLE_TIMEOUT - 1, b""))
        self.assertFalse((peer.take(), peer.isOver)[1])
        self.reactor.advance(1.2)
        self.assertClosed(peer)

    def test_closesSlowHead(self) -> None:
        """
        A head that comes byte by byte has its time from its first byte, also one
        that follows another request.
        """
        for first in (b"", POLL):
            peer = self.after((IDLE_TIMEOUT - 5, first + POLL[:1]))
            for n in range(1, 6):
                self.reactor.advance(HEAD_TIME / 6)
                peer.send(POLL[n : n + 1])
                self.reactor.settle()
            self.assertEqual(self.connections, 1)
            self.reactor.advance(HEAD_TIME / 6 + 0.2)
            self.assertEqual(peer.ends().count(OK), len(first) // len(POLL))
            self.assertEqual(self.connections, 0)

    def test_headHasItsTimeOnce(self) -> None:
        """
        A head that is handed over has no more time there.
        """
        peer = self.after((0, b"GET /ch"), (HEAD_TIME - 2, b"ill"))
        self.reactor.until(lambda: not self.connections)
        self.reactor.advance(1.8)
        self.reactor.settle()
        self.assertFalse((peer.take(), peer.isOver)[1])
        self.reactor.advance(0.5)
        self.assertEqual(peer.ends(), b"")

    def test_bodyHasToGoOn(self) -> None:
        """
        A body may come slowly, but not below a rate, however fast a part of it has
        come.
        """
        size = int(LEAST_RATE) * 300
        said = request("/channels/open/c", method="POST", body=b"x" * size)
        head, step = said[:-size], int(LEAST_RATE) * 20
        pieces = [(0.0, head), *((20.0, b"x" * step) for _ in range(15))]
        self.after(*pieces).hears(b"HTTP/1.1 201 Created\r\n")
        for fast in (0, size - 100):
            peer = self.after((0, head), (0, b"x" * fast))
            for _ in range(5):
                self.reactor.advance(BODY_TIME / 6)
                peer.send(b"x")
                self.reactor.settle()
            self.reactor.advance(BODY_TIME / 6 - 1)
            self.assertFalse((peer.take(), peer.isOver)[1])
            self.reactor.advance(1.2)
            self.assertEqual(peer.ends(), b"")

    def test_timeBetweenRequests(self) -> None:
        """
        Each response gives the client the idle timeout again.  A held poll has
        its own time.
        """
        peer = self.after(*((IDLE_TIMEOUT - 5, POLL) for _ in range(4)))
        self.assertEqual(peer.take().count(OK), 4)
        peer.send(read("longpoll", more="&wait=200"))
        self.reactor.settle()
        self.reactor.advance(199)
        self.reactor.settle()
        self.assertEqual(peer.take().count(OK), 4)
        self.reactor.advance(1.2)
        peer.hears(OK, 5)
        self.reactor.advance(IDLE_TIMEOUT - 1)
        self.assertEqual(self.connections, 1)
        self.reactor.advance(1.3)
        peer.ends()

    def test_timeoutWhileResponseIsInBacklog(self) -> None:
        """
        A poll whose response waits in the backlog is not closed when its time
        is over.  If the response never comes, the connection is closed after the
        idle timeout.
        """
        peer = self.peer(read("longpoll", more="&wait=5"))
        self.reactor.until(lambda: self.hub.fanout.readers)
        [reader] = self.hub.fanout.readers
        assert isinstance(reader, Reader)
        reader.ended()
        self.reactor.advance(5.3)
        self.reactor.settle()
        self.assertEqual((self.connections, peer.take()), (1, b""))
        self.reactor.advance(IDLE_TIMEOUT + 0.2)
        self.assertEqual(peer.ends(), b"")

    def test_busThatNeverAnswers(self) -> None:
        """
        A poll that need not wait for a message is answered although the bus
        never answers, and the connection goes on.
        """
        self.patch(self.hub.bus, "resolve", lambda names: Deferred())
        for target in ("poll", "longpoll"):
            peer = self.peer(read(target, more="&wait=0&since=earliest"))
            self.reactor.until(lambda: self.hub.fanout.readers)
            self.reactor.advance(BUS_SECONDS - 0.3)
            self.reactor.settle()
            self.assertEqual(peer.take(), b"")
            self.reactor.advance(0.6)
            peer.hears(b'"close":{"code":"unavailable"', 1)
            self.assertEqual(len(self.hub.fanout.readers), 0)
            self.assertFalse(peer.isOver)

    def test_boundsInputWhileResponseIsInBacklog(self) -> None:
        """
        The input behind a poll whose response waits in the backlog is bounded.
        """
        peer = self.peer(read("longpoll"))
        self.reactor.until(lambda: self.hub.fanout.readers)
        [reader] = self.hub.fanout.readers
        assert isinstance(reader, Reader)
        connection: Any = next(iter(self.port._edge.connections.values()))
        reader.ended()
        for _ in range(20):
            peer.send(POLL * 100)
            self.reactor.turn(1)
        self.assertGreater(len(connection.buffer), MAX_HELD_INPUT)
        self.assertLess(len(connection.buffer), MAX_HELD_INPUT + 2 * READ_SIZE)

    def test_cutsOffClientThatTakesNothing(self) -> None:
        """
        A client that does not take a response has its next request left
        waiting, and is cut off after a time, with what is unsent.
        """
        self.keepLittle()
        for number in range(10):
            self.hub.publish("c", f"{number}" * 100_000)
        self.reactor.settle()
        peer = self.peer(read("poll", more="&since=earliest") * 20, 4096)
        self.reactor.settle()
        connection: Any
        # Any: a connection of HTTP has more than a connection.
        connections: Any = self.port._edge.connections
        (connection,) = connections.values()
        self.assertGreater(len(connection.unsent), 0)
        self.assertLess(len(connection.unsent), 2_000_000)
        self.assertEqual(self.hub.metrics.of("poll").requests, 1)
        self.reactor.advance(UNSENT_TIMEOUT + 0.2)
        self.assertEqual(self.connections, 0)
        self.assertLess(len(peer.ends()), 1_000_000)

    def test_responsesTakenLate(self) -> None:
        """
        A client that takes its responses late gets all of them whole.
        """
        self.keepLittle()
        for number in range(10):
            self.hub.publish("c", f"{number}" * 10_000)
        self.reactor.settle()
        peer = self.peer(read("poll", more="&since=earliest") * 5, 4096)
        self.reactor.settle()
        self.assertEqual(self.hub.metrics.of("poll").requests, 1)
        self.reactor.advance(UNSENT_TIMEOUT - 1)
        self.reactor.until(lambda: peer.take().count(b"9" * 10_000) == 5)
        bodies = [each.partition(b"\r\n\r\n")[2] for each in peer.hears(OK, 5).split(OK)[1:]]
        self.assertEqual(bodies, bodies[:1] * 5)
        self.assertEqual(len(json.loads(bodies[0])["messages"]), 10)
