"""
Tests of L{comet.fanout.backlog}: what is done in turns, and polls that are answered
in parts.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.backlog import Backlog
from comet.fanout.polls import MOST_AT_ONCE, PollReader
from comet.http.polls import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from tests.fanout.case import HubTestCase, since
from tests.fanout.doubles import ANYONE, MemoryWaiter
from tests.fanout.slowbus import now

ANSWER = b"answered"


class PartsTests(SynchronousTestCase):
    """
    One part a turn.
    """

    def setUp(self) -> None:
        """
        There is nothing to do.
        """
        self.backlog = Backlog()
        self.done: list[str] = []

    def add(self, name: str) -> None:
        """
        Add something that is a part if its name begins so.
        """
        self.backlog.add(lambda: self.done.append(name), isPart=name.startswith("part"))

    def test_order(self) -> None:
        """
        All is done in order: a part, and what is no part up to the next one.
        """
        for name in ("a", "part 1", "b", "part 2", "part 3", "c", "d"):
            self.add(name)
        turns = []
        while self.backlog:
            before = len(self.done)
            self.backlog.go()
            turns.append(self.done[before:])
        self.assertEqual(turns, [["a", "part 1", "b"], ["part 2"], ["part 3", "c", "d"]])
        self.backlog.go()
        self.assertEqual(len(self.done), 7)

    def test_failure(self) -> None:
        """
        What goes wrong is logged, and the rest is done.
        """

        def fail() -> None:
            raise ZeroDivisionError

        self.backlog.add(fail, isPart=True)
        self.backlog.add(fail, isPart=False)
        self.add("a")
        self.backlog.go()
        self.assertEqual((self.done, len(self.backlog)), (["a"], 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_within(self) -> None:
        """
        What is added from within is done in its place.
        """
        self.backlog.add(lambda: self.add("part"), isPart=True)
        self.add("a")
        self.backlog.go()
        self.assertEqual(self.done, ["a"])
        self.backlog.go()
        self.assertEqual(self.done, ["a", "part"])


@frozen
class BytesShape:
    """
    Answers that are all the same.
    """

    limit: int = 100

    def respond(self, outcome: Outcome) -> bytes:
        """
        See L{PollShape.respond<comet.fanout.polls.PollShape.respond>}.
        """
        return ANSWER


class Waiter:
    """
    Lets others send to its socket.
    """

    keepsTime = True

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.far.setblocking(False)
        self.direct: socket.socket | None = near
        self.short: list[int] = []
        self.answers = 0

    def close(self) -> None:
        """
        Close both ends.
        """
        assert self.direct is not None
        self.direct.close()
        self.far.close()

    def pollAnswered(self, response: bytes) -> None:
        """
        See L{DirectWaiter}: it was not live.
        """
        raise AssertionError("it is answered with the others")

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{DirectWaiter}.
        """
        raise AssertionError("nobody has waited for so long")

    def pollsSent(
        self, waiters: Sequence[Waiter], response: bytes, short: Sequence[tuple[int, int]]
    ) -> None:
        """
        See L{DirectWaiter}.
        """
        for waiter in waiters:
            waiter.answers += 1
        for index, sent in short:
            waiters[index].short.append(sent)


class AnswerTests(HubTestCase):
    """
    A group of many polls.
    """

    count = 2 * MOST_AT_ONCE + 10

    def setUp(self) -> None:
        """
        They wait.
        """
        super().setUp()
        self.waiters = [self.wait() for _ in range(self.count)]
        self.rest()
        # Whatever may have been ahead of its group is not, after a message.
        self.publish("x")
        self.rest()

    def wait(self) -> Waiter:
        """
        Another one waits.
        """
        waiter = Waiter()
        self.addCleanup(waiter.close)
        reader: PollReader[Any] = self.hub.openPoll(
            ANYONE, ["a"], since("now"), BytesShape(), waiter, 20.0
        )
        self.assertIs(reader.direct, waiter.direct)
        return waiter

    @property
    def answered(self) -> int:
        """
        How many are.
        """
        return sum(waiter.answers for waiter in self.waiters)

    def test_parts(self) -> None:
        """
        So many are answered in a turn that others have theirs, each once; the
        publisher after all of them.
        """
        published = self.publish("a")
        for expected in (MOST_AT_ONCE, 2 * MOST_AT_ONCE):
            self.clock.turn()
            self.assertEqual(self.answered, expected)
            self.assertNoResult(published)
        self.clock.turn()
        self.assertEqual(self.successResultOf(published), [2])
        self.assertEqual({waiter.answers for waiter in self.waiters}, {1})
        for waiter in self.waiters:
            self.assertEqual(waiter.far.recv(100), ANSWER)

    def test_comesBack(self) -> None:
        """
        Who was answered can wait for the next message, which comes to him, too.
        """
        self.publish("a")
        self.clock.turn()
        again = self.wait()
        second = self.publish("a")
        self.rest()
        self.assertEqual(again.answers, 1)
        self.assertEqual(self.successResultOf(second), [3])
        self.assertEqual({waiter.answers for waiter in self.waiters}, {1})

    def test_left(self) -> None:
        """
        Who leaves before he is answered does no harm to the others.
        """
        self.publish("a")
        self.clock.turn()
        gone = self.waiters[MOST_AT_ONCE], self.waiters[-1]
        for waiter in gone:
            waiter.close()
        self.rest()
        for waiter in self.waiters:
            if waiter not in gone:
                self.assertEqual((waiter.far.recv(100), waiter.short), (ANSWER, []))
        self.assertEqual([waiter.short for waiter in gone], [[0], [0]])

    def test_directKeepsTime(self) -> None:
        """
        A poll is direct only if its waiter keeps the time: the readers of
        direct polls are closed all at once, and have no timers to clear.
        """
        self.assertEqual(len(self.fanout.wheel), 0)
        waiter = MemoryWaiter()
        waiter.direct = self.waiters[0].direct
        reader: PollReader[Any] = self.hub.openPoll(
            ANYONE, ["a"], since("now"), BytesShape(), waiter, 20.0
        )
        self.assertEqual((reader.direct, len(self.fanout.wheel)), (None, 1))
        self.publish("a")
        self.rest()
        self.assertEqual((len(waiter.outcomes), self.answered), (1, self.count))

    def test_drain(self) -> None:
        """
        Nobody goes down before all are answered, also where a message is of
        another server.
        """
        now(self.inner.publish([Publication(("a",), b"1")]))
        self.clock.turn()
        drained = self.hub.drain(10.0)
        self.assertNoResult(drained)
        self.rest()
        self.assertEqual(self.answered, self.count)
        self.successResultOf(drained)
