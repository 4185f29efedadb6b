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
from comet.fanout.polldelivery import MOST_AT_ONCE
from comet.fanout.polls import PollReader
from comet.framing.budget import CompressionBudget
from comet.http.polls import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from tests.fanout.case import HubTestCase, since
from tests.fanout.doubles import ANYONE, MemoryWaiter
from tests.fanout.slowbus import now

ANSWER = b"answered"


class BacklogTests(SynchronousTestCase):
    """
    The order of calls, and how many are made in a turn.
    """

    def setUp(self) -> None:
        """
        Make an empty backlog.
        """
        self.backlog = Backlog()
        self.done: list[str] = []

    def add(self, name: str) -> None:
        """
        Add a call, as a part if its name begins with C{part}.
        """
        self.backlog.add(lambda: self.done.append(name), isPart=name.startswith("part"))

    def test_onePartATurn(self) -> None:
        """
        Calls are made in order; each turn ends before its second part.
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

    def test_logsFailuresAndGoesOn(self) -> None:
        """
        A call that fails is logged, and the others are made.
        """

        def fail() -> None:
            raise ZeroDivisionError

        self.backlog.add(fail, isPart=True)
        self.backlog.add(fail, isPart=False)
        self.add("a")
        self.backlog.go()
        self.assertEqual((self.done, len(self.backlog)), (["a"], 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_callsMayAddCalls(self) -> None:
        """
        A call that is added by another call comes after those that were there.
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
    The shape of responses that are all the same bytes.
    """

    limit: int = 100

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> bytes:
        """
        See L{PollShape.respond<comet.fanout.waiters.PollShape.respond>}.
        """
        return ANSWER


class Waiter:
    """
    Lets the fan-out send to its socket.
    """

    keepsTime = True
    isBehind = False

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
        See L{DirectWaiter}.  Never called, since all are answered together.
        """
        raise AssertionError("it is answered with the others")

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{DirectWaiter}.  Never called, since a message comes in time.
        """
        raise AssertionError("the message comes in time")

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


class DirectPollTests(HubTestCase):
    """
    A group of many direct polls.
    """

    count = 3 * MOST_AT_ONCE + 10

    def setUp(self) -> None:
        """
        Let many polls wait.
        """
        super().setUp()
        self.waiters = [self.wait() for _ in range(self.count)]
        self.rest()
        # After a flush, no reader counts as ahead of its group.
        self.publish("x")
        self.rest()

    def wait(self) -> Waiter:
        """
        Make one more poll that waits.
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
        How many of the first polls are answered.
        """
        return sum(waiter.answers for waiter in self.waiters)

    def test_othersBetween(self) -> None:
        """
        Publishers of other channels, with readers and without, are answered at once in the
        meantime; and so are those of the same channel, whose polls have left.
        """
        published = self.publish("a")
        self.clock.turn()
        for channel in ("b", "x", "a"):
            self.assertNoResult(published)
            other = self.publish(channel)
            if channel != "a":
                self.clock.turn()
                self.successResultOf(other)
        self.rest()
        self.successResultOf(published)
        self.successResultOf(other)

    def test_othersOfTheTickBetween(self) -> None:
        """
        Of what is published in one turn, only publishers of messages that polls get wait.
        """
        published = [self.publish(*names) for names in (["b"], ["a"], ["b", "a"], ["c"])]
        self.clock.turn()
        self.assertEqual([each.called for each in published], [True, False, False, True])
        self.assertEqual(self.fanout.late.positions(), {3, 5})
        self.rest()
        self.assertEqual([now(each) for each in published], [[2], [3], [4, 5], [6]])
        self.assertEqual(self.answered, self.count)
        self.assertFalse(self.fanout.late.positions())

    def test_answersSomeInEachTurn(self) -> None:
        """
        Each turn answers at most L{MOST_AT_ONCE} polls, each once; the
        publisher is answered after all of them.
        """
        published = self.publish("a")
        for expected in (MOST_AT_ONCE, 2 * MOST_AT_ONCE, 3 * MOST_AT_ONCE):
            self.clock.turn()
            self.assertEqual(self.answered, expected)
            self.assertNoResult(published)
        self.clock.turn()
        self.assertEqual(self.successResultOf(published), [2])
        self.assertEqual({waiter.answers for waiter in self.waiters}, {1})
        for waiter in self.waiters:
            self.assertEqual(waiter.far.recv(100), ANSWER)

    def test_measuresTheLastAnswer(self) -> None:
        """
        How long it took to write a message counts once all polls that get it are answered.
        """
        self.fanout.now = self.clock.seconds
        written = self.fanout.tally.written
        before = written.count
        self.publish("a")
        while self.answered < self.count:
            self.assertEqual(written.count, before)
            self.clock.turn()
        self.assertEqual(written.count, before + 1)

    def test_answeredPollMayComeBack(self) -> None:
        """
        A client whose poll was answered may poll again before the others are
        answered, and gets the next message.
        """
        self.publish("a")
        self.clock.turn()
        again = self.wait()
        second = self.publish("a")
        self.rest()
        self.assertEqual(again.answers, 1)
        self.assertEqual(self.successResultOf(second), [3])
        self.assertEqual({waiter.answers for waiter in self.waiters}, {1})

    def test_lostClientsHarmNoOthers(self) -> None:
        """
        A client that leaves before its part is sent does no harm to the others.
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

    def test_drainsAfterTheBacklog(self) -> None:
        """
        The server drains only after all polls are answered, also if the message
        came from another node.
        """
        now(self.inner.publish([Publication(("a",), b"1")]))
        self.clock.turn()
        drained = self.hub.drain(10.0)
        self.assertNoResult(drained)
        self.rest()
        self.assertEqual(self.answered, self.count)
        self.successResultOf(drained)
