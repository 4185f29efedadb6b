"""
AJAX polling: a request is answered at once.
"""

from __future__ import annotations

from comet.http.reads import ReadRequest
from comet.transports.polling import PollingResource


class PollResource(PollingResource):
    """
    Answers at once with the messages after the client's cursor, or with none.
    """

    transport = "poll"

    def wait(self, readRequest: ReadRequest) -> float:
        """
        Return 0: a poll is never held.
        """
        return 0.0
