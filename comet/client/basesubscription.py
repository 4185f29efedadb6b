"""
What the subscriptions of all shells have in common.
"""

from __future__ import annotations

from comet.client.clientreading import Reading


class BaseSubscription:
    """
    Where a subscription stands, and how it gets there.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def cursor(self) -> str | None:
        """
        The cursor of the last item, for use as C{since}; L{None} before the server has said where
        the subscription begins.
        """
        return self._reading.cursor

    @property
    def transport(self) -> str:
        """
        The transport that is used, or tried.
        """
        return self._reading.transport

    def handled(self) -> None:
        """
        Write the cursor file: the last item is done with, and does not come again.
        """
        self._reading.handled()
