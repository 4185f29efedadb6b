"""
Polls and long polls on the lean edge.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from comet.errors import CometError
from comet.fanout.states import State
from comet.lean.plans import ParsedRequest
from comet.model.clients import Client
from comet.web.site import IDLE_TIMEOUT

if TYPE_CHECKING:
    from comet.lean.http import HTTPConnection


def beginPoll(connection: HTTPConnection, asked: ParsedRequest, client: Client, size: int) -> None:
    """
    Begin to answer a poll, which may be answered then, or wait.

    @param size: How many bytes the head of the request has.

    @raise CometError: If it may not be; nothing has happened then.
    """
    hub, plan = connection.edge.hub, asked.plan
    wait = plan.ask.wait if plan.transport == "longpoll" else 0.0
    connection.direct = connection.socket if plan.account is None else None
    connection.tags = asked.tags
    connection.isBusy = True
    connection.plan = plan
    try:
        reader = hub.openPoll(
            client, plan.names, asked.since, plan.shape, connection, wait, plan.opener
        )
    except CometError:
        connection.isBusy = False
        connection.plan = None
        raise
    # It may be answered already.
    connection.take(plan, size)
    if reader.state is not State.CLOSED:
        connection.reader = reader
        now = hub.fanout.seconds()
        # Who does not wait for messages waits for the bus, however long it takes.
        connection.due = now + wait if wait else math.inf
        # Soon enough also for what times the connection once it is answered.
        hub.fanout.wheel.setBy(connection, now + min(wait or IDLE_TIMEOUT, IDLE_TIMEOUT))
