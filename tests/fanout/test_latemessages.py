"""
Tests of L{comet.fanout.latemessages}: what waits for messages that take long to write.
"""

from __future__ import annotations

from comet.fanout.busygroups import DIRECT_COST
from tests.fanout.test_busygroups import PartsCase


class LateMessagesTests(PartsCase):
    """
    Messages that are late in groups of streams.
    """

    def setUp(self) -> None:
        """
        Let the day's time follow the clock.
        """
        super().setUp()
        self.fanout.now = self.clock.seconds

    def test_answersOfALateBus(self) -> None:
        """
        A message that was stored by a bus that answers late is waited for once it was heard,
        and others are not.
        """
        streams = self.streams(2)
        self.publish("a")
        self.clock.turn()
        answered: list[int] = []
        self.fanout.whenFlushed(lambda: answered.append(0))
        self.assertEqual((answered, self.fanout.late.positions()), ([0], {1}))
        self.fanout.late.whenWritten({1}, lambda: answered.append(1))
        self.assertEqual(answered, [0])
        self.rest()
        self.assertEqual((answered, self.given(streams)), ([0, 1], [[1], [1]]))
        self.assertFalse(self.fanout.late.positions())

    def turn(self, seconds: float) -> None:
        """
        Let a turn begin later, and take its time.
        """
        self.clock.rightNow += seconds
        self.clock.turn()

    def counted(self) -> tuple[int, float]:
        """
        Of how many messages it is counted how long they took, and how long in all.
        """
        written = self.fanout.tally.written
        return written.count, written.total

    def test_measuresWhatIsWritten(self) -> None:
        """
        How long it took to write a message is counted once the last reader has it; that of
        others in the same tick at once.
        """
        self.streams(3)
        self.streams(1, "b")
        # Enough for the one, not for the three.
        self.fanout.parts.most = 2 * DIRECT_COST
        self.publish("b", "a", "b")
        self.turn(1.0)
        self.assertEqual(self.counted(), (2, 2.0))
        self.turn(1.0)
        self.assertEqual(self.counted(), (2, 2.0))
        self.turn(1.0)
        self.assertEqual(self.counted(), (3, 5.0))
        self.rest()
        self.assertEqual(self.counted(), (3, 5.0))

    def test_measuresWhatWaited(self) -> None:
        """
        A message that waits in the queue of a busy group counts once it is written, and
        each message once.
        """
        self.streams(2)
        self.streams(2, "b")
        self.publish("a")
        self.turn(1.0)
        self.publish("a", "b")
        self.turn(1.0)
        self.assertEqual(self.counted(), (1, 2.0))
        while len(self.fanout.parts):
            self.assertEqual(self.counted()[0], 1)
            self.turn(1.0)
        self.assertEqual(self.counted()[0], 3)
        self.rest()
        self.assertEqual(self.counted()[0], 3)
