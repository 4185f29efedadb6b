"""
Tests of L{comet.lean.edge}: the grace time of new connections, and their
deadlines after it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher

from comet.http.pace import HEAD_TIME
from comet.lean.cache import RequestCache
from comet.lean.edge import GRACE_TIME, Newcomers
from comet.logging import clientlog
from comet.logging.clientlog import BURST, Budgets
from comet.reactor.turns import SHARE
from comet.transports.session import Session
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read, request
from tests.transports.frames import TEXT, frame


class Newcomer:
    """
    A connection.

    @ivar graceEnds: How often its grace time has ended.

    @ivar cost: Called each time that it ends.
    """

    socket: Any = None

    def __init__(self, fd: int = 7, error: Exception | None = None) -> None:
        """
        @param error: What L{graceOver} raises, if it fails.
        """
        self.fd = fd
        self.graceEnds = 0
        self.cost: Callable[[], None] = lambda: None
        self._error = error

    def graceOver(self) -> None:
        """
        Count the call, and fail if the connection is to.
        """
        self.graceEnds += 1
        self.cost()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """
        Be closed.
        """
        self.fd = -1


class NewcomersTests(LeanTestCase):
    """
    Tests of L{Newcomers}.
    """

    def setUp(self) -> None:
        """
        Begin without connections.
        """
        super().setUp()
        self.newcomers = Newcomers(self.port._edge)

    def come(self, *newcomers: Any) -> None:
        """
        Add connections.
        """
        for each in newcomers:
            self.newcomers.add(each)

    def test_oneTimerForAllWithinGraceTime(self) -> None:
        """
        The grace time of all connections that came within it ends at once, with
        one timer.  A connection that comes later has a grace time of its own.
        """
        first, second, third = Newcomer(), Newcomer(), Newcomer()
        self.come(first)
        self.reactor.advance(GRACE_TIME / 2)
        self.come(second)
        self.assertEqual((first.graceEnds, len(self.hub.fanout.wheel)), (0, 1))
        self.reactor.advance(GRACE_TIME / 2 + 0.1)
        self.come(third)
        counts = [each.graceEnds for each in (first, second, third)]
        self.assertEqual(counts, [1, 1, 0])
        self.reactor.advance(GRACE_TIME + 0.1)
        counts = [each.graceEnds for each in (first, second, third)]
        self.assertEqual(counts, [1, 1, 1])
        self.assertEqual(len(self.hub.fanout.wheel), 0)

    def test_skipsClosedConnections(self) -> None:
        """
        A connection that is closed within its grace time is not called.
        """
        gone = Newcomer()
        self.come(gone)
        gone.close()
        self.reactor.advance(GRACE_TIME + 0.1)
        self.assertEqual(gone.graceEnds, 0)

    def test_endsInShares(self) -> None:
        """
        Where it takes time to end the grace time of very many, some are called in each
        turn.
        """
        newcomers = [Newcomer() for _ in range(5)]
        for each in newcomers:
            each.cost = partial(self.spend, SHARE / 2)
        self.come(*newcomers)
        self.newcomers.timedOut()
        self.assertEqual([each.graceEnds for each in newcomers], [1, 1, 0, 0, 0])
        self.assertEqual(len(self.hub.turns), 1)
        self.hub.turns.finish()
        self.assertEqual([each.graceEnds for each in newcomers], [1] * 5)

    def spend(self, seconds: float) -> None:
        """
        Let time pass while something is done.
        """
        self.reactor.rightNow += seconds

    def test_closesConnectionThatFails(self) -> None:
        """
        A connection that fails at the end of its grace time is closed, and the
        others are called.
        """
        broken, other = Newcomer(error=RuntimeError("broken")), Newcomer()
        broken.socket = self.peer().socket
        self.come(broken, other)
        self.reactor.advance(GRACE_TIME + 0.1)
        self.assertEqual((broken.fd, other.graceEnds), (-1, 1))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class DeadlineTests(LeanTestCase):
    """
    Each connection of HTTP has a deadline, whatever its client sends first.
    """

    def settled(self, *said: bytes) -> list[Peer]:
        """
        Connect clients that send something within their grace time, and let
        that end.
        """
        peers = [self.peer(each) for each in said]
        self.reactor.settle()
        self.reactor.advance(GRACE_TIME + 0.1)
        return peers

    def test_closesEachIdleConnection(self) -> None:
        """
        A client that sends nothing, or not all of a head or a body, is closed
        after the idle timeout, and so is one whose poll was answered.  A held
        poll is answered in its own time, and its client is then closed after
        the idle timeout, too.
        """
        head = b"POST /channels/open/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        self.settled(b"", read("poll")[:9], head + b"x", read("poll"))
        (waits,) = self.settled(read("longpoll", more="&wait=5") + read("poll")[:-2])
        self.assertEqual(self.connections, 5)
        self.reactor.advance(5.2)
        waits.hears(b'"messages":[]')
        self.reactor.advance(HEAD_TIME - 1)
        self.reactor.settle()
        self.assertEqual(self.connections, 3)
        self.reactor.advance(1.2)
        waits.ends()
        self.reactor.advance(IDLE_TIMEOUT - HEAD_TIME)
        self.assertEqual(self.connections, 0)

    def test_idleTimeoutAfterLongPoll(self) -> None:
        """
        Once a long poll is answered its client has the idle timeout and no
        more, however long the poll might have waited.
        """
        answered, left = self.settled(*[read("longpoll", more="&wait=300")] * 2)
        self.reactor.advance(IDLE_TIMEOUT + 10)
        self.assertEqual(self.connections, 2)
        self.publish(1)
        self.assertEqual((answered.upTo(1), left.upTo(1)), ([1], [1]))
        self.reactor.advance(IDLE_TIMEOUT - 1)
        self.assertEqual(self.connections, 2)
        answered.send(read("longpoll", more="&wait=300"))
        self.reactor.settle()
        self.reactor.advance(1.3)
        left.ends()
        self.assertEqual(self.connections, 1)


class FailingTests(LeanTestCase):
    """
    Connections whose input raises an exception that is none of comet's.
    """

    def setUp(self) -> None:
        """
        Let requests and commands fail.
        """
        super().setUp()
        # Any: an edge of HTTP has more than an edge.
        edge: Any = self.port._edge
        self.edge = edge
        self.makePlan = self.edge.requests._makePlan

        def fail(*args: object) -> None:
            raise RuntimeError("broken")

        self.patch(self.edge.requests, "_makePlan", fail)
        self.patch(Session, "commandReceived", fail)

    def http(self) -> Peer:
        """
        Send a request.
        """
        return self.peer(request("/channels/other?transport=poll"))

    def tcp(self) -> Peer:
        """
        Send a command by raw TCP.
        """
        return self.peer(b'{"ping":1}\n', isTCP=True)

    def test_boundsLines(self) -> None:
        """
        Each connection is closed, a client that comes back and back does not
        fill the log, and is counted.
        """
        self.patch(clientlog, "_budgets", Budgets(self.reactor.seconds))
        lines: list[dict[str, Any]] = []
        # Any: zope's interfaces do not know that a function is an observer.
        observer: Any = lines.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        ways: list[Callable[[], Peer]] = [self.http, self.tcp]
        for way in ways:
            for _ in range(2 * BURST):
                way().ends()
        clientlog.tellLeftOut()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2 * BURST)
        told = [formatEvent(line) for line in lines if "count" in line]
        self.assertEqual([each.split()[0] for each in told], [str(BURST)] * 2)

    def test_webSocket(self) -> None:
        """
        The same goes for a command by WebSocket, on a connection that was open.
        """
        self.edge.requests = RequestCache(self.hub, self.makePlan)
        peer = self.reader("websocket")
        peer.send(frame(TEXT, b'{"ping":1}'))
        peer.ends()
        self.assertEqual(self.connections, 0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
