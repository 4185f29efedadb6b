"""
Whether a channel has readers, on all nodes.

All readers of a channel, those without a name and those that only poll included, are one
member of a channel of its own: C{$readers/chat/a} of C{chat/a}.  So what the buses promise
of members holds here, too: the first reader is told once over all nodes, and the last one
once it is gone for the grace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comet.model.clients import Client
from comet.model.events import MEMBER, readersChannel
from comet.presence.attendance import Attendance, Attendee


class Occupancy(Attendance):
    """
    Counts the readers of this node by channel, and tells the bus.
    """

    def channelsOf(self, names: Sequence[str]) -> tuple[str, ...]:
        """
        See L{Attendance.channelsOf}.
        """
        return tuple(filter(None, map(readersChannel, self.kept.of(names))))

    def nameOf(self, client: Client) -> str:
        """
        See L{Attendance.nameOf}: all readers are one member.
        """
        return MEMBER

    def infoOf(self, attendee: Attendee) -> bytes | None:
        """
        See L{Attendance.infoOf}.
        """
        return None

    def _attendee(self, channel: str, name: str) -> Attendee:
        """
        Return the attendee that changes now.  The bus need not know how many readers there
        are: it is told nothing while there are others.
        """
        attendee = self._attendees.get((channel, name))
        if attendee is not None and attendee.connections > 1:
            return attendee
        return super()._attendee(channel, name)

    def clientChanged(self, reader: Any) -> None:
        """
        See L{Attendance.clientChanged}: it stays the same reader.
        """
