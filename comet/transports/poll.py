"""
AJAX polling: a request that is answered at once.
"""

from __future__ import annotations

from comet.http.reads import Ask
from comet.transports.polling import OnceResource


class PollResource(OnceResource):
    """
    Answers at once with what there is after a cursor.
    """

    transport = "poll"

    def wait(self, ask: Ask) -> float:
        """
        Not at all.
        """
        return 0.0
