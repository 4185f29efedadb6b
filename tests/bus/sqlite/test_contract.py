"""
Tests for L{comet.bus.sqlite.bus}: the contract.
"""

from __future__ import annotations

from comet.bus.sqlite.bus import SQLiteBus
from comet.interfaces import IMessageBus
from comet.model.cursors import Cursor
from comet.testing.contract import BusContract
from tests.bus.sqlite.case import SQLiteCase


class SQLiteBusTests(SQLiteCase, BusContract):
    """
    L{SQLiteBus} keeps all promises of a bus.
    """

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

    async def settle(self, bus: IMessageBus) -> None:
        """
        Do nothing: listeners have heard when a publisher is answered, and reads
        are done in the order in which they were asked for.
        """
        await bus.read(["**"], Cursor(bus.end.epoch, 0), 1, 1, None)
