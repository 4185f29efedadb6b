"""
The members of channels, as a bus of one node keeps them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Final, NamedTuple

from comet.framing.members import encodeMember
from comet.model.cursors import Cursor
from comet.model.presence import (
    JOIN,
    LEAVE,
    MOST_LISTED_BYTES,
    UPDATE,
    Holding,
    Member,
    MemberBounds,
    MemberPage,
    goneMember,
)

# Below how many places a list of members is not cut, nor is the heap of those in their
# grace.
_FEW: Final = 64


class MemberRecord:
    """
    A client in a channel.

    @ivar place: Where it stands in the list of its channel.

    @ivar grace: For how many seconds it stays without a connection.

    @ivar due: When its grace is over, in seconds of the clock of the table; L{None}
        while it has a connection.
    """

    __slots__ = ("channel", "client", "connections", "due", "grace", "info", "place", "since")

    def __init__(
        self, channel: ChannelMembers, client: str, info: bytes | None, since: float
    ) -> None:
        self.channel = channel
        self.client = client
        self.info = info
        self.since = since
        self.connections = 0
        self.grace = 0.0
        self.due: float | None = None
        self.place = 0


class Change(NamedTuple):
    """
    A change that has to be told.

    @ivar record: The member; one that has left is in its channel no more.

    @ivar event: C{join}, C{leave} or C{update}.

    @ivar payload: What is told of the member.
    """

    record: MemberRecord
    event: str
    payload: bytes


class ChannelMembers:
    """
    The members of one channel, in the order of their coming.

    @ivar name: The name of the channel.

    @ivar byName: The members by the names of their clients.

    @ivar anonymous: How many readers have no client name.

    @ivar changed: The position of the last message that told of a change.
    """

    __slots__ = ("_places", "anonymous", "byName", "changed", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.byName: dict[str, MemberRecord] = {}
        self.anonymous = 0
        self.changed = 0
        # A member that leaves only empties its place, so that a page begins at any
        # member without a search.  The list is cut when half of it is empty.
        self._places: list[MemberRecord | None] = []

    def add(self, record: MemberRecord) -> None:
        """
        Add the member that came last.
        """
        record.place = len(self._places)
        self._places.append(record)
        self.byName[record.client] = record

    def remove(self, record: MemberRecord) -> None:
        """
        Remove a member.
        """
        del self.byName[record.client]
        self._places[record.place] = None
        if len(self._places) > 2 * len(self.byName) + _FEW:
            # The dictionary has the same order: who leaves and comes again is new.
            self._places = list(self.byName.values())
            for place, each in enumerate(self.byName.values()):
                each.place = place

    def after(self, record: MemberRecord | None) -> Iterator[MemberRecord]:
        """
        The members that came after another one, or all.
        """
        start = 0 if record is None else record.place + 1
        # A slice by iteration would pass all places before.
        return (
            each
            for place in range(start, len(self._places))
            if (each := self._places[place]) is not None
        )


class MemberTable:
    """
    The members of all channels.

    What has to be told of a change is noted, and the caller takes and stores it: the
    table knows nothing of the log.
    """

    def __init__(self, bounds: MemberBounds | None = None) -> None:
        """
        @param bounds: How many members there may be.
        """
        self._bounds = MemberBounds() if bounds is None else bounds
        self._count = 0
        self._channels: dict[str, ChannelMembers] = {}
        self._changes: list[Change] = []
        # A heap of those in their grace, by its end.  An entry may be out of date: its
        # member has left, or has another end.
        self._due: list[tuple[float, int, MemberRecord]] = []
        self._waiting = 0
        self._numbers = count()

    def __bool__(self) -> bool:
        """
        Whether anything is kept.
        """
        return bool(self._channels)

    def takeChanges(self) -> list[Change]:
        """
        Return what has to be told since the last call.
        """
        changes, self._changes = self._changes, []
        return changes

    # -- Changes

    def set(self, holding: Holding, time: float, now: float) -> bool:
        """
        Take what the node has of a client.

        @param time: The time, in seconds since 1970.

        @param now: The time of the clock by which a grace ends, in seconds.

        @return: Whether there was room for it.
        """
        channel = self._channels.get(holding.channel)
        if channel is None:
            channel = self._channels[holding.channel] = ChannelMembers(holding.channel)
        isTaken = True
        if holding.client:
            isTaken = self._setMember(channel, holding, time, now)
        else:
            channel.anonymous = holding.connections
        self._forgetEmpty(channel)
        return isTaken

    def _setMember(
        self, channel: ChannelMembers, holding: Holding, time: float, now: float
    ) -> bool:
        record = channel.byName.get(holding.client)
        isGone = not holding.connections and not holding.grace
        if record is None:
            if isGone or not (holding.connections or holding.isTaken):
                return True
            if len(channel.byName) >= self._bounds.each or self._count >= self._bounds.inAll:
                return False
            record = MemberRecord(channel, holding.client, holding.info, time)
            self._add(channel, record)
            self._tell(record, JOIN)
        elif isGone:
            self._leave(record)
            return True
        elif holding.isTaken and record.info != holding.info:
            record.info = holding.info
            self._tell(record, UPDATE)
        before, record.connections = record.connections, holding.connections
        record.grace = holding.grace
        if record.connections:
            self._wait(record, None)
        elif before or holding.isTaken:
            self._wait(record, now + holding.grace)
        return True

    def restore(self, channel: str, member: Member, grace: float, now: float, changed: int) -> None:
        """
        Take a member that an earlier self of the bus had, without telling it.  It is
        in its grace from now on.

        @param changed: The position of the last message that told of the channel.
        """
        if channel not in self._channels:
            self._channels[channel] = ChannelMembers(channel)
            self._channels[channel].changed = changed
        channelMembers = self._channels[channel]
        record = MemberRecord(channelMembers, member.client, member.info, member.since)
        record.grace = grace
        self._add(channelMembers, record)
        self._wait(record, now + grace)

    def _add(self, channel: ChannelMembers, record: MemberRecord) -> None:
        channel.add(record)
        self._count += 1

    def _leave(self, record: MemberRecord) -> None:
        self._wait(record, None)
        record.channel.remove(record)
        self._count -= 1
        self._tell(record, LEAVE)

    def _tell(self, record: MemberRecord, event: str) -> None:
        self._changes.append(Change(record, event, encodeMember(record.client, record.info)))

    def _forgetEmpty(self, channel: ChannelMembers) -> None:
        if not channel.byName and not channel.anonymous:
            self._channels.pop(channel.name, None)

    # -- The grace

    def _wait(self, record: MemberRecord, due: float | None) -> None:
        """
        Let a member wait for the end of its grace, or no longer.
        """
        self._waiting += (due is not None) - (record.due is not None)
        record.due = due
        if due is not None:
            heapq.heappush(self._due, (due, next(self._numbers), record))
        if len(self._due) > 2 * self._waiting + _FEW:
            self._due = [entry for entry in self._due if entry[0] == entry[2].due]
            heapq.heapify(self._due)

    @property
    def nextDue(self) -> float | None:
        """
        When a grace is over next, in seconds of the clock; L{None} if no member is in
        its grace.
        """
        while self._due and self._due[0][0] != self._due[0][2].due:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def expire(self, most: int, now: float) -> None:
        """
        Let members leave whose grace is over.

        @param most: How many at most.
        """
        for _ in range(most):
            due = self.nextDue
            if due is None or due > now:
                break
            record = self._due[0][2]
            self._leave(record)
            self._forgetEmpty(record.channel)

    # -- Pages

    def page(
        self, name: str, after: str | None, limit: int, end: Cursor, changed: int
    ) -> MemberPage:
        """
        Tell who is in a channel.

        @param end: The end of the log.

        @param changed: The position of the last message that tells of the channel, if
            it has no member.

        @raise BadRequest: If C{after} is no member.
        """
        channel = self._channels.get(name) or ChannelMembers(name)
        start = None if after is None else channel.byName.get(after)
        if after is not None and start is None:
            raise goneMember(after)
        members: list[Member] = []
        size, more = 0, False
        for each in channel.after(start):
            more = len(members) >= limit or size >= MOST_LISTED_BYTES
            if more:
                break
            members.append(Member(each.client, each.info, each.connections, each.since))
            size += len(each.info or b"")
        return MemberPage(
            end,
            channel.changed if channel.byName else changed,
            len(channel.byName),
            channel.anonymous,
            members,
            more,
        )
