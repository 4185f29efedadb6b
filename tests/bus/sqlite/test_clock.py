"""
Tests for L{comet.bus.sqlite.bus}: the clock of the system is set.
"""

from __future__ import annotations

from comet.bus.idempotency import KEY_SECONDS
from comet.bus.sqlite.bus import SQLiteBus
from comet.model.log import Retention
from tests.bus.case import EPOCH_SECONDS, HOUR
from tests.bus.sqlite.case import SQLiteCase, publication, threads


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

    async def makeSettable(self, name: str) -> SQLiteBus:
        """
        Make and start a bus.

        @param name: The name of its file.
        """
        bus = SQLiteBus(
            str(self.folder / name),
            self.clock,
            threads(),
            lambda channel: Retention(seconds=24 * HOUR),
            wallClock=lambda: EPOCH_SECONDS + self.clock.seconds() + self.ahead,
            connect=self.connect,
        )
        await bus.start()
        self.addCleanup(self.stop, bus)
        return bus

    async def put(self, bus: SQLiteBus) -> int:
        """
        Publish with a key.

        @return: The position of the message that has the key.
        """
        [answer] = await bus.publish([publication("a", key="k")])
        return answer.cursor.position

    async def test_keyIsKnownForItsTime(self) -> None:
        """
        An idempotency key is known for five minutes when the clock is set back
        or forward by hours.
        """
        for ahead in (2 * HOUR, -HOUR):
            bus = await self.makeSettable(f"{ahead:g}.db")
            self.assertEqual(await self.put(bus), 1)
            self.ahead = ahead
            self.clock.advance(KEY_SECONDS - 1)
            self.assertEqual(await self.put(bus), 1)
            self.clock.advance(1)
            self.assertEqual(await self.put(bus), 2)
            self.ahead = 0.0
