"""
Tests of L{comet.reactor.waitingevents}.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.waitingevents import MOST_ADDED, WaitingEvents

READING = EPOLLIN | EPOLLRDHUP


class FakePoller:
    """
    Knows what is watched, and is as strict as an C{epoll}.

    @ivar calls: How many calls there were.
    """

    def __init__(self, *fds: int) -> None:
        self.watched = dict.fromkeys(fds, READING)
        self.calls = 0

    def register(self, fd: int, eventmask: int, /) -> None:
        """
        Watch a descriptor.
        """
        if fd in self.watched:
            raise FileExistsError(fd)
        self.calls += 1
        self.watched[fd] = eventmask

    def modify(self, fd: int, eventmask: int, /) -> None:
        """
        Watch it for other events.
        """
        self.calls += 1
        self.watched[fd]
        self.watched[fd] = eventmask

    def unregister(self, fd: int, /) -> None:
        """
        Watch it no more.
        """
        self.calls += 1
        del self.watched[fd]


class WaitingEventsTests(SynchronousTestCase):
    """
    Descriptors 0 to 4, which are all watched in the beginning.
    """

    def setUp(self) -> None:
        """
        Make a line.
        """
        self.poller = FakePoller(*range(5))
        self.wanted = dict.fromkeys(range(5), READING)
        self.waiting = WaitingEvents(self.poller, self.wanted.__getitem__)
        self.handled: list[tuple[int, int]] = []
        self.left = 0

    def handle(self, most: int, then: Callable[[int], object] = lambda fd: None) -> list[int]:
        """
        Handle some events.

        @param then: Called for each.

        @return: The descriptors.
        """
        self.handled, self.left = [], most

        def one(fd: int, event: int) -> None:
            self.handled.append((fd, event))
            then(fd)

        def isOver() -> bool:
            self.left -= 1
            return self.left <= 0

        self.waiting.handle(one, isOver)
        return [fd for fd, _ in self.handled]

    def test_inTheirOrder(self) -> None:
        """
        What waits is not watched; it is handled in the order in which it came, some in
        each turn, and is watched again then.
        """
        self.waiting.add([(3, EPOLLIN), (1, EPOLLIN)])
        self.waiting.add([(2, READING)])
        self.assertEqual([*self.poller.watched], [0, 4])
        self.assertEqual((self.handle(2), len(self.waiting)), ([3, 1], 1))
        self.assertEqual([*self.poller.watched], [0, 4, 3, 1])
        self.waiting.add([(3, EPOLLIN)])
        self.assertEqual((self.handle(9), len(self.waiting)), ([2, 3], 0))
        self.assertEqual(self.poller.watched, self.wanted)
        self.assertEqual(self.handle(9), [])

    def test_oneAtLeast(self) -> None:
        """
        One event is handled also where there is no time.
        """
        self.waiting.add([(3, EPOLLIN), (1, EPOLLIN)])
        self.assertEqual((self.handle(0), self.handle(0)), ([3], [1]))

    def test_closed(self) -> None:
        """
        A descriptor that is forgotten while it waits, or by the handler of its event, is
        not watched again, and another one may have its number.
        """
        self.waiting.add([(3, EPOLLIN), (1, EPOLLIN)])
        self.waiting.unregister(1)
        self.poller.register(1, EPOLLIN)
        self.assertEqual(self.handle(9, self.waiting.unregister), [3])
        self.assertEqual([*self.poller.watched], [0, 2, 4, 1])
        self.waiting.unregister(1)
        self.assertEqual([*self.poller.watched], [0, 2, 4])

    def test_anotherClosed(self) -> None:
        """
        The handler of an event may forget descriptors that wait behind it.
        """
        self.waiting.add([(3, EPOLLIN), (1, EPOLLIN), (0, EPOLLIN)])
        also = {3: (1,)}
        forget = self.waiting.unregister
        self.assertEqual(
            self.handle(9, lambda fd: [forget(each) for each in also.pop(fd, ())]), [3, 0]
        )
        self.assertEqual({*self.poller.watched}, {0, 2, 3, 4})

    def test_wantedMeanwhile(self) -> None:
        """
        Of what is not wanted any more nothing is told, but for errors, and the descriptor
        is watched as it is wanted by then.
        """
        self.waiting.add([(3, READING), (1, READING | EPOLLHUP | EPOLLERR)])
        for fd in (3, 1, 0):
            self.wanted[fd] = EPOLLOUT
            self.waiting.modify(fd, EPOLLOUT)
        self.assertEqual(self.poller.watched[0], EPOLLOUT)
        self.handle(9)
        self.assertEqual(self.handled, [(1, EPOLLHUP | EPOLLERR)])
        self.assertEqual(self.poller.watched, self.wanted)

    def test_failing(self) -> None:
        """
        If a handler fails, no event is lost.
        """
        self.waiting.add([(3, EPOLLIN)])
        self.assertRaises(ZeroDivisionError, self.handle, 9, lambda fd: 1 // 0)
        self.assertEqual(self.handle(9), [3])
        self.assertEqual(self.poller.watched, self.wanted)

    def test_callsForACrowd(self) -> None:
        """
        Each of a crowd costs two calls of the system, and in a turn only so many are
        taken out.
        """
        count = 2 * MOST_ADDED
        poller = FakePoller(*range(count))
        waiting = WaitingEvents(poller, lambda fd: EPOLLIN)
        happened: list[Any] = [(fd, EPOLLIN) for fd in range(count)]
        waiting.add(happened)
        self.assertEqual((len(waiting), poller.calls), (MOST_ADDED, MOST_ADDED))
        waiting.add(happened[MOST_ADDED:])
        waiting.handle(lambda fd, event: None, lambda: False)
        self.assertEqual((len(waiting), poller.calls), (0, 2 * count))

    def test_system(self) -> None:
        """
        An C{epoll} tells of a descriptor again once it is put back.
        """
        ours, theirs = socket.socketpair()
        poller = epoll()
        for each in (ours, theirs, poller):
            self.addCleanup(each.close)
        waiting = WaitingEvents(poller, lambda fd: READING)
        poller.register(ours.fileno(), READING)
        theirs.close()
        happened = poller.poll(0)
        self.assertEqual(len(happened), 1)
        waiting.add(happened)
        self.assertEqual(poller.poll(0), [])
        waiting.handle(lambda fd, event: None, lambda: False)
        self.assertEqual(poller.poll(0), happened)
        waiting.unregister(ours.fileno())
        self.assertEqual(poller.poll(0), [])
