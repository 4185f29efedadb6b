"""
Tests of polls: what is answered, when, and with which cursor.
"""

from __future__ import annotations

from comet.fanout.logquestions import FIRST_MESSAGES
from comet.fanout.polls import BUS_RETRY, BUS_SECONDS, PollReader
from comet.fanout.states import State
from comet.fanout.unsent import POLL_BYTES
from comet.http.polls import Outcome
from comet.model.clients import ANONYMOUS
from comet.model.messages import Close
from comet.reactor.timers import NOT_SET
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import MemoryWaiter, OutcomeShape

BIG = b'"' + b"x" * 300_000 + b'"'


def positions(waiter: MemoryWaiter) -> list[tuple[int, bool]]:
    """
    What was answered: positions, and whether replayed.
    """
    return [(message.position, replay) for message, replay in waiter.outcome.messages]


class ResponseTests(HubTestCase):
    """
    What the response to a poll has.
    """

    def test_answersHeldMessagesAtOnce(self) -> None:
        """
        Held messages are in the response before the call returns, with the
        cursor of the log end.
        """
        self.publish("a", "a", "b")
        waiter, reader = self.poll("a", begin=self.cursor(1))
        self.assertEqual(positions(waiter), [(2, False)])
        self.assertEqual((waiter.outcome.cursor.position, waiter.outcome.more), (3, False))
        self.assertIs(reader.state, State.CLOSED)

    def test_limitsMessages(self) -> None:
        """
        A response has at most as many messages as its shape allows, and says
        that there are more.
        """
        self.publish(*["a"] * 3)
        waiter, _ = self.poll("a", begin="earliest", shape=OutcomeShape(2))
        self.assertEqual(positions(waiter), [(1, False), (2, False)])
        self.assertEqual((waiter.outcome.cursor.position, waiter.outcome.more), (2, True))

    def test_largeInTwoParts(self) -> None:
        """
        The turn in which a client asks has time for a part of a large response: it is
        read on in another one, which does not cut it.
        """
        self.publish(*["a"] * 100)
        waiter, reader = self.poll("a", begin="earliest")
        self.assertEqual((waiter.outcomes, reader.state), ([], State.READING))
        self.clock.settle()
        self.assertEqual([place for place, _ in positions(waiter)], list(range(1, 101)))
        self.assertFalse(waiter.outcome.more)

    def test_partsOfTheBus(self) -> None:
        """
        A bus that answers with parts makes responses no shorter.
        """
        self.inner.part = 7
        self.publish(*["a"] * 100)
        for limit, more in ((50, True), (200, False)):
            waiter, _ = self.poll("a", begin="earliest", shape=OutcomeShape(limit))
            self.clock.settle()
            count = min(limit, 100)
            self.assertEqual([place for place, _ in positions(waiter)], list(range(1, count + 1)))
            self.assertEqual(waiter.outcome.more, more)

    def test_hurriedBetweenParts(self) -> None:
        """
        A poll that has to end between the two is answered with the first, and there is
        more.
        """
        self.publish(*["a"] * 100)
        waiter, reader = self.poll("a", begin="earliest")
        reader.hurry()
        self.assertEqual(len(waiter.outcome.messages), FIRST_MESSAGES)
        self.assertEqual(
            (waiter.outcome.cursor.position, waiter.outcome.more), (FIRST_MESSAGES, True)
        )
        self.clock.settle()

    def test_shortForBusyConnections(self) -> None:
        """
        A client that is behind on its connection by then gets the first part, and one
        message with which the reader goes on.
        """
        self.publish(*["a"] * 3, payload=BIG)
        waiter, _ = self.poll("a", begin="earliest")
        waiter.isBehind = True
        self.clock.settle()
        self.assertEqual(positions(waiter), [(1, False), (2, False)])
        self.assertTrue(waiter.outcome.more)

    def test_limitsBytes(self) -> None:
        """
        A response ends with the last message that is within L{POLL_BYTES}.
        """
        self.publish("a", "b", "a", "b", payload=BIG)
        waiter, _ = self.poll("*", begin="earliest")
        self.clock.settle()
        self.assertEqual(len(waiter.outcome.messages), 3)
        self.assertEqual((waiter.outcome.cursor.position, waiter.outcome.more), (3, True))
        self.assertLessEqual(len(BIG) * 3, POLL_BYTES)

    def test_waitsForTheNextMessage(self) -> None:
        """
        A poll without held messages waits for the next ones; its cursor is that
        of the whole turn.
        """
        waiter, _ = self.poll("a")
        self.clock.advance(10.0)
        self.assertFalse(waiter.isAnswered)
        self.publish("a", "b", "a", "b")
        self.clock.settle()
        self.assertEqual(positions(waiter), [(1, False), (3, False)])
        self.assertEqual(waiter.outcome.cursor.position, 4)

    def test_answersEmptyAfterItsTime(self) -> None:
        """
        A poll whose time is over is told its cursor.
        """
        waiter, _ = self.poll("a", wait=5.0)
        self.publish("b")
        self.clock.advance(4.8)
        self.assertFalse(waiter.isAnswered)
        self.clock.advance(0.3)
        self.assertEqual(waiter.empty, [self.inner.end])

    def test_answersAtOnceWithoutTime(self) -> None:
        """
        A poll without time is answered at once.
        """
        waiter, _ = self.poll("a", wait=0.0)
        self.assertEqual(waiter.empty, [self.inner.end])

    def test_cutsBurstsForHeldPolls(self) -> None:
        """
        A burst is cut for held polls, by the number of messages and by bytes.
        """
        few, _ = self.poll("a", shape=OutcomeShape(2))
        many, _ = self.poll("a")
        self.publish(*["a"] * 5, payload=BIG)
        self.clock.settle()
        self.assertEqual(len(few.outcome.messages), 2)
        self.assertEqual((few.outcome.cursor.position, few.outcome.more), (2, True))
        self.assertEqual(len(many.outcome.messages), 3)
        self.assertEqual((many.outcome.cursor.position, many.outcome.more), (3, True))

    def test_answersGapsAtOnce(self) -> None:
        """
        A gap is answered at once, with or without messages.
        """
        self.publish("a", "b")
        self.hub.forget(ANONYMOUS, ["a"])
        waiter, _ = self.poll("b", "a", begin=self.cursor(0))
        self.assertEqual((positions(waiter), waiter.outcome.gap), ([(2, False)], ["a"]))
        waiter, _ = self.poll("a", begin=self.cursor(0))
        self.assertEqual((positions(waiter), waiter.outcome.gap), ([], ["a"]))
        self.assertEqual(waiter.outcome.cursor.position, 2)

    def test_namesGapsOnce(self) -> None:
        """
        A name that loses messages again while a poll reads, also all of them to a new epoch,
        is named once.
        """
        for isNew, gap in ((False, ["a"]), (True, ["a", "b"])):
            begin = self.cursor(self.inner.end.position)
            self.publish("a", *["b"] * 100)
            self.hub.forget(ANONYMOUS, ["a"])
            waiter, _ = self.poll("b", "a", begin=begin)
            self.assertFalse(waiter.isAnswered)
            self.publish("a")
            self.hub.forget(ANONYMOUS, ["a"])
            if isNew:
                self.inner.renew()
                self.publish("b")
            self.clock.settle()
            self.assertEqual(waiter.outcome.gap, gap)

    def test_hurryAnswersOnce(self) -> None:
        """
        A held poll can be made to answer, and is answered once.
        """
        waiter, reader = self.poll("a")
        reader.hurry()
        reader.hurry()
        self.assertEqual(waiter.empty, [self.inner.end])

    def test_toldWhyItIsClosed(self) -> None:
        """
        The response to a poll that is closed has the reason.
        """
        waiter, reader = self.poll("a")
        close = Close("draining", "the server is going down", 2.0)
        reader.close(close)
        self.assertEqual((waiter.outcome.close, waiter.outcome.cursor), (close, self.inner.end))


