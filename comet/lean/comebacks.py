"""
Polls that come back together.

All long polls of a channel are answered with the same message.  Their clients ask again
at once, with equal heads, and many of these requests arrive in one turn of the reactor,
or in a few turns.  What the server found out as it held the first of them counts for all
that follow: which client it is, what it may read, and where its reader joins.

Nothing of that changes within a turn, unless code runs that is not comet's own: the edge
forgets all comebacks when it hands a connection to such code.  From one turn to the next
everything may change.  So the first poll of another turn finds out whether it has: what
it has to look at is a part of what a request that is not noted goes through.
"""

from __future__ import annotations

from typing import Final

from comet.errors import CometError
from comet.fanout.groups import Group
from comet.fanout.joinpoint import JoinPoint
from comet.fanout.polls import PollReader
from comet.hub.hub import Hub
from comet.lean.plans import ParsedRequest
from comet.model.clients import Client

# How many comebacks an edge keeps from one turn to the next.  In each turn there may be
# more.
MOST_KEPT: Final = 64


class Comeback:
    """
    What was found out as a poll was held, for other polls with the same head.

    @ivar request: The request.

    @ivar client: The client.

    @ivar group: The group in which the poll waits.

    @ivar wait: For how many seconds a poll may wait for a message.
    """

    __slots__ = (
        *("_cursor", "_joinPoint", "_known", "_most", "_shape", "_turn"),
        *("client", "group", "request", "wait"),
    )

    def __init__(
        self,
        request: ParsedRequest,
        client: Client,
        group: Group,
        reader: PollReader[bytes],
        wait: float,
        joinPoint: JoinPoint,
        turn: int,
    ) -> None:
        """
        @param reader: The reader of the held poll, which has joined its group at the
            cursor of the fan-out.

        @param joinPoint: Where the readers of such requests join.

        @param turn: The L{turn<comet.lean.edge.Edge.turn>} in which it has.
        """
        self.request = request
        self.wait = wait
        self.client = client
        self.group = group
        # Each plan has a shape of its own: readers of the same shape have asked for the same.
        self._shape = reader.shape
        self._cursor = reader.progress.cursor
        hub = request.plan.hub
        self._most = hub.mostReaders
        self._turn = turn
        self._joinPoint = joinPoint
        self._known = _knownOf(hub)

    def fits(self, reader: PollReader[bytes], turn: int) -> bool:
        """
        Tell whether a poll may L{join<PollReader.joinAgain>} like the noted one.

        @param reader: The reader of the last poll of its connection.

        @param turn: The turn of now.
        """
        fanout = self.request.plan.hub.fanout
        return (
            reader.shape is self._shape
            and ((turn == self._turn and fanout.cursor is self._cursor) or self._holds(turn))
            and fanout.isContinuous
            and not self.group.isRetired
            and len(fanout.readers) < self._most
        )

    def _holds(self, turn: int) -> bool:
        """
        Find out whether all of it counts in another turn, too.
        """
        hub = self.request.plan.hub
        cursor = hub.fanout.cursor
        if _knownOf(hub) != self._known or not self._isAllowed(hub):
            return False
        if self._joinPoint.find(hub.fanout, self.request.since.default) is not cursor:
            # The group was given a message meanwhile, or may have missed one.
            return False
        self._turn, self._cursor, self._most = turn, cursor, hub.mostReaders
        return True

    def _isAllowed(self, hub: Hub) -> bool:
        """
        Find out whether the client still is who it was, and may read on.
        """
        credential = self.request.plan.credential
        try:
            if credential is not None:
                clientOf = hub.clientOf
                if clientOf is None or clientOf(credential) is not self.client:
                    return False
            return hub.mayRepeat(self.client, self.wait)
        except CometError:
            # It is told as its request is refused.
            return False


def _knownOf(hub: Hub) -> tuple[object, ...]:
    """
    Return what says, beside the request itself, what a request means and which client
    may send it.
    """
    access = hub.access
    rights = getattr(access, "settings", None)
    return (access, rights, hub.settings, hub.origins, hub.proxies, hub.bus.end.epoch)
