"""
AJAX polling: a request that is answered at once.
"""

from __future__ import annotations

from comet.http.reads import ReadRequest
from comet.transports.polling import PollingResource


class PollResource(PollingResource):
    """
    Answers at once with what there is after a cursor.
    """

    transport = "poll"

    def wait(self, readRequest: ReadRequest) -> float:
        """
        Not at all.
        """
        return 0.0