class ReplayTests(HubTestCase):
    """
    Polls with names that start behind the others.
    """

    def test_replayThenTheRest(self) -> None:
        """
        Replayed messages come first and are flagged; the cursor is that of all
        names.
        """
        self.publish("a", "b", "a")
        waiter, _ = self.poll("a", "b", begin={"a": self.cursor(0), "b": self.cursor(2)})
        self.clock.settle()
        self.assertEqual(positions(waiter), [(1, True), (3, False)])
        self.assertEqual(waiter.outcome.cursor.position, 3)

    def test_cutWithinTheReplay(self) -> None:
        """
        A response that ends within a replay has the position of the replay as
        its cursor, so that its client misses nothing.
        """
        self.publish(*["a"] * 3, "b")
        begin = {"a": self.cursor(0), "b": self.cursor(4)}
        waiter, _ = self.poll("a", "b", begin=begin, shape=OutcomeShape(2))
        self.assertEqual(positions(waiter), [(1, True), (2, True)])
        self.assertEqual((waiter.outcome.cursor.position, waiter.outcome.more), (2, True))

    def test_emptyReplayWaits(self) -> None:
        """
        A poll whose replay has no messages waits.
        """
        self.publish("b", "b")
        waiter, reader = self.poll("a", "b", begin={"a": self.cursor(0), "b": self.cursor(2)})
        self.clock.settle()
        self.assertFalse(waiter.isAnswered)
        self.assertIs(reader.state, State.LIVE)


