"""
Tests for L{comet.bus.redis.bus}: the contract.
"""

from __future__ import annotations

from typing import Any

from comet.bus.redis.bus import RedisBus
from comet.testing.bursting import BurstContract
from comet.testing.contract import BusContract
from comet.testing.joining import PresenceContract
from comet.testing.keeping import TABLE, StateContract, change, stateOf
from comet.testing.measuring import MeasuredContract
from comet.testing.retaining import ConfigurableContract
from tests.bus.memberbounds import MemberBoundsContract
from tests.bus.redis.case import LOSE, RedisCase, until

# Takes the end of the log away.
TRUNCATE = "redis.call('HSET', KEYS[1], 'head', '0') return 1"


class RedisBusTests(
    RedisCase,
    BusContract,
    BurstContract,
    ConfigurableContract,
    MeasuredContract,
    MemberBoundsContract,
    PresenceContract,
    StateContract,
):
    """
    L{comet.bus.redis.bus.RedisBus}, over a real Redis.
    """

    busType = RedisBus

    async def test_stateOfNewEpoch(self) -> None:
        """
        When the end of the log is lost, what is kept beside it is kept.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "k", None, 9)
        before = bus.end.epoch
        self.script(TRUNCATE)
        await until(lambda: bus.end.epoch != before)
        self.assertEqual(await stateOf(bus), {"k": b"1"})
        page = await bus.readState(TABLE, "", 9)
        self.assertEqual(page.cursor.epoch, bus.end.epoch)

    async def test_foreignState(self) -> None:
        """
        An entry that comet cannot have written is told of by its key, whatever it has
        become, and can be dropped; so is one that has lost its value.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "k", None, 99)
        for index, value in enumerate(("x", "1.5\n\n", "nan\n\n1", "1.5\ninf\n1", "1.5\n\n1")):
            key = f"{index}" if index < 4 else "x" * 129
            prefix = f"{self.url.prefix}k"
            self.server.ask("HSET", f"{prefix}:{TABLE}", key, value)
            self.server.ask("ZADD", f"{prefix}o:{TABLE}", "0", key)
        # Nothing but the payload is not the log's to judge.
        self.assertEqual(await stateOf(bus, 2), {"1": b"", "k": b"1"})
        self.server.ask("ZADD", f"{self.url.prefix}ko:{TABLE}", "0", "lost")
        page = await bus.readState(TABLE, "", 99)
        self.assertEqual(page.unreadable, ("0", "2", "3", "lost", "x" * 128))
        for key in ("0", "2", "3", "lost"):
            self.assertIs(await bus.dropState(change(b"0", "drop"), key), True, key)
        self.assertEqual((await bus.readState(TABLE, "", 99)).unreadable, ("x" * 128,))

    async def test_stateOfEmptied(self) -> None:
        """
        When Redis loses everything, it can be kept anew.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "k", None, 9)
        self.script(LOSE, self.url.prefix)
        self.assertEqual(await stateOf(bus), {})
        self.script(LOSE, self.url.prefix)
        await bus.putState(change(b"2"), "k", None, 9)
        self.assertEqual(await stateOf(bus), {"k": b"2"})

    async def expire(self, bus: Any) -> None:
        """
        Let the node do at once what it does at each beat.
        """
        await bus._nodeMembers.tend(bus._usable.connection)
