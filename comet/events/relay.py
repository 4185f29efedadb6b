"""
Telling on C{$events} what the buses tell of members.
"""

from __future__ import annotations

import json
from typing import Any, Final

from comet.events.follower import Page
from comet.events.lease import Lease
from comet.framing.strictjson import encode
from comet.interfaces.messagebus import IMessageBus
from comet.logging.clientlog import ClientLogger
from comet.model.events import CHANNEL, OCCUPIED, READERS, VACATED, readersOf
from comet.model.messages import Message, Publication
from comet.model.presence import JOIN, LEAVE, PREFIX
from comet.presence.keptchannels import KeptChannels

# What is followed.
NAMES: Final = (f"{PREFIX}**", f"{PREFIX}{READERS}**")

_OF_READERS: Final = {JOIN: OCCUPIED, LEAVE: VACATED}


class Relay:
    """
    Publishes an event for each change of members that is to be told, in their order.

    Each has the cursor of the change as its key, so that a page which is given twice is
    told once.

    @ivar kept: Of which channels events are told.
    """

    _log = ClientLogger()

    def __init__(self, bus: IMessageBus, kept: KeptChannels) -> None:
        self._bus = bus
        self.kept = kept

    async def take(self, page: Page, lease: Lease) -> None:
        """
        Publish what a page tells.

        @raise CometError: If the bus does not take it.
        """
        if page.isGap:
            self._log.warn("changes of members are lost that were to be told on $events")
        told = [each for each in map(self._told, page.messages) if each is not None]
        if told:
            await self._bus.publish(told)

    def _told(self, message: Message) -> Publication | None:
        """
        Make the event of a change; L{None} if it is not to be told.
        """
        data: dict[str, Any]
        channel = readersOf(message.channel)
        if channel is None:
            channel, event = message.channel.removeprefix(PREFIX), message.event
            if event not in (JOIN, LEAVE):
                return None
        else:
            event = _OF_READERS.get(message.event or "")
        if event is None or channel not in self.kept:
            return None
        data = {"channel": channel}
        if event in (JOIN, LEAVE):
            client = _clientOf(message.payload)
            if client is None:
                return None
            data["client"] = client
        key = f"told/{message.cursor}"
        return Publication((CHANNEL,), encode(data), event, publisher="server", key=key)


def _clientOf(payload: bytes) -> str | None:
    """
    Return the client that a change of members tells of; L{None} if another program has
    written something else there.
    """
    told = json.loads(payload)
    client = told.get("client") if isinstance(told, dict) else None
    return client if isinstance(client, str) else None
