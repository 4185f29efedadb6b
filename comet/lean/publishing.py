"""
Publishing on the lean edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from comet.framing.publications import readBatch, readBody
from comet.lean.plans import Asked
from comet.model.clients import Client

if TYPE_CHECKING:
    from comet.lean.http import RequestWire

# How many digits the length of a body has at most.
_DIGITS: Final = 9


def beginPublish(wire: RequestWire, asked: Asked, client: Client, size: int) -> bool:
    """
    Publish what a request says, if all of it is there.

    @param size: How many bytes the head of the request has.

    @return: Whether there may be another request.

    @raise CometError: If it cannot be; nothing has happened then.
    """
    edge, plan, length = wire.edge, asked.plan, asked.known.length
    if length is None or not length.isdigit() or len(length) > _DIGITS:
        wire.hand()
        return False
    count = int(length)
    isBatch = plan.kind == "batch"
    if count > plan.mostBody:
        wire.hand()
        return False
    hub, limits = edge.hub, edge.hub.settings.limits
    if not isBatch:
        hub.checkPublish(client, plan.names)
    if len(wire.buffer) < size + count:
        wire.need(size + count)
        return False
    body = wire.buffer[size : size + count]
    contentType, event, key = plan.described
    if isBatch:
        publications = readBatch(contentType, body, limits, client.name)
        for publication in publications:
            hub.checkPublish(client, publication.channels)
    else:
        publications = [readBody(plan.names, contentType, body, limits, event, key, client.name)]
    wire.hold(plan)
    wire.take(plan, size, count)
    hub.storeChecked(publications, wire.batchStored if isBatch else wire.stored, wire.failed)
    return True
