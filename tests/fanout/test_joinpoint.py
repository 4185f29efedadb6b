"""
Tests of L{comet.fanout.joinpoint}: readers that begin where others are.
"""

from __future__ import annotations

from comet.fanout.joinpoint import JoinPoint
from comet.fanout.polls import PollReader
from comet.fanout.registry import LINGER
from comet.fanout.states import State
from comet.http.polls import Outcome
from comet.model.cursors import parseCursor
from comet.model.positions import At, Now, StartPosition, StartPositions
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import ANYONE, MemoryWaiter, OutcomeShape


class JoinPointTestCase(HubTestCase):
    """
    Polls of the channel C{a} that share a join point.
    """

    def setUp(self) -> None:
        """
        Make a join point.
        """
        super().setUp()
        self.joinPoint = JoinPoint(("a",))

    def waits(self, startPosition: StartPosition) -> tuple[MemoryWaiter, PollReader[Outcome]]:
        """
        Open a poll at the join point.
        """
        waiter = MemoryWaiter()
        reader = self.hub.openPoll(
            ANYONE,
            ("a",),
            StartPositions(startPosition),
            OutcomeShape(),
            waiter,
            20.0,
            self.joinPoint.open,
        )
        return waiter, reader

    def at(self, position: int) -> At:
        """
        A cursor as a start position.
        """
        return At(parseCursor(self.cursor(position)))

    def isKnown(self, startPosition: StartPosition) -> bool:
        """
        Whether a reader would go live at once.
        """
        return self.joinPoint.find(self.fanout, startPosition) is not None

    def assertHears(self, waiter: MemoryWaiter, *positions: int) -> None:
        """
        Assert that a waiter was answered with these messages; with none, that
        it was not answered.
        """
        self.assertEqual(waiter.isAnswered, bool(positions))
        if positions:
            found = [message.position for message, _ in waiter.outcome.messages]
            self.assertEqual(found, list(positions))


