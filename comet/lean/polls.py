"""
Polls and long polls on the lean edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from comet.answers import COMMON, Answer
from comet.clients import Client
from comet.errors import CometError
from comet.fanout.life import State
from comet.fanout.polls import Outcome
from comet.lean.plan import Plan
from comet.messages import Cursor
from comet.transports.polls import entityTag

if TYPE_CHECKING:
    from comet.lean.requests import RequestWire


def beginPoll(wire: RequestWire, plan: Plan, client: Client, size: int) -> None:
    """
    Begin to answer a poll, which may be answered then, or wait.

    @param size: How many bytes the head of the request has.

    @raise CometError: If it may not be; nothing has happened then.
    """
    hub, ask = wire.edge.hub, plan.ask
    wait = ask.wait if plan.transport == "longpoll" else 0.0
    wire.direct = wire.socket if plan.account is None else None
    wire.hold(plan)
    try:
        reader = hub.openPoll(client, plan.names, ask.since, plan.shape, wire, wait, plan.spot)
    except CometError:
        wire.isBusy = False
        wire.plan = None
        raise
    wire.take(plan, size)
    if reader.state is not State.CLOSED:
        wire.waitFor(reader, wait)


def emptyAnswer(plan: Plan, cursor: Cursor) -> Answer | bytes:
    """
    The answer to a poll for which there is nothing.
    """
    if str(cursor) in plan.ask.tags:
        return Answer(304, (entityTag(cursor), *COMMON), b"")
    response: bytes = plan.shape.respond(Outcome(cursor))
    return response
