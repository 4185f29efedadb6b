"""
Tests for L{comet.bus.sqlite.bus}: the clock of the system is set.
"""

from __future__ import annotations

from comet.bus.idempotency import KEY_SECONDS, KeyBudget
from comet.bus.sqlite.bus import SQLiteBus
from comet.model.log import Retention
from comet.testing.case import EPOCH_SECONDS, HOUR
from tests.bus.sqlite.case import TOTAL, SQLiteCase, publication, threads


class ClockTests(SQLiteCase):
    """
    A bus whose messages are dated by a clock that is set.

    @ivar ahead: By how much that clock was set forward, in seconds.
    """

    def setUp(self) -> None:
        """
        Set the clock right.
        """
        super().setUp()
        self.ahead = 0.0

    def newBus(
        self,
        path: str,
        retention: Retention | None = None,
        totalBytes: int = TOTAL,
        keyBudget: KeyBudget | None = None,
    ) -> SQLiteBus:
        """
        Make a bus by two clocks.
        """
        return SQLiteBus(
            path,
            self.clock,
            threads(),
            totalBytes=totalBytes,
            wallClock=lambda: EPOCH_SECONDS + self.clock.seconds() + self.ahead,
            connect=self.connect,
        )

    async def assertKeyIsKnown(self, ahead: float) -> None:
        """
        Assert that a key is known for its time when the clock is set meanwhile.

        @param ahead: By how much the clock is set forward, in seconds.
        """
        bus = await self.makeBus()
        again = [publication("a", key="k")]
        [first] = await bus.publish(again)
        self.ahead = ahead
        self.clock.advance(KEY_SECONDS - 1)
        self.assertEqual(await bus.publish(again), [first])
        self.clock.advance(1)
        [last] = await bus.publish(again)
        self.assertEqual((first.cursor.position, last.cursor.position), (1, 2))

    async def test_keyWhenSetBack(self) -> None:
        """
        An idempotency key is known for five minutes although the clock is set
        back by an hour.
        """
        await self.assertKeyIsKnown(-HOUR)

    async def test_keyWhenSetForward(self) -> None:
        """
        An idempotency key is known for five minutes although the clock is set
        forward by two hours.
        """
        await self.assertKeyIsKnown(2 * HOUR)
