"""
Publishing on the lean edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from comet.errors import CometError
from comet.framing.publications import BatchReader, readBatch, readBody
from comet.http.request import RequestHead
from comet.http.responses import Headers, problem
from comet.hub import Hub
from comet.lean.plans import HAND_OVER, NOTHING_TAKEN, ParsedRequest, Plan, RequestConnection
from comet.model.clients import Client
from comet.model.messages import Publication

# How many digits Content-Length may have.
_MAX_DIGITS: Final = 9


class PublishPlan(Plan):
    """
    A plan of requests that publish their body: as one payload to the names in
    the path, or as a batch of publications.

    @ivar isBatch: True if the body is a batch.

    @ivar maxBody: How many bytes the body may have.
    """

    hasBody = True
    checksOrigin = True

    __slots__ = ("_contentType", "_event", "_key", "isBatch", "maxBody")

    def __init__(
        self,
        hub: Hub,
        head: RequestHead,
        names: Sequence[str],
        ownHeaders: Headers,
        isBatch: bool,
        maxBody: int,
    ) -> None:
        super().__init__(hub, head, "publish", names, ownHeaders)
        self.isBatch = isBatch
        self.maxBody = maxBody
        self._contentType = head.header("Content-Type")
        self._event = head.header("Comet-Event")
        self._key = head.header("Idempotency-Key")

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        See L{Plan.begin<comet.lean.plans.Plan.begin>}.
        """
        count = self._length(request)
        if count is None:
            return HAND_OVER
        # Before the body has come: a client that may not publish must not make
        # the server keep its body.
        if self.isBatch:
            self.hub.checkPublisher(client)
        else:
            self.hub.checkPublish(client, self.names)
        whole = size + count
        if len(connection.buffer) < whole:
            upload = Upload(self, client, count)
            upload.check()
            connection.awaitBody(upload, size)
            return NOTHING_TAKEN
        self.store(connection, self.read(client, connection.buffer[size:whole]), count)
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
        length = request.headers.length
        if length is None or not length.isdigit() or len(length) > _MAX_DIGITS:
            return None
        count = int(length)
        return None if count > self.maxBody else count

    def read(self, client: Client, body: bytes) -> Sequence[Publication]:
        """
        Read a body that is whole.

        @raise CometError: If it is not valid, or the client may not publish a
            line of it.
        """
        hub, contentType = self.hub, self._contentType
        limits = hub.settings.limits
        if self.isBatch:
            check = partial(hub.checkPublish, client)
            return readBatch(contentType, body, limits, client.name, check)
        return [
            readBody(self.names, contentType, body, limits, self._event, self._key, client.name)
        ]

    def makeReader(self, client: Client) -> BatchReader | None:
        """
        Make what reads a body while it comes; L{None} if it is read once it is
        whole.
        """
        if not self.isBatch:
            return None
        hub = self.hub
        check = partial(hub.checkPublish, client)
        return BatchReader(self._contentType, hub.settings.limits, client.name, check)

    def store(
        self, connection: RequestConnection, publications: Sequence[Publication], size: int
    ) -> None:
        """
        Have publications stored, and the connection answer then.

        @param size: How many bytes the body has that they came in.
        """
        answer = connection.awaitStore(size)
        done = answer.batchStored if self.isBatch else answer.stored
        self.hub.bursts.add(publications, done, answer.notStored)


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
        publications = (
            plan.read(client, bytes(self._body)) if self._reader is None else self._reader.finish()
        )
        # The body may have taken minutes.
        for publication in publications:
            plan.hub.checkPublish(client, publication.channels)
        plan.store(connection, publications, self._size)

    def end(self) -> None:
        """
        The body is whole, or given up: count it no longer.
        """
        self._count.end()
