"""
AJAX polling: a request is answered at once.
"""

from __future__ import annotations

from typing import Any

from comet.fanout.polls import PollReader
from comet.http.reads import ReadRequest
from comet.model.clients import Client
from comet.transports.detach import sharedConnectionOf
from comet.transports.polling import HeldPoll, PollingResource


class PollResource(PollingResource):
    """
    Answers at once with the messages after the client's cursor, or with none; or
    with the newest messages before a cursor, for scrolling back.
    """

    transport = "poll"

    def open(
        self, readRequest: ReadRequest, client: Client, waiter: HeldPoll, wait: float
    ) -> PollReader[Any]:
        """
        See L{PollingResource.open<comet.transports.polling.PollingResource.open>}.
        """
        before = readRequest.before
        if before is None:
            return super().open(readRequest, client, waiter, wait)
        connection = sharedConnectionOf(waiter.exchange.request)
        names, shape = readRequest.names, waiter.shape
        return self.hub.openHistory(client, names, before, shape, waiter, connection)

    def wait(self, readRequest: ReadRequest) -> float:
        """
        Return 0: a poll is never held.
        """
        return 0.0
