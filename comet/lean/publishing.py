"""
Publishing on the lean edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from comet.framing.publications import readBatch, readBody
from comet.http.request import RequestHead
from comet.http.responses import Headers
from comet.hub import Hub
from comet.lean.plans import HAND_OVER, NOTHING_TAKEN, ParsedRequest, Plan, RequestConnection
from comet.model.clients import Client

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
        length = request.headers.length
        if length is None or not length.isdigit() or len(length) > _MAX_DIGITS:
            return HAND_OVER
        count = int(length)
        if count > self.maxBody:
            return HAND_OVER
        hub, limits, isBatch = self.hub, self.hub.settings.limits, self.isBatch
        if not isBatch:
            # Before the body has come: a client that may not publish must not
            # make the server keep its body.
            hub.checkPublish(client, self.names)
        whole = size + count
        if len(connection.buffer) < whole:
            connection.awaitBody(whole)
            return NOTHING_TAKEN
        body = connection.buffer[size:whole]
        if isBatch:
            publications = readBatch(self._contentType, body, limits, client.name)
            for publication in publications:
                hub.checkPublish(client, publication.channels)
        else:
            publications = [
                readBody(
                    self.names, self._contentType, body, limits, self._event, self._key, client.name
                )
            ]
        connection.awaitStore()
        done = connection.batchStored if isBatch else connection.stored
        hub.storeChecked(publications, done, connection.notStored)
        return whole
