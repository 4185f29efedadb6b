"""
Polls and long polls on the lean edge.
"""

from __future__ import annotations

from comet.fanout.reader import openReader
from comet.fanout.states import State
from comet.http.polls import HTTP1PollShape, PollResponseShape
from comet.http.reads import ReadRequest
from comet.http.request import RequestHead
from comet.http.responses import Headers
from comet.hub import Hub
from comet.lean.plans import ParsedRequest, ReadPlan, RequestConnection
from comet.model.clients import Client
from comet.transports.longpoll import LongPollResource


class PollPlan(ReadPlan):
    """
    A plan of requests that are answered once.

    @ivar shape: The shape of the responses.

    @ivar wait: For how many seconds a poll may wait for a message.
    """

    __slots__ = ("shape", "wait")

    def __init__(
        self, hub: Hub, head: RequestHead, request: ReadRequest, ownHeaders: Headers
    ) -> None:
        super().__init__(hub, head, request, ownHeaders)
        body = PollResponseShape(request.limit, request.time)
        self.shape = HTTP1PollShape(body, (1, 1), True, ownHeaders)
        isLong = request.transport == LongPollResource.transport
        self.wait = request.wait if isLong else 0.0

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        reader = self.hub.openPoll(
            client, self.names, request.since, self.shape, connection, self.wait, self.opener
        )
        if reader.state is not State.CLOSED:
            connection.hold(reader, self.wait)
        return size


class HistoryPlan(PollPlan):
    """
    A plan of polls that read before a cursor.
    """

    __slots__ = ()

    def __init__(
        self, hub: Hub, head: RequestHead, request: ReadRequest, ownHeaders: Headers
    ) -> None:
        super().__init__(hub, head, request, ownHeaders)
        # Such a request is refused.
        self.takesSince = False
        # No two of them share where they start.
        self.opener = openReader

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        before = self.request.before
        assert before is not None, "a plan of polls that read after a start position"
        reader = self.hub.openHistory(client, self.names, before, self.shape, connection)
        if reader.state is not State.CLOSED:
            connection.hold(reader, 0.0)
        return size
