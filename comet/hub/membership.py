"""
Which clients are in which channels, and what happens to channels, as far as an application
has that kept and told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from comet.errors import BadRequest, CometError, NotFound
from comet.events.teller import EventTeller, checkTells
from comet.fanout.reader import Reader
from comet.hub.readership import Readership
from comet.model.channels import parseChannel
from comet.model.clients import Client
from comet.model.presence import MOST_LISTED, MemberPage, presenceChannel
from comet.presence.attendance import Attendance, checkKeeps
from comet.presence.keptchannels import KeptChannels


class Membership(Readership):
    """
    Keeps presence, and tells of events, where an application wants that.

    @ivar attendance: Counts the readers of channels of which presence is kept; L{None}
        if it is kept of none: see L{keepPresence}.

    @ivar events: Tells on C{$events} of what happens to channels; L{None} if it is told of
        none: see L{tellEvents}.  As with L{control}, who starts the bus without
        L{CometService<comet.server.service.CometService>} calls its C{start} then.
    """

    attendance: Attendance | None = None
    events: EventTeller | None = None

    def keepPresence(
        self, channels: str | Sequence[str | tuple[str, bool]], grace: float = 10.0
    ) -> None:
        """
        Keep presence of some channels: know which clients read them, on all nodes, and
        tell of each that joins, leaves, or is shown anew, on the channel beside it whose
        name begins with C{$presence/}::

            hub.keepPresence(["chat/**"])

        It may be called again at any time.

        @param channels: Channels and patterns.  A pair of one and C{False} takes out what
            would match a later one.

        @param grace: For how many seconds a client stays a member once it has no reader.

        @raise ValueError: If the bus does not know who is in a channel; see
            L{IPresence<comet.interfaces.memberbus.IPresence>}.

        @raise BadChannel: If one of the names is not valid.
        """
        kept = _keptChannels(channels)
        attendance, fanout = self.attendance, self.fanout
        if attendance is None:
            if kept.isEmpty:
                return
            bus: Any = self.bus
            checkKeeps(bus)
            attendance = self.attendance = Attendance(bus, self.clock, kept, grace)
            self._countReaders()
        attendance.configure(kept, grace, list(fanout.readers))

    def tellEvents(
        self, channels: str | Sequence[str | tuple[str, bool]], grace: float = 10.0
    ) -> None:
        """
        Tell, on the channel C{$events}, of what happens to some channels: C{occupied} and
        C{vacated}, C{closed}, and C{join} and C{leave} where L{presence is kept
        <keepPresence>}, too::

            hub.tellEvents(["chat/**"])

        It may be called again at any time.

        @param channels: As for L{keepPresence}.

        @param grace: For how many seconds a channel is not vacant once it has no reader.

        @raise ValueError: If the bus does not know who is in a channel, or keeps no state;
            see L{IPresence<comet.interfaces.memberbus.IPresence>} and
            L{IStateBus<comet.interfaces.statebus.IStateBus>}.

        @raise BadChannel: If one of the names is not valid.
        """
        kept = _keptChannels(channels)
        events, fanout = self.events, self.fanout
        if events is None:
            if kept.isEmpty:
                return
            checkTells(self.bus)
            now: Callable[[], float] = self.leases.now
            events = self.events = EventTeller(self.bus, self.clock, now, kept, grace)
            self._countReaders()
            fanout.readerClosed = events.readerClosed
            if self.control.isStarted:
                events.start()
        events.configure(kept, grace, list(fanout.readers))

    def _countReaders(self) -> None:
        """
        Have the readers counted that come and go.
        """
        bus: Any = self.bus
        bus.attachPresence(self._presenceForgotten)
        self.fanout.namesChanged = self._namesChanged
        self.fanout.readerEnded = self._readerEnded

    def _namesChanged(self, reader: Reader) -> None:
        if self.attendance is not None:
            self.attendance.namesChanged(reader)
        if self.events is not None:
            self.events.occupancy.namesChanged(reader)

    def _presenceForgotten(self) -> None:
        if self.attendance is not None:
            self.attendance.forgotten()
        if self.events is not None:
            self.events.occupancy.forgotten()

    def members(
        self, channel: str, after: str | None = None, limit: int = MOST_LISTED
    ) -> Deferred[MemberPage]:
        """
        Find out who is in a channel, on all nodes.

        @param after: The name of the member after which to begin, or L{None} for all.

        @param limit: How many members to tell of at most: 0 to L{MOST_LISTED}.

        @return: Fires with the members in the order of their coming, and the cursor at
            which this is true: what the channel's C{$presence/} channel has after it is
            not in it.  Fails with L{NotFound<comet.errors.NotFound>} if presence of the
            channel is not kept, or with another L{CometError}.
        """

        def ask() -> Deferred[MemberPage]:
            attendance = self.attendance
            parseChannel(channel)
            if not 0 <= limit <= MOST_LISTED:
                raise BadRequest(f"limit is {limit}; 0 to {MOST_LISTED} is allowed")
            if attendance is None or channel not in attendance.kept:
                raise NotFound(f"presence of {channel[:64]!r} is not kept")
            bus: Any = self.bus
            # A client finds itself.  If the bus cannot be told, it fails to answer, too.
            said = attendance.said().addErrback(lambda failure: failure.trap(CometError))
            return said.addCallback(lambda _: bus.membersOf(channel, after, limit))

        return maybeDeferred(ask)

    def membersFor(
        self, client: Client, channel: str, after: str | None, limit: int
    ) -> Deferred[MemberPage]:
        """
        Find out who is in a channel, for a client, as L{members} does.  It needs what
        reading the channel needs that tells of the members.
        """

        def ask() -> Deferred[MemberPage]:
            # No name is left to tell of this one.
            told = presenceChannel(parseChannel(channel))
            if told:
                self.check(client, [told])
            return self.members(channel, after, limit)

        return maybeDeferred(ask)

    def clientChanged(self, reader: Reader, client: Client) -> None:
        """
        See L{Readership.clientChanged}.
        """
        super().clientChanged(reader, client)
        if self.attendance is not None:
            self.attendance.clientChanged(reader)

    def _readerEnded(self, reader: Reader) -> None:
        super()._readerEnded(reader)
        if self.attendance is not None:
            self.attendance.readerEnded(reader)
        if self.events is not None:
            self.events.readerEnded(reader)


def _keptChannels(channels: str | Sequence[str | tuple[str, bool]]) -> KeptChannels:
    """
    Read what an application names: see L{Membership.keepPresence}.
    """
    listed = [channels] if isinstance(channels, str) else channels
    return KeptChannels((each, True) if isinstance(each, str) else each for each in listed)