class SlowTests(HubTestCase):
    """
    Polls over a bus that answers later.
    """

    isSlow = True

    def test_timedOutWhileReading(self) -> None:
        """
        A poll whose time is over while it reads again is answered with what it
        has read.
        """
        self.publish(*["a"] * 3, "b")
        self.rest()
        waiter, reader = self.poll("a", "b", begin={"b": self.cursor(4)}, wait=20.0)
        self.rest()
        self.assertIs(reader.state, State.LIVE)
        self.slow.cut()
        self.slow.mend()
        self.slow.hear()
        self.clock.turn()
        self.assertIs(reader.state, State.READING)
        self.clock.advance(20.2)
        self.assertEqual(waiter.empty[0].position, 4)
        self.rest()

    def test_closedBeforeStart(self) -> None:
        """
        A poll that is closed before its names are resolved keeps the cursor
        that it came with.
        """
        self.publish("a", "a")
        self.rest()
        waiter, reader = self.poll("a", begin=self.cursor(1))
        reader.close(Close("draining", "the server is going down", 2.0))
        self.assertEqual(waiter.outcome.cursor.position, 1)
        self.rest()

    def test_timeRunsWhileTheBusIsSilent(self) -> None:
        """
        The time of a poll runs from its opening, also while the bus does not
        answer; its client gets back the cursor that it came with.
        """
        self.publish("a")
        self.rest()
        waiter, _ = self.poll("a", begin=self.cursor(0), wait=1.0)
        self.clock.advance(0.8)
        self.assertFalse(waiter.isAnswered)
        self.clock.advance(0.3)
        self.assertEqual([str(each) for each in waiter.empty], [self.cursor(0)])
        self.rest()

    def begun(self, state: State, wait: float = 20.0) -> tuple[MemoryWaiter, PollReader[Outcome]]:
        """
        Make a poll in a state, over a bus that answers no more; it starts at
        C{start}.
        """
        self.start = str(self.fanout.end())
        if state is State.READING:
            # Otherwise there would be nothing to read.
            self.clock.advance(10)
            self.publish("b")
            self.rest()
        waiter, reader = self.poll("a", begin=self.start, wait=wait)
        while reader.state is not state:
            self.slow.answer()
            self.clock.settle()
        return waiter, reader

    def test_answersWhenTheBusNeverDoes(self) -> None:
        """
        A poll over a bus that never answers is answered when its time is over,
        with the cursor that it came with.
        """
        self.publish("a")
        self.rest()
        for state in (State.OPENING, State.READING, State.LIVE):
            waiter, reader = self.begun(state, wait=5.0)
            self.clock.advance(4.8)
            self.assertFalse(waiter.isAnswered)
            self.clock.advance(0.4)
            self.assertEqual([str(each) for each in waiter.empty], [self.start])
            self.assertIs(reader.state, State.CLOSED)
            self.rest()
            self.assertEqual(len(self.fanout.readers), 0)

    def test_tellsThatTheBusNeverAnswers(self) -> None:
        """
        A poll that need not wait for a message waits for the bus no longer than
        L{BUS_SECONDS}.  Its client is told to come back, with the cursor that it
        came with, and nothing is left of the poll.
        """
        self.publish("a")
        self.rest()
        for state in (State.OPENING, State.READING):
            waiter, reader = self.begun(state, wait=0.0)
            self.clock.advance(BUS_SECONDS - 0.2)
            self.assertFalse(waiter.isAnswered)
            self.clock.advance(0.4)
            close = waiter.outcome.close
            assert close is not None
            self.assertEqual((close.code, close.retry), ("unavailable", BUS_RETRY))
            self.assertEqual(str(waiter.outcome.cursor), self.start)
            self.assertIs(reader.state, State.CLOSED)
            # The answer of the bus comes too late.
            self.rest()
            self.assertEqual(len(waiter.outcomes), 1)
            self.assertEqual(len(self.fanout.readers), 0)
            self.assertEqual(reader.timerSlot, NOT_SET)

    def test_noTimerIfTheBusAnswers(self) -> None:
        """
        A poll that need not wait for a message leaves no timer once it is
        answered.
        """
        self.publish("a")
        self.rest()
        waiter, reader = self.poll("a", begin="earliest", wait=0.0)
        self.assertNotEqual(reader.timerSlot, NOT_SET)
        self.rest()
        self.assertEqual(positions(waiter), [(1, False)])
        self.assertEqual(reader.timerSlot, NOT_SET)

    def test_hurryInAnyState(self) -> None:
        """
        A poll can be made to answer in any state; the client is told nothing of
        what the bus says then.
        """
        self.publish("a")
        self.rest()
        for wait in (20.0, 0.0):
            for state in (State.OPENING, State.READING, State.LIVE)[: 3 if wait else 2]:
                waiter, reader = self.begun(state, wait)
                for _ in range(2):
                    reader.hurry()
                self.assertEqual([str(each) for each in waiter.empty], [self.start])
                self.assertEqual((len(self.fanout.readers), len(waiter.outcomes)), (0, 0))
                self.rest()

    def test_hurryWithMessagesOrGap(self) -> None:
        """
        A poll that must answer early answers with what it has read, and says
        that there may be more; a gap alone is answered, too.
        """
        self.publish(*["a"] * 3, "b")
        self.rest()
        for end in ("hurry", "timedOut"):
            # Answers of before are not kept for so long.
            self.clock.advance(1)
            begin = {"a": self.cursor(0), "b": self.cursor(4)}
            waiter, reader = self.poll("a", "b", begin=begin)
            while reader.state is State.OPENING or self.slow.operations[0].kind != "read":
                self.slow.answer()
            self.slow.answer()
            self.clock.turn()
            self.assertFalse(waiter.isAnswered)
            getattr(reader, end)()
            self.assertEqual(positions(waiter), [(1, True), (2, True), (3, True)])
            self.assertTrue(waiter.outcome.more)
            self.assertEqual(waiter.outcome.cursor.position, 4)
            self.rest()
            waiter, reader = self.poll("a", begin="zzzzzz-7")
            while reader.state is State.OPENING:
                self.slow.answer()
            getattr(reader, end)()
            self.assertEqual((waiter.outcome.gap, waiter.outcome.more), (["a"], True))
            self.rest()
