"""
What the server tells of itself, on the channel C{$stats}, and of what one account
has cost, on C{$stats/} and its name; both while somebody reads it.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from comet.hub import Hub

CHANNEL: Final = "$stats"

# How often, in seconds.
INTERVAL: Final = 1.0


class StatisticsService(TimerService):
    """
    Publishes every second what has passed on each transport, if there is
    anybody to read it::

        {"node": "8c21e0f7", "transports": {"sse": {"open": 2, "requests": 2, "headIn": 140,
         "dataIn": 0, "headOut": 582, "dataOut": 4711}, ...}}

    Of several nodes that share a bus each tells its own figures, while it has
    a reader of its own; all readers get all that is told.

    @ivar node: A random word that tells this node from others, also from what
        it was before its last start.
    """

    _stats_log = Logger()

    def __init__(self, hub: Hub, clock: IReactorTime) -> None:
        super().__init__(INTERVAL, self.tell)
        self.clock = clock
        self.hub = hub
        self.node = secrets.token_hex(4)

    def tell(self) -> None:
        """
        Publish the figures of now, if somebody reads them.
        """
        if self.hub.isDraining:
            return
        self._tell(CHANNEL, None)
        for account in self.hub.metrics.accounts:
            self._tell(f"{CHANNEL}/{account}", account)

    def _tell(self, channel: str, account: str | None) -> None:
        if self.hub.fanout.isRead(channel):
            told = self.hub.publish(channel, self.figures(account))
            told.addErrback(
                lambda failure: self._stats_log.failure("no statistics", failure=failure)
            )

    def figures(self, account: str | None = None) -> dict[str, Any]:
        """
        The figures of now.

        @param account: The name of an account; without one, those of all.
        """
        return {"node": self.node, "transports": self.hub.metrics.sums(account)}
