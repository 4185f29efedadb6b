"""
A lease: of all nodes with one bus, one at a time does some work, from a cursor that is
kept in the bus.

How it works
============

The lease is an entry of a table that has room for one (see
L{IStateBus<comet.interfaces.statebus.IStateBus>}), under a key of its holder, for L{SECONDS} by the
bus's clock.  The holder puts it there anew before that time is over; another node finds the
table full until then.

To put it there is one step of the bus, which fails if another node's is there: so no two
nodes take the lease at once.

The cursor is kept in a second table, under the number of the holding and the key of the
holder.  Each holder takes a number above all that it finds there.  So it never overwrites
what another one has kept, even if it was stopped for a while and does not know yet that
another node has taken the lease.  Of all that is kept the next holder takes the cursor that
is farthest on: each of them is of work that was done.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from comet.errors import BadCursor, TooMany
from comet.framing.strictjson import encode
from comet.interfaces.statebus import IStateBus
from comet.model.cursors import Cursor, parseCursor
from comet.model.events import CURSORS, HOLDERS
from comet.model.messages import Publication
from comet.model.state import StateEntry

# For how many seconds a node holds a lease unless it renews it, and after how many it
# does.
SECONDS: Final = 15.0
RENEW: Final = 5.0

# How many numbers of holdings there may be, and how many are read at once.
_MOST: Final = 100


class LeaseLost(Exception):
    """
    Another node may do the work by now.
    """


class Lease:
    """
    The right of this node to do some work.

    @ivar cursor: How far the work has come; L{None} if it was never begun.  Only while the
        lease is held.
    """

    def __init__(self, bus: IStateBus, name: str, clock: IReactorTime) -> None:
        """
        @param name: The name of the work, which is that of no other.

        @param clock: Goes on while the process is stopped.
        """
        self._bus = bus
        self._holders = HOLDERS + name
        self._cursors = CURSORS + name
        self._clock = clock
        self._id = secrets.token_hex(8)
        # Until when the lease is held, by our clock.
        self._until = 0.0
        self._number = 0
        self.cursor: Cursor | None = None

    def isHeld(self, seconds: float = 0.0) -> bool:
        """
        Tell whether this node holds the lease for some seconds more.
        """
        return self._clock.seconds() + seconds < self._until

    async def take(self) -> bool:
        """
        Take the lease if no other node holds it, and find out how far the work has come.

        @return: Whether this node holds it now.

        @raise CometError: If the bus cannot tell.
        """
        self._until = 0.0
        if not await self._put():
            return False
        entries = await self._readCursors()
        self.cursor = _cursorOf(entries)
        self._number = 1 + max((_numberOf(each) for each in entries), default=0)
        if not self.isHeld():
            return False
        await self._keep()
        # What is under lower numbers is of no use any more.
        for each in entries:
            await self._bus.dropState(self._change(self._cursors, {}, "drop"), each.key)
        return self.isHeld()

    async def renew(self) -> bool:
        """
        Hold the lease for longer.

        @return: Whether this node still holds it.

        @raise CometError: If the bus cannot tell.
        """
        return self.isHeld() and await self._put()

    async def _put(self) -> bool:
        asked = self._clock.seconds()
        change = self._change(self._holders, {"holder": self._id}, "hold")
        try:
            await self._bus.putState(change, self._id, SECONDS, 1)
        except TooMany:
            self._until = 0.0
            return False
        # The bus counts from a moment after this one.
        self._until = asked + SECONDS
        return True

    async def save(self, cursor: Cursor) -> None:
        """
        Keep how far the work has come.

        @raise LeaseLost: If the lease is not held.

        @raise CometError: If that is not kept, or the bus cannot know.
        """
        if not self.isHeld():
            raise LeaseLost
        self.cursor = cursor
        await self._keep()

    async def _keep(self) -> None:
        cursor = None if self.cursor is None else str(self.cursor)
        change = self._change(self._cursors, {"cursor": cursor}, "keep")
        key = f"{self._number:016d}-{self._id}"
        await self._bus.putState(change, key, None, _MOST)

    async def release(self) -> None:
        """
        Let another node take the lease at once.

        @raise CometError: If the bus cannot be told; it ends by itself then.
        """
        if self.isHeld():
            self._until = 0.0
            await self._bus.dropState(self._change(self._holders, {}, "drop"), self._id)

    async def _readCursors(self) -> list[StateEntry]:
        found: list[StateEntry] = []
        after: str | None = ""
        while after is not None:
            page = await self._bus.readState(self._cursors, after, _MOST)
            found += page.entries
            after = page.rest
        return found

    def _change(self, table: str, data: dict[str, Any], event: str) -> Publication:
        return Publication((table,), encode(data), event, publisher="server")


def _numberOf(entry: StateEntry) -> int:
    """
    Return the number of the holding that has written an entry; 0 if none has.
    """
    number = entry.key.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _cursorOf(entries: list[StateEntry]) -> Cursor | None:
    """
    Return the cursor that is farthest on, in the epoch of the one under the highest number.
    """
    farthest: Cursor | None = None
    for entry in sorted(entries, key=_numberOf, reverse=True):
        try:
            cursor = parseCursor(json.loads(entry.payload)["cursor"])
        except (BadCursor, ValueError, KeyError, TypeError, AttributeError):
            continue
        # Positions of different epochs cannot be compared.
        if farthest is None or (
            cursor.epoch == farthest.epoch and cursor.position > farthest.position
        ):
            farthest = cursor
    return farthest
