"""
Tests of L{comet.fanout.history}: polls of what was before a cursor.
"""

from __future__ import annotations

from comet.errors import Unavailable
from comet.fanout.polls import BUS_SECONDS, PollReader
from comet.fanout.states import State
from comet.fanout.unsent import CUT_BYTES
from comet.http.polls import Outcome
from comet.model.cursors import parseCursor
from comet.model.log import Retention
from comet.model.messages import Close
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import ANYONE, MemoryWaiter, OutcomeShape


class HistoryCase(HubTestCase):
    """
    Polls of the past of the channel C{a}.
    """

    retention = Retention(messages=3)

    def recall(self, before: str, limit: int = 50) -> tuple[MemoryWaiter, PollReader[Outcome]]:
        """
        Read before a cursor.
        """
        waiter = MemoryWaiter()
        cursor = parseCursor(before)
        reader = self.hub.openHistory(ANYONE, ["a"], cursor, OutcomeShape(limit), waiter)
        return waiter, reader

    def assertAnswered(
        self,
        waiter: MemoryWaiter,
        positions: list[int],
        *,
        more: bool = False,
        gap: bool = False,
    ) -> None:
        """
        Check what was answered.
        """
        outcome = waiter.outcome
        found = [message.position for message, isReplay in outcome.messages if not isReplay]
        self.assertEqual(found, positions)
        self.assertEqual((outcome.more, list(outcome.gap)), (more, ["a"] if gap else []))
        self.assertIsNone(outcome.close)


class AnswerTests(HistoryCase):
    """
    What is answered, and when.
    """

    def test_answersAtOnce(self) -> None:
        """
        The newest messages before the cursor are in the response before the call
        returns.  Its cursor is the one that was given.
        """
        self.publish("a", "b", "a", "a")
        waiter, reader = self.recall(self.cursor(4), 1)
        self.assertAnswered(waiter, [3], more=True)
        self.assertEqual(str(waiter.outcome.cursor), self.cursor(4))
        self.assertIs(reader.state, State.CLOSED)
        waiter, _ = self.recall(self.cursor(4))
        self.assertAnswered(waiter, [1, 3])

    def test_tellsGap(self) -> None:
        """
        The response with the oldest message that is held tells that older ones are
        gone, and so does one without messages.
        """
        self.publish(*["a"] * 5)
        waiter, _ = self.recall(self.cursor(5), 1)
        self.assertAnswered(waiter, [4], more=True)
        waiter, _ = self.recall(self.cursor(5))
        self.assertAnswered(waiter, [3, 4], gap=True)
        for cursor in (self.cursor(2), self.cursor(99), "other-1"):
            waiter, _ = self.recall(cursor)
            self.assertAnswered(waiter, [], gap=True)
            self.assertEqual(str(waiter.outcome.cursor), cursor)

    def test_answersEmpty(self) -> None:
        """
        A response without messages and gap has only the cursor.
        """
        self.publish("b", "a")
        for position in (0, 1, 2):
            waiter, _ = self.recall(self.cursor(position))
            self.assertEqual([str(each) for each in waiter.empty], [self.cursor(position)])

    def test_shortWhileMuchIsUnsent(self) -> None:
        """
        A response is short while other clients do not take theirs.
        """
        self.publish("a", "a", payload=b'"%b"' % (b"x" * (CUT_BYTES // 2)))
        self.fanout.unsent.add(self.fanout.unsent.most)
        waiter, _ = self.recall(self.cursor(2))
        self.assertAnswered(waiter, [1])
        self.publish("a")
        waiter, _ = self.recall(self.cursor(3))
        self.assertAnswered(waiter, [2], more=True)


class SlowTests(HistoryCase):
    """
    Over a bus that answers later.
    """

    isSlow = True

    def setUp(self) -> None:
        """
        Publish some messages.
        """
        super().setUp()
        self.publish("a", "a")
        self.rest()

    def test_sharesAnswers(self) -> None:
        """
        Equal requests are asked once of the bus, and each is answered.
        """
        waiters = [self.recall(self.cursor(2))[0] for _ in range(3)]
        other, _ = self.recall(self.cursor(2), 1)
        self.assertEqual(self.slow.asked["history"], 2)
        self.rest()
        for waiter in (*waiters, other):
            self.assertAnswered(waiter, [1])

    def test_interruptionChangesNothing(self) -> None:
        """
        A request that waits for the bus is answered although messages may have been
        missed meanwhile.
        """
        waiter, _ = self.recall(self.cursor(2))
        self.slow.cut()
        self.slow.mend()
        self.slow.hear()
        self.clock.settle()
        self.rest()
        self.assertAnswered(waiter, [1])

    def assertClosed(self, waiter: MemoryWaiter, code: str) -> None:
        """
        Check that a reader was sent away, with the cursor that it came with.
        """
        outcome = waiter.outcome
        assert outcome.close is not None
        self.assertEqual((outcome.close.code, str(outcome.cursor)), (code, self.cursor(2)))

    def test_busThatDoesNotAnswer(self) -> None:
        """
        A request is not held for long if the bus does not answer.
        """
        waiter, _ = self.recall(self.cursor(2))
        self.clock.advance(BUS_SECONDS - 0.5)
        self.assertFalse(waiter.isAnswered)
        self.clock.advance(1.0)
        self.assertClosed(waiter, "unavailable")

    def test_failedBus(self) -> None:
        """
        If the bus fails, the response tells why.
        """
        waiter, reader = self.recall(self.cursor(2))
        [operation] = self.slow.operations
        self.slow.operations.clear()
        operation.fail(Unavailable("the disk is full"))
        self.assertClosed(waiter, "unavailable")
        self.assertIs(reader.state, State.CLOSED)

    def test_closedBeforeAnswer(self) -> None:
        """
        A reader that was sent away, or whose client has left, is not answered
        again.
        """
        waiter, reader = self.recall(self.cursor(2))
        reader.close(Close("draining", "the server is going down", 2.0))
        gone, left = self.recall(self.cursor(2))
        left.ended()
        self.rest()
        self.assertClosed(waiter, "draining")
        self.assertFalse(gone.isAnswered)

    def test_drain(self) -> None:
        """
        A server that goes down sends such readers away, and takes no new ones.
        """
        waiter, _ = self.recall(self.cursor(2))
        self.hub.drain(1.0)
        self.assertClosed(waiter, "draining")
        self.assertRaises(Unavailable, self.recall, self.cursor(2))
        self.rest()
