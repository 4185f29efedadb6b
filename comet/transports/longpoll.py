"""
Long-polling: a request that is held until there is a message.
"""

from __future__ import annotations

from comet.http.reads import ReadRequest
from comet.transports.polling import PollingResource


class LongPollResource(PollingResource):
    """
    Answers when there is something after a cursor, or the time is over.
    """

    transport = "longpoll"

    def wait(self, readRequest: ReadRequest) -> float:
        """
        As long as the request says.
        """
        return readRequest.wait
