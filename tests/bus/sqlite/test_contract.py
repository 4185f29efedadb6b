"""
Tests for L{comet.bus.sqlite.bus}: the contract.
"""

from __future__ import annotations

from typing import Any

from comet.bus.sqlite.bus import SQLiteBus
from comet.interfaces.messagebus import IMessageBus
from comet.model.cursors import Cursor
from comet.testing.bursting import BurstContract
from comet.testing.contract import BusContract
from comet.testing.joining import PresenceContract
from comet.testing.keeping import StateContract
from comet.testing.measuring import MeasuredContract
from comet.testing.retaining import ConfigurableContract
from tests.bus.memberbounds import MemberBoundsContract
from tests.bus.sqlite.case import SQLiteCase


class SQLiteBusTests(
    SQLiteCase,
    BusContract,
    BurstContract,
    ConfigurableContract,
    MeasuredContract,
    MemberBoundsContract,
    PresenceContract,
    StateContract,
):
    """
    L{SQLiteBus} keeps all promises of a bus.
    """

    busType = SQLiteBus

    async def advance(self, seconds: float) -> None:
        """
        Advance the clock.
        """
        self.clock.advance(seconds)

    async def renew(self, bus: IMessageBus) -> None:
        """
        Renew the bus.
        """
        assert isinstance(bus, SQLiteBus)
        await bus.renew()

    async def expire(self, bus: Any) -> None:
        """
        Let the thread that writes go on until nothing is due.
        """
        await bus.membersOf("room", None, 0)
        self.clock.advance(0)
        await bus.setPresence([])

    async def settle(self, bus: IMessageBus) -> None:
        """
        Do nothing: listeners have heard when a publisher is answered, and reads
        are done in the order in which they were asked for.
        """
        await bus.read(["**"], Cursor(bus.end.epoch, 0), 1, 1, None)
