"""
Tests of L{comet.lean.edge}: the grace time of new connections, and their
deadlines after it.
"""

from __future__ import annotations

from typing import Any

from comet.lean.edge import GRACE_TIME, Newcomers
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read


class Newcomer:
    """
    A connection.

    @ivar graceEnds: How often its grace time has ended.
    """

    socket: Any = None

    def __init__(self, fd: int = 7, error: Exception | None = None) -> None:
        """
        @param error: What L{graceOver} raises, if it fails.
        """
        self.fd = fd
        self.graceEnds = 0
        self._error = error

    def graceOver(self) -> None:
        """
        Count the call, and fail if the connection is to.
        """
        self.graceEnds += 1
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
        self.reactor.advance(IDLE_TIMEOUT - 5)
        self.reactor.settle()
        self.assertEqual(self.connections, 1)
        self.reactor.advance(5.2)
        waits.ends()
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
