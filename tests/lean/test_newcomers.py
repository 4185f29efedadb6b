"""
Tests of L{comet.lean.newcomers}: connections that have just come.
"""

from __future__ import annotations

from typing import Any

from comet.lean.newcomers import MOMENT, Newcomers
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read


class Newcomer:
    """
    A connection.

    @ivar told: How often it was told that it stays.
    """

    def __init__(self, fd: int = 7, error: Exception | None = None) -> None:
        self.fd = fd
        self.told = 0
        self._error = error

    def stays(self) -> None:
        """
        Note it, and fail, or not.
        """
        self.told += 1
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """
        Be closed.
        """
        self.fd = -1


class NewcomersTests(LeanTestCase):
    """
    Who is told when.
    """

    def setUp(self) -> None:
        """
        Nobody has come.
        """
        super().setUp()
        self.newcomers = Newcomers(self.port._edge)

    def come(self, *newcomers: Any) -> None:
        """
        Connections come.
        """
        for each in newcomers:
            self.newcomers.add(each)

    def test_together(self) -> None:
        """
        All that came in a moment are told once, with one timer; those that came
        after it are told a moment later.
        """
        first, second, third = Newcomer(), Newcomer(), Newcomer()
        self.come(first)
        self.reactor.advance(MOMENT / 2)
        self.come(second)
        self.assertEqual((first.told, len(self.hub.fanout.wheel)), (0, 1))
        self.reactor.advance(MOMENT / 2 + 0.1)
        self.come(third)
        self.assertEqual((first.told, second.told, third.told), (1, 1, 0))
        self.reactor.advance(MOMENT + 0.1)
        self.assertEqual((first.told, second.told, third.told), (1, 1, 1))
        self.assertEqual(len(self.hub.fanout.wheel), 0)

    def test_gone(self) -> None:
        """
        Who has left is not told.
        """
        gone = Newcomer()
        self.come(gone)
        gone.close()
        self.reactor.advance(MOMENT + 0.1)
        self.assertEqual(gone.told, 0)

    def test_broken(self) -> None:
        """
        Who cannot be told is closed, and the others are told.
        """
        broken, other = Newcomer(error=RuntimeError("broken")), Newcomer()
        self.come(broken, other)
        self.reactor.advance(MOMENT + 0.1)
        self.assertEqual((broken.fd, other.told), (-1, 1))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class DeadlineTests(LeanTestCase):
    """
    Each connection of HTTP has a deadline of some kind, whatever it says at
    first.
    """

    def settled(self, *said: bytes) -> list[Peer]:
        """
        Clients that have said something within the first moment.
        """
        peers = [self.peer(each) for each in said]
        self.reactor.settle()
        self.reactor.advance(MOMENT + 0.1)
        return peers

    def test_first(self) -> None:
        """
        Who says nothing, or not all of a head or a body, is closed in the end;
        a poll that is answered leaves its connection the same time; one that
        waits is answered, and then as well.
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

    def test_afterLongPoll(self) -> None:
        """
        However long a poll might have waited, once it is answered its client
        has no more time than others, also if it does not come back.
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
