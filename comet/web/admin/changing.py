"""
What an admin changes of one channel: as anyone does with the publish key, but logged.
"""

from __future__ import annotations

from comet.hub.hub import Hub
from comet.transports.channel import ChannelResource
from comet.transports.exchange import Exchange
from comet.web.admin.watching import ChannelsResource


class ChangedChannelsResource(ChannelsResource):
    """
    The resource at C{/admin/channels}, and below it a channel, to which the admin may
    publish, and whose held messages the admin may delete.

    Both are done as at C{/channels/}, and logged as an order.  What is published is not
    logged.
    """

    methods = ("GET", "POST", "DELETE")

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._ordinary = ChannelResource(hub)

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Publish the body as one message to the channel in the path.
        """
        self.checkAdmin(exchange)
        size = len(exchange.body(self.hub.settings.limits.maxMessage))
        self.log(exchange, f"publish {size} bytes")
        self._ordinary.answer_POST(exchange)

    def admit_POST(self, exchange: Exchange) -> None:
        """
        Refuse other clients before they send a body.
        """
        self.checkAdmin(exchange)
        self._ordinary.admit_POST(exchange)

    def answer_DELETE(self, exchange: Exchange) -> None:
        """
        Delete what the channel in the path holds.
        """
        self.checkAdmin(exchange)
        self.log(exchange, "delete what is held")
        self._ordinary.answer_DELETE(exchange)
