"""
The statistics of the server, which it publishes to the channel C{$stats}, and to
C{$stats/NAME} for the account of this name, while the channel has a reader.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.hub.hub import Hub

CHANNEL: Final = "$stats"

# The time between two publications, in seconds.
INTERVAL: Final = 1.0


class StatisticsService(TimerService):
    """
    Publishes every second what has passed on each transport, if the channel has
    a reader::

        {"node": "8c21e0f7", "transports": {"sse": {"open": 2, "requests": 2, "headIn": 140,
         "dataIn": 0, "headOut": 582, "dataOut": 4711}, ...},
         "hooks": {"connect": {"asked": 7, "answered": 6, ...}, ...},
         "events": {"delivered": 12, "repeated": 0, ...}}

    C{hooks} is what L{HookCounts<comet.hooks.hookcounts.HookCounts>} counts, and C{events}
    what L{EventTeller.counts<comet.events.teller.EventTeller.counts>} has, where events are
    told; those of an account have neither.

    If several nodes share a bus, each publishes its own figures, while it has a
    reader itself.  All readers get the figures of all these nodes.

    @ivar node: A random word that names this node, from its start to its end.
    """

    _log = Logger()

    def __init__(self, hub: Hub, clock: IReactorTime) -> None:
        super().__init__(INTERVAL, self.publish)
        self.clock = clock
        self.hub = hub
        self.node = hub.nodes.name

    def publish(self) -> None:
        """
        Publish the present figures to the channels that have a reader.
        """
        if self.hub.isDraining:
            return
        self._publish(CHANNEL, None)
        for account in self.hub.metrics.accounts:
            self._publish(f"{CHANNEL}/{account}", account)

    def _publish(self, channel: str, account: str | None) -> None:
        if self.hub.fanout.registry.isRead(channel):
            published = self.hub.publish(channel, self.figures(account))
            published.addErrback(self._logFailure, channel)

    def _logFailure(self, failure: Failure, channel: str) -> None:
        self._log.failure(
            "the statistics could not be published to {channel}", failure, channel=channel
        )

    def figures(self, account: str | None = None) -> dict[str, Any]:
        """
        Return the present figures.

        @param account: The name of an account, or L{None} for all traffic.
        """
        hub = self.hub
        figures = {"node": self.node, "transports": hub.metrics.sums(account)}
        if account is None:
            # An account's figures are for anyone who knows its name.
            figures["hooks"] = hub.hookCounts.asDict()
            if hub.events is not None:
                figures["events"] = hub.events.counts
        return figures
