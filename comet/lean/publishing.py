"""
Publishing on the lean edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from sys import getsizeof
from typing import Final

from comet.errors import CometError
from comet.framing.batchreader import BatchReader, readBatch
from comet.framing.publications import PublicationReader, checkChannels
from comet.http.request import RequestHead
from comet.http.responses import Headers, problem
from comet.hub.hub import Hub
from comet.lean.plans import HAND_OVER, NOTHING_TAKEN, ParsedRequest, Plan, RequestConnection
from comet.model.clients import Client
from comet.model.messages import Publication


class PublishPlan(Plan):
    """
    A plan of requests that publish their body: as one payload to the names in
    the path, or as a batch of publications.

    @ivar isBatch: True if the body is a batch.

    @ivar maxBody: How many bytes the body may have.
    """

    hasBody = True
    checksOrigin = True

    __slots__ = ("_bodies", "_channels", "_contentType", "_isLike", "isBatch", "maxBody")

    def __init__(
        self,
        hub: Hub,
        head: RequestHead,
        names: Sequence[str],
        ownHeaders: Headers,
        isBatch: bool,
        maxBody: int,
    ) -> None:
        """
        @raise CometError: If the head is one with which nothing can be published.
            Twisted's edge tells it.
        """
        super().__init__(hub, head, "publish", names, ownHeaders)
        self.isBatch = isBatch
        # Whether all but the channels is another plan's, too.
        self._isLike = False
        self.maxBody = maxBody
        self._contentType = head.header("Content-Type")
        self._bodies: PublicationReader | None = None
        self._channels: tuple[str, ...] = ()
        if not isBatch:
            event, key = head.header("Comet-Event"), head.header("Idempotency-Key")
            limits, exclude = hub.settings.limits, head.header("Comet-Exclude")
            self._bodies = PublicationReader(self._contentType, limits, event, key, exclude)
            self._channels = checkChannels(names, limits)

    def to(self, names: Sequence[str]) -> PublishPlan:
        """
        Return the plan of requests that differ from these only in the channels in the
        path.

        @raise CometError: If nothing can be published to them.
        """
        other = PublishPlan.__new__(PublishPlan)
        for slot, value in zip(_SLOTS, _valuesOf(self), strict=True):
            setattr(other, slot, value)
        other.names = names
        other._channels = checkChannels(names, self.hub.settings.limits)
        other.isCached = False
        other._isLike = True
        return other

    def size(self, most: int) -> int:
        """
        See L{Plan.size<comet.lean.plans.Plan.size>}.
        """
        if not self._isLike:
            return super().size(most)
        # The rest is counted with the plan that this one was made like.  To count it
        # takes as long as to make the plan.
        names = self.names
        own = getsizeof(self) + getsizeof(names) + getsizeof(self._channels)
        return own + sum(map(getsizeof, names))

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        count = request.headers.length
        if count is None or not 0 <= count <= self.maxBody:
            return HAND_OVER
        # Before the body has come: a client that may not publish must not make
        # the server keep its body.
        if self.isBatch:
            self.hub.checkPublisher(client)
        else:
            self.hub.checkPublish(client, self.names)
        if self.hub.clientLimits.isLimitingPublishers:
            self.hub.clientLimits.checkPublish(client, connection)
        whole = size + count
        if len(connection.buffer) < whole:
            upload = Upload(self, client, count)
            upload.check()
            connection.awaitBody(upload, size)
            return NOTHING_TAKEN
        publications = self.read(client, connection.buffer[size:whole])
        self.store(connection, client, publications, count)
        return whole

    def mayFollow(self, request: ParsedRequest, come: int) -> bool:
        """
        See L{Plan.mayFollow<comet.lean.plans.Plan.mayFollow>}.
        """
        count = self._length(request)
        return count is not None and come >= count

    def refused(
        self, connection: RequestConnection, request: ParsedRequest, size: int, error: CometError
    ) -> int:
        """
        See L{Plan.refused<comet.lean.plans.Plan.refused>}.
        """
        count = self._length(request)
        if count is None:
            return HAND_OVER
        self.hub.fanout.tally.refused.add(error.code)
        come = len(connection.buffer)
        if come < size + count:
            connection.refuse(problem(error))
            return come
        connection.respond(problem(error))
        return size + count

    def _length(self, request: ParsedRequest) -> int | None:
        """
        @return: How many bytes the body has; L{None} if Twisted's edge is to
            answer.
        """
        count = request.headers.length
        return count if count is not None and 0 <= count <= self.maxBody else None

    def read(self, client: Client, body: bytes) -> Sequence[Publication]:
        """
        Read a body that is whole.

        @raise CometError: If it is not valid, or the client may not publish a
            line of it.
        """
        bodies = self._bodies
        if bodies is not None:
            return [bodies.read(self._channels, body, client.publisher)]
        hub = self.hub
        check = partial(hub.checkPublish, client)
        limits = hub.settings.limits
        return readBatch(self._contentType, body, limits, client.publisher, check)

    def makeReader(self, client: Client) -> BatchReader | None:
        """
        Make what reads a body while it comes; L{None} if it is read once it is
        whole.
        """
        if not self.isBatch:
            return None
        hub = self.hub
        check = partial(hub.checkPublish, client)
        return BatchReader(self._contentType, hub.settings.limits, client.publisher, check)

    def store(
        self,
        connection: RequestConnection,
        client: Client,
        publications: Sequence[Publication],
        size: int,
    ) -> None:
        """
        Have publications stored, and the connection answer then.

        @param size: How many bytes the body has that they came in.

        @raise TooMany: If the client may not publish so many now.
        """
        if self.hub.clientLimits.isLimitingPublishers:
            self.hub.limitPublish(client, publications, connection)
        request = connection.awaitStore(size, client.name, self.isBatch)
        hub = self.hub
        if hub.publishHook is None:
            request.publications = publications
            request.publisher = connection
            hub.bursts.addRequest(request)
        else:
            add = partial(hub.bursts.add, publisher=connection)
            done, failed = request.stored, request.notStored
            hub.publishHook.publish(client, connection, publications, add, done, failed)


# What a plan has, all of it.
_SLOTS: Final = (*Plan.__slots__, *PublishPlan.__slots__)
_valuesOf: Final = attrgetter(*_SLOTS)


class Upload:
    """
    The body of a request while it comes in pieces.

    @ivar plan: The plan of the request.

    @ivar left: How many bytes are still to come.
    """

    __slots__ = ("_body", "_client", "_count", "_reader", "_size", "left", "plan")

    def __init__(self, plan: PublishPlan, client: Client, size: int) -> None:
        """
        @param size: How many bytes the body has.
        """
        self.plan = plan
        self.left = self._size = size
        self._client = client
        self._reader = plan.makeReader(client)
        self._body = bytearray()
        self._count = plan.hub.uploads.begin(client)

    def check(self) -> None:
        """
        Check that there is room for the body, before it comes.

        @raise Unavailable: If there is none.
        """
        self._count.check(self.left)

    def received(self, data: bytes) -> None:
        """
        Read or keep a part of the body.

        @raise CometError: If the request has to be refused.
        """
        size = len(data)
        self._count.take(size)
        self.left -= size
        if self._reader is None:
            self._body += data
        else:
            self._reader.received(data)

    def store(self, connection: RequestConnection) -> None:
        """
        The body is whole: have it stored, and the connection answer then.

        @raise CometError: If it is not valid, or the client may no longer
            publish.
        """
        plan, client = self.plan, self._client
        # The body may have taken minutes.
        plan.hub.checkKnown(client)
        publications = (
            plan.read(client, bytes(self._body)) if self._reader is None else self._reader.finish()
        )
        for publication in publications:
            plan.hub.checkPublish(client, publication.channels)
        plan.store(connection, client, publications, self._size)

    def end(self) -> None:
        """
        The body is whole, or given up: count it no longer.
        """
        self._count.end()
