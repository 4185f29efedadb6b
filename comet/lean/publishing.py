"""
Publishing on the lean edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from comet.answers import batchAnswer, publishedAnswer
from comet.lean.plans import Known, Plan
from comet.publishing import readBatch, readBody

if TYPE_CHECKING:
    from comet.lean.requests import RequestWire

# How many digits the length of a body has at most.
_DIGITS: Final = 9


def beginPublish(wire: RequestWire, plan: Plan, known: Known, size: int) -> bool:
    """
    Publish what a request says, if all of it is there.

    @param size: How many bytes the head of the request has.

    @return: Whether there may be another request.

    @raise CometError: If it cannot be; nothing has happened then.
    """
    edge, length = wire.edge, known.length
    if length is None or not length.isdigit() or len(length) > _DIGITS:
        wire.hand()
        return False
    count = int(length)
    isBatch = plan.kind == "batch"
    if count > edge.tree.mostBody(isBatch):
        wire.hand()
        return False
    if len(wire.buffer) < size + count:
        wire.need(size + count)
        return False
    hub, head, limits = edge.hub, plan.head, edge.hub.settings.limits
    client = edge.tree.plans.client(plan)
    body = wire.buffer[size : size + count]
    contentType = head.header("Content-Type")
    if isBatch:
        publications = readBatch(contentType, body, limits, client.name)
    else:
        hub.checkPublish(client, plan.names)
        event, key = head.header("Comet-Event"), head.header("Idempotency-Key")
        publications = [readBody(plan.names, contentType, body, limits, event, key, client.name)]
    wire.hold(plan)
    wire.take(plan, size, hub.ledger.of(plan.transport, plan.account), count)
    stored = hub.store(client, publications)
    if isBatch:
        wire.answerWhen(stored.addCallback(batchAnswer))
    else:
        wire.answerWhen(stored.addCallback(lambda answers: publishedAnswer(answers[0])))
    return True
