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


class SpotTestCase(HubTestCase):
    """
    Polls of the channel C{a} that all ask in the same way.
    """

    def setUp(self) -> None:
        """
        Have a spot.
        """
        super().setUp()
        self.joinPoint = JoinPoint(("a",))

    def waits(self, startPosition: StartPosition) -> tuple[MemoryWaiter, PollReader[Outcome]]:
        """
        A poll that waits, if there is nothing for it.
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
        A place to begin at.
        """
        return At(parseCursor(self.cursor(position)))

    def isKnown(self, startPosition: StartPosition) -> bool:
        """
        Whether a reader would begin at the spot.
        """
        return self.joinPoint.find(self.fanout, startPosition) is not None

    def assertHears(self, waiter: MemoryWaiter, *positions: int) -> None:
        """
        It was answered with these messages, or is not answered where there
        are none.
        """
        self.assertEqual(waiter.isAnswered, bool(positions))
        if positions:
            found = [message.position for message, _ in waiter.outcome.messages]
            self.assertEqual(found, list(positions))


class SpotTests(SpotTestCase):
    """
    Over a bus that answers at once.
    """

    def test_learned(self) -> None:
        """
        It is known where all are once one has begun: at the newest message, or
        at the cursor of those who wait; nowhere else.
        """
        self.assertFalse(self.isKnown(Now()))
        self.publish("a", "a")
        self.waits(Now())
        self.publish("b")
        self.clock.settle()
        self.assertTrue(self.isKnown(Now()))
        known = [self.isKnown(self.at(position)) for position in range(5)]
        self.assertEqual(known, [False, False, False, True, False])

    def test_storedUnheard(self) -> None:
        """
        What was stored while nobody read is not missed by who comes back to
        where the last of them were, after others have come.
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

    def test_retired(self) -> None:
        """
        Once nobody has been there for long enough, it has to be found again.
        """
        _, reader = self.waits(Now())
        reader.ended()
        self.assertTrue(self.isKnown(Now()))
        self.clock.advance(LINGER + 0.2)
        self.assertFalse(self.isKnown(Now()))
        self.waits(Now())
        self.assertTrue(self.isKnown(Now()))

    def test_unsure(self) -> None:
        """
        Where something may have been missed, nobody begins at the old cursor
        before it is known what is heard.
        """
        self.waits(Now())
        self.publish("a")
        self.clock.settle()
        self.assertTrue(self.isKnown(self.at(1)))
        self.fanout.interrupted()
        # Whoever comes before that is dealt with is asked to read again.
        between, _ = self.waits(self.at(1))
        self.clock.settle()
        self.assertFalse(self.isKnown(self.at(1)))
        self.publish("a")
        self.clock.settle()
        self.assertHears(between, 2)
        self.assertTrue(self.isKnown(self.at(2)))

    def test_epoch(self) -> None:
        """
        In a new epoch nobody begins at an old cursor; and who begins now hears
        what comes.
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
        # It is found anew, in the new epoch.
        self.assertFalse(self.isKnown(self.at(1)))
        self.waits(self.at(1))
        self.assertTrue(self.isKnown(self.at(1)))

    def test_pending(self) -> None:
        """
        Who begins between two messages of one turn gets the second only,
        wherever it began.
        """
        _, reader = self.waits(Now())
        reader.ended()
        self.publish("a")
        between, _ = self.waits(Now())
        self.publish("a")
        self.clock.settle()
        self.assertHears(between, 2)

    def test_others(self) -> None:
        """
        From one that has ended, or reads other names, nothing is learned.
        """
        self.publish("a")
        self.clock.settle()
        _, reader = self.waits(self.at(0))
        self.assertIs(reader.state, State.CLOSED)
        self.assertFalse(self.isKnown(Now()))
        _, other = self.poll("b")
        self.joinPoint.learn(other, Now())
        self.assertFalse(self.isKnown(Now()))


class SlowSpotTests(SpotTestCase):
    """
    Over a bus that answers later.
    """

    isSlow = True

    def test_storedUnheard(self) -> None:
        """
        What was stored before the names were heard is read by who begins
        before it, also where the fan-out has heard of nothing newer.
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

    def test_now(self) -> None:
        """
        Where the newest message is has to be asked each time.
        """
        for _ in range(3):
            self.waits(Now())
            self.assertFalse(self.isKnown(Now()))
            self.rest()
            self.assertFalse(self.isKnown(Now()))
