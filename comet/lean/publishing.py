"""
Publishing on the lean edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from comet.framing.publications import readBatch, readBody
from comet.lean.plans import ParsedRequest
from comet.model.clients import Client

if TYPE_CHECKING:
    from comet.lean.http import HTTPConnection

# How many digits the length of a body has at most.
_DIGITS: Final = 9


def beginPublish(
    connection: HTTPConnection, asked: ParsedRequest, client: Client, size: int
) -> bool:
    """
    Publish what a request says, if all of it is there.

    @param size: How many bytes the head of the request has.

    @return: Whether there may be another request.

    @raise CometError: If it cannot be; nothing has happened then.
    """
    edge, plan, length = connection.edge, asked.plan, asked.known.length
    if length is None or not length.isdigit() or len(length) > _DIGITS:
        connection.hand()
        return False
    count = int(length)
    isBatch = plan.kind == "batch"
    if count > plan.mostBody:
        connection.hand()
        return False
    hub, limits = edge.hub, edge.hub.settings.limits
    if not isBatch:
        hub.checkPublish(client, plan.names)
    if len(connection.buffer) < size + count:
        connection.need(size + count)
        return False
    body = connection.buffer[size : size + count]
    contentType, event, key = plan.described
    if isBatch:
        publications = readBatch(contentType, body, limits, client.name)
        for publication in publications:
            hub.checkPublish(client, publication.channels)
    else:
        publications = [readBody(plan.names, contentType, body, limits, event, key, client.name)]
    connection.hold(plan)
    connection.take(plan, size, count)
    hub.storeChecked(
        publications, connection.batchStored if isBatch else connection.stored, connection.failed
    )
    return True