class JoinPointTests(JoinPointTestCase):
    """
    Join points over a bus that answers at once.
    """

    def test_learnsFromTheFirstReader(self) -> None:
        """
        After one reader was opened, readers may join at C{now}, and at a cursor from
        that of the reader to that of the fan-out, after which the group was given
        nothing.
        """
        self.assertFalse(self.isKnown(Now()))
        self.publish("a", "a")
        self.waits(Now())
        self.publish("b")
        self.clock.settle()
        self.assertTrue(self.isKnown(Now()))
        known = [self.isKnown(self.at(position)) for position in range(5)]
        self.assertEqual(known, [False, False, True, True, False])
        self.publish("a", "b")
        self.clock.settle()
        known = [self.isKnown(self.at(position)) for position in range(7)]
        self.assertEqual(known, [False, False, False, False, True, True, False])

    def test_comesBackBehindOthers(self) -> None:
        """
        A poll that comes back when other channels had messages reads nothing of the
        log, is told the newest cursor, and misses nothing.
        """
        first, _ = self.waits(Now())
        self.publish("a", "b", "b")
        self.clock.settle()
        self.assertHears(first, 1)
        self.patch(self.inner, "read", None)
        self.patch(self.inner, "resolve", None)
        second, reader = self.waits(self.at(1))
        self.assertIs(reader.state, State.LIVE)
        self.assertEqual(str(reader.position), self.cursor(3))
        reader.timedOut()
        self.assertEqual(str(second.outcome.cursor), self.cursor(3))
        third, _ = self.waits(self.at(1))
        self.publish("b", "a")
        # It is stored, and not yet flushed.
        fourth, _ = self.waits(self.at(2))
        self.clock.settle()
        self.assertHears(third, 5)
        self.assertHears(fourth, 5)

    def test_readsWhatWasStoredUnheard(self) -> None:
        """
        A message that was stored while there was no group is not missed by a
        reader whose cursor is before it, though others have come since.
        """
        self.waits(Now())
        self.publish("a")
        self.clock.settle()
        self.clock.advance(LINGER + 0.2)
        self.assertEqual(len(self.fanout.registry), 0)
        self.publish("a", "a")
        self.clock.settle()
        newest, _ = self.waits(Now())
        late, _ = self.waits(self.at(1))
        self.assertHears(newest)
        self.assertHears(late, 2, 3)
        self.publish("a")
        self.clock.settle()
        self.assertHears(newest, 4)
        self.assertTrue(self.isKnown(self.at(4)))

    def test_learnsAgainAfterRetiring(self) -> None:
        """
        After the group was retired, a join point has to learn of a new one.
        """
        _, reader = self.waits(Now())
        reader.ended()
        self.assertTrue(self.isKnown(Now()))
        self.clock.advance(LINGER + 0.2)
        self.assertFalse(self.isKnown(Now()))
        self.waits(Now())
        self.assertTrue(self.isKnown(Now()))

    def test_noJoinDuringAnInterruption(self) -> None:
        """
        After an interruption, no reader joins at the old cursor before the bus
        has reported again.
        """
        self.waits(Now())
        self.publish("a")
        self.clock.settle()
        self.assertTrue(self.isKnown(self.at(1)))
        self.fanout.interrupted()
        # A reader that comes before the tick is made to read again.
        between, _ = self.waits(self.at(1))
        self.clock.settle()
        self.assertFalse(self.isKnown(self.at(1)))
        self.publish("a")
        self.clock.settle()
        self.assertHears(between, 2)
        self.assertTrue(self.isKnown(self.at(2)))

    def test_noJoinFromBeforeAnInterruption(self) -> None:
        """
        Between a cursor and an interruption after it, messages may have been missed.
        """
        self.waits(Now())
        self.publish("b", "b")
        self.clock.settle()
        self.assertTrue(self.isKnown(self.at(1)))
        self.publish("a")
        self.fanout.interrupted()
        self.publish("b")
        self.clock.settle()
        known = [self.isKnown(self.at(position)) for position in range(6)]
        self.assertEqual(known, [False, False, False, False, True, False])
        late, _ = self.waits(self.at(2))
        self.assertHears(late, 3)

    def test_newEpoch(self) -> None:
        """
        In a new epoch no reader joins at an old cursor, and a reader that
        starts at C{now} gets what comes.
        """
        waiter, _ = self.waits(Now())
        self.publish("a")
        self.clock.settle()
        old = self.at(1)
        self.assertTrue(self.isKnown(old))
        self.inner.renew()
        between, _ = self.waits(Now())
        self.clock.settle()
        self.assertFalse(self.isKnown(old))
        after, _ = self.waits(Now())
        self.assertFalse(self.isKnown(self.at(0)))
        self.publish("a")
        self.clock.settle()
        for each in (between, after):
            self.assertHears(each, 1)
        self.assertHears(waiter, 1)
        # The others have read the log of the new epoch.
        self.assertTrue(self.isKnown(self.at(1)))

    def test_joinsBetweenTwoMessages(self) -> None:
        """
        A reader that joins between two messages of one turn gets only the
        second, whatever its start position.
        """
        _, reader = self.waits(Now())
        reader.ended()
        self.publish("a")
        between, _ = self.waits(Now())
        self.publish("a")
        self.clock.settle()
        self.assertHears(between, 2)

    def test_learnsNothingFromOthers(self) -> None:
        """
        A join point learns nothing from a reader that is closed or reads other
        names.
        """
        self.publish("a")
        self.clock.settle()
        _, reader = self.waits(self.at(0))
        self.assertIs(reader.state, State.CLOSED)
        self.assertFalse(self.isKnown(Now()))
        _, other = self.poll("b")
        self.joinPoint.learn(other, Now())
        self.assertFalse(self.isKnown(Now()))


class SlowJoinPointTests(JoinPointTestCase):
    """
    Join points over a bus that answers later.
    """

    isSlow = True

    def test_readsWhatWasStoredUnheard(self) -> None:
        """
        A message that was stored before the names were heard is read by a
        reader whose cursor is before it, though the fan-out has heard of
        nothing newer.
        """
        self.stream("b")
        self.rest()
        self.publish("b")
        self.rest()
        self.publish("a")
        self.rest()
        self.waits(self.at(2))
        self.rest()
        # The bus has just been asked for the same.
        self.waits(self.at(2))
        late, _ = self.waits(self.at(1))
        self.rest()
        self.assertHears(late, 2)

    def test_comesBackBehindOthers(self) -> None:
        """
        A poll that comes back asks the bus nothing, once the first of its group has read
        the log; and misses nothing.
        """
        first, _ = self.waits(Now())
        self.rest()
        self.publish("a", "b")
        self.rest()
        self.assertHears(first, 1)
        self.publish("b")
        self.rest()
        self.slow.beat()
        self.rest()
        asked = dict(self.slow.asked)
        second, reader = self.waits(self.at(1))
        self.assertIs(reader.state, State.LIVE)
        self.assertEqual(str(reader.position), self.cursor(3))
        self.assertEqual(self.slow.asked, asked)
        self.publish("a")
        # It is stored, and not heard.
        third, _ = self.waits(self.at(2))
        self.rest()
        self.assertHears(second, 4)
        self.assertHears(third, 4)

    def test_nowAlwaysAsks(self) -> None:
        """
        A bus that tells its log end later is asked for C{now} each time.
        """
        for _ in range(3):
            self.waits(Now())
            self.assertFalse(self.isKnown(Now()))
            self.rest()
            self.assertFalse(self.isKnown(Now()))
