"""
Polls that come back together.

All long polls of a channel are answered with the same message.  Their clients ask again
at once, with equal heads, and many of these requests arrive in one turn of the reactor.
What the server found out as it held the second of them counts for all that follow in
the turn: which client it is, what it may read, and where its reader joins.  Nothing of
that changes within a turn, unless code runs that is not comet's own.  The edge forgets
all comebacks when it hands a connection to such code, and when another turn begins.
"""

from __future__ import annotations

from comet.fanout.joinpoint import joinAt
from comet.fanout.polls import PollReader
from comet.fanout.states import State
from comet.lean.plans import ParsedRequest
from comet.model.clients import Client


class Comeback:
    """
    What was found out as a poll was held, for other polls with the same head.

    @ivar request: The request.

    @ivar wait: For how many seconds a poll may wait for a message.
    """

    __slots__ = ("_client", "_cursor", "_group", "_most", "_shape", "request", "wait")

    def __init__(
        self, request: ParsedRequest, client: Client, reader: PollReader[bytes], wait: float
    ) -> None:
        """
        @param reader: The reader of the held poll, which has joined its group at the
            cursor of the fan-out.
        """
        self.request = request
        self.wait = wait
        self._client = client
        self._group = reader.group
        # Each plan has a shape of its own: readers of the same shape have asked for the same.
        self._shape = reader.shape
        self._cursor = reader.progress.cursor
        self._most = request.plan.hub.mostReaders

    def fits(self, reader: PollReader[bytes]) -> bool:
        """
        Tell whether a poll may be held like the noted one.

        @param reader: The reader of the last poll of its connection.
        """
        hub, group = self.request.plan.hub, self._group
        fanout = hub.fanout
        return (
            group is not None
            and reader.shape is self._shape
            and fanout.cursor is self._cursor
            and not (group.isRetired or hub.bursts.added)
            and len(fanout.readers) < self._most
        )

    def join(self, reader: PollReader[bytes]) -> None:
        """
        Open a reader that L{fits}.
        """
        group = self._group
        assert group is not None, "the reader does not fit"
        reader.state = State.OPENING
        reader.client = self._client
        joinAt(reader, group, reader.progress.names, self._cursor)
