"""
Long polling: a request is held until there is a message.
"""

from __future__ import annotations

from comet.http.reads import ReadRequest
from comet.transports.polling import PollingResource


class LongPollResource(PollingResource):
    """
    Answers when there is a message after the client's cursor, or the hold is
    over.
    """

    transport = "longpoll"

    def wait(self, readRequest: ReadRequest) -> float:
        """
        Return how long the client lets the server hold the request, in seconds.
        """
        return readRequest.wait
