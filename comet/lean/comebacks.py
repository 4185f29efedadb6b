"""
Polls that come back together.

All long polls of a channel are answered with the same message.  Their clients ask again
at once, with equal heads, and many of these requests arrive in one turn of the reactor.
What the server found out as it held the first of them counts for all that follow in
the turn: which client it is, what it may read, and where its reader joins.  Nothing of
that changes within a turn, unless code runs that is not comet's own.  The edge forgets
all comebacks when it hands a connection to such code, and when another turn begins.
"""

from __future__ import annotations

from comet.fanout.groups import Group
from comet.fanout.polls import PollReader
from comet.lean.plans import ParsedRequest
from comet.model.clients import Client


class Comeback:
    """
    What was found out as a poll was held, for other polls with the same head.

    @ivar request: The request.

    @ivar client: The client.

    @ivar group: The group in which the poll waits.

    @ivar wait: For how many seconds a poll may wait for a message.
    """

    __slots__ = ("_cursor", "_most", "_shape", "client", "group", "request", "wait")

    def __init__(
        self,
        request: ParsedRequest,
        client: Client,
        group: Group,
        reader: PollReader[bytes],
        wait: float,
    ) -> None:
        """
        @param reader: The reader of the held poll, which has joined its group at the
            cursor of the fan-out.
        """
        self.request = request
        self.wait = wait
        self.client = client
        self.group = group
        # Each plan has a shape of its own: readers of the same shape have asked for the same.
        self._shape = reader.shape
        self._cursor = reader.progress.cursor
        self._most = request.plan.hub.mostReaders

    def fits(self, reader: PollReader[bytes]) -> bool:
        """
        Tell whether a poll may L{join<PollReader.joinAgain>} like the noted one.

        @param reader: The reader of the last poll of its connection.
        """
        hub = self.request.plan.hub
        fanout = hub.fanout
        return (
            reader.shape is self._shape
            and fanout.cursor is self._cursor
            and fanout.isContinuous
            and not (self.group.isRetired or hub.bursts.added)
            and len(fanout.readers) < self._most
        )
