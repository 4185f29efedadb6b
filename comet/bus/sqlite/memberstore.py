"""
The members of channels, as the bus in a database knows them: in memory, and in a table
that outlives the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from comet.bus.membertable import MemberTable
from comet.bus.sqlite.store import Store, Stored
from comet.model.presence import Holding, MemberBounds, MemberPage, presenceChannel


class MembersSet(NamedTuple):
    """
    What became of a change of members.

    @ivar refused: What was said of clients for which there was no room.

    @ivar stored: The messages that tell of the change.

    @ivar nextDue: When a member has to leave next, by L{Store.steadyTime}; L{None} if
        none has to.
    """

    refused: Sequence[Holding]
    stored: Stored
    nextDue: float | None


class MemberStore:
    """
    Changes the members, and tells them.  It is used from the thread of the store.
    """

    def __init__(self, store: Store, bounds: MemberBounds | None = None) -> None:
        """
        @param bounds: How many members there may be.
        """
        self._store = store
        self._bounds = bounds
        # Those of the database; None if it is not known what is there.
        self._table: MemberTable | None = None
        self._epoch = ""

    def set(self, holdings: Sequence[Holding], now: float) -> MembersSet:
        """
        Take what there is of some clients, in order.

        @param now: The time, in seconds since 1970.

        @raise Unavailable: If nothing of it counts: what was said before is forgotten
            then, too, but for who was there.

        @raise Unknown: If the outcome cannot be known.  The same is forgotten.
        """
        table, clock = self._known(now)
        refused = [each for each in holdings if not table.set(each, now, clock)]
        return self._save(table, refused, now)

    def expire(self, most: int, now: float) -> MembersSet:
        """
        Let members leave whose grace is over.

        @param most: How many at most.

        @raise CometError: As L{set} does.
        """
        table, clock = self._known(now)
        table.expire(most, clock)
        return self._save(table, (), now)

    def page(self, channel: str, after: str | None, limit: int, now: float) -> MemberPage:
        """
        See L{comet.interfaces.memberbus.IPresence.membersOf}.

        @raise sqlite3.Error: If the database cannot be read.
        """
        table, _ = self._known(now)
        newest = self._store.newestOf(presenceChannel(channel))
        return table.page(channel, after, limit, self._store.end, newest)

    def forget(self) -> None:
        """
        Read the members from the database when they are asked for next.
        """
        self._table = None

    def _known(self, now: float) -> tuple[MemberTable, float]:
        """
        Return the members, and the time of their clock.
        """
        if self._table is None or self._epoch != self._store.end.epoch:
            self._table = self._store.loadMembers(now, self._bounds)
            self._epoch = self._store.end.epoch
        return self._table, self._store.steadyTime(now)

    def _save(self, table: MemberTable, refused: Sequence[Holding], now: float) -> MembersSet:
        """
        Store what has changed, and the messages that tell of it, in one transaction.
        """
        changes = table.takeChanges()
        if not changes:
            return MembersSet(refused, Stored((), (), self._store.end), table.nextDue)
        # If this fails, the table is ahead of the database.
        self._table = None
        stored = self._store.alter(lambda each: each.changeMembers(changes), now).stored
        for change, message in zip(changes, stored.messages, strict=True):
            change.record.channel.changed = message.position
        self._table = table
        return MembersSet(refused, stored, table.nextDue)
