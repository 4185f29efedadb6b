"""
Requests on the lean edge that are answered once: polls, long polls, and JSONP.
"""

from __future__ import annotations

from comet.fanout.polls import PollReader
from comet.fanout.reader import openReader
from comet.fanout.states import State
from comet.framing.jsonp import checkCallback
from comet.http.contentcoding import chooseCoding
from comet.http.polls import HTTP1CallShape, HTTP1PollShape, PollResponseShape
from comet.hub.hub import Hub
from comet.lean.comebacks import Comeback
from comet.lean.plans import (
    NO_TAGS,
    Asked,
    ParsedHeaders,
    ParsedRequest,
    ReadPlan,
    RequestConnection,
)
from comet.model.clients import Client
from comet.transports.jsonp import checkPage
from comet.transports.poll import PollResource


class PollPlan(ReadPlan):
    """
    A plan of requests that are answered once.

    @ivar shape: The shape of the responses.

    @ivar wait: For how many seconds a poll may wait for a message.
    """

    __slots__ = ("comesBack", "shape", "wait")

    def __init__(self, hub: Hub, asked: Asked) -> None:
        super().__init__(hub, asked)
        self.shape = self.makeShape(asked)
        isLong = asked.request.transport != PollResource.transport
        self.wait = asked.request.wait if isLong else 0.0
        self.comesBack = self.wait > 0

    def makeShape(self, asked: Asked) -> HTTP1PollShape | HTTP1CallShape:
        """
        Make the shape of the responses.

        @raise CometError: If the request has to be refused.
        """
        request = asked.request
        coding = chooseCoding(asked.head, request.names, self.hub.settings.compression)
        body = PollResponseShape(request.limit, request.time, coding)
        return HTTP1PollShape(body, (1, 1), True, asked.ownHeaders)

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        shape, answered = self.shape, connection.answered
        connection.answered = None
        # Each plan has a shape of its own, so one with the same shape has asked for the same.
        if answered is not None and answered.shape is not shape:
            answered = None
        reader = self.hub.openPoll(
            client,
            self.names,
            request.since,
            shape,
            connection,
            self.wait,
            self.opener,
            connection,
            self.request.reader,
            None,
            answered,
        )
        if reader.state is State.CLOSED:
            if reader.wasShared and reader.direct is not None:
                connection.answered = reader
        else:
            connection.hold(reader, self.wait)
            if answered is not None and len(connection.buffer) == size:
                self._note(connection, request, client, reader)
        return size

    def _note(
        self,
        connection: RequestConnection,
        request: ParsedRequest,
        client: Client,
        reader: PollReader[bytes],
    ) -> None:
        """
        Note what was found out of a poll that has come back, for others with the same
        head, if there are others: they are held, or were answered together with it.
        """
        group, hub, point = reader.group, self.hub, self.joinPoint
        if (
            group is not None
            and point is not None
            and (group.members > 1 or group.lastTaken > 1)
            and reader.progress.cursor is hub.fanout.cursor
            and reader in group.direct
            and self.request.reader is None
            and not self.needsKey
            and hub.proxies is None
            and hub.mayRepeat(client, self.wait)
        ):
            edge = connection.edge
            noted = Comeback(request, client, group, reader, self.wait, point, edge.turn)
            edge.comebacks[connection.buffer] = noted


class CallPlan(PollPlan):
    """
    A plan of requests that are answered with a script.  Those for the same function
    get the same bytes.
    """

    __slots__ = ()

    def makeShape(self, asked: Asked) -> HTTP1CallShape:
        """
        See L{PollPlan.makeShape}.
        """
        callback = checkCallback(asked.head.parameters.get("callback", ""))
        checkPage(self.hub.origins, asked.head, asked.host)
        body = PollResponseShape(asked.request.limit, asked.request.time)
        return HTTP1CallShape(body, callback, asked.ownHeaders)

    def parsed(self, headers: ParsedHeaders, since: bytes | None) -> ParsedRequest:
        """
        See L{Plan.parsed<comet.lean.plans.Plan.parsed>}.  No response says that the
        client has it already.
        """
        plan, headers, start, _ = super().parsed(headers, since)
        return ParsedRequest(plan, headers, start, NO_TAGS)


class HistoryPlan(PollPlan):
    """
    A plan of polls that read before a cursor.
    """

    __slots__ = ()

    def __init__(self, hub: Hub, asked: Asked) -> None:
        super().__init__(hub, asked)
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
