"""
What runs beside the server for its lab page: readers over raw TCP, since no
browser has any.

A visit of the page asks for its own reader by publishing the cursor to begin
with to C{lab/VISIT/tcp}, and again every few seconds; anything else cuts the
reader's connection.  The reader reads the channel C{lab/VISIT} through a real socket, and
the server tells what becomes of it on the channel C{$lab/tcp/VISIT}::

    {"state": "open", "traffic": {"open": 1, "requests": 1, "headIn": 0,
     "dataIn": 41, "headOut": 0, "dataOut": 230}, "gap": false,
     "messages": [{"cursor": "k3f9a2-17", "delay": 0.0004, "data": ...}]}

C{traffic} is counted as the server counts it: I{in} is what the reader sends.
C{delay} is in seconds, from when the message was stored to when the reader had
it.  C{state} is C{opening}, C{open}, C{cut}, or C{full} where there are too many
visits.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from comet.errors import BadCursor
from comet.hub import Hub
from comet.interfaces import IReceiver
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Close, Message
from comet.server.demo.readers import Beside, Visit

# How many visits have a reader at once.
MOST_VISITS: Final = 64

# After how many seconds without a word from the page its reader goes, and how
# often that is looked at.
PATIENCE: Final = 30.0
INTERVAL: Final = 5.0

_CONTROL: Final = re.compile(r"lab/([a-z0-9]{1,32})/tcp")

_log = Logger()


def readCursor(payload: bytes) -> str | None:
    """
    The cursor that a page has written, or L{None} where it is none.
    """
    try:
        return str(parseCursor(json.loads(payload)))
    except (BadCursor, TypeError):
        return None


@implementer(IReceiver)
class Demo:
    """
    Runs the readers, from L{start} until the hub sends it away.
    """

    def __init__(
        self,
        hub: Hub,
        endpoint: IStreamClientEndpoint,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        """
        @param endpoint: Where the hub is served over raw TCP.

        @param wallClock: Seconds since 1970, as the bus has them.
        """
        self.hub = hub
        self.visits: dict[str, Visit] = {}
        self._beside = Beside(
            endpoint, hub.settings.limits.maxMessage, hub.clock, wallClock, self.tell
        )
        self._looking = LoopingCall(self._look)
        self._looking.clock = hub.clock

    def start(self) -> None:
        """
        Begin to listen to what pages want.
        """
        self._looking.start(INTERVAL, now=False)
        subscribed = self.hub.subscribe(["lab/*", "lab/*/tcp"], "now", self)
        subscribed.addErrback(lambda failure: _log.failure("no readers over TCP", failure))

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        A page wants something, or somebody has published what it reads.
        """
        found = _CONTROL.fullmatch(message.channel)
        if found is not None:
            self._asked(found[1], readCursor(message.payload))
            return
        visit = self.visits.get(message.channel.partition("/")[2])
        if visit is not None:
            visit.stored(message)

    def _asked(self, name: str, cursor: str | None) -> None:
        visit = self.visits.get(name)
        if visit is None:
            if len(self.visits) >= MOST_VISITS:
                self.tell(name, {"state": "full"})
                return
            visit = self.visits[name] = Visit(name, cursor, self._beside)
        visit.heardAt = self.hub.clock.seconds()
        if cursor is not None:
            visit.open()
        else:
            visit.cut()
        # Also where nothing changed: the page may have come back.
        visit.reportSoon()

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Something was not heard: the pages will say it again.
        """

    def subscriptionClosed(self, close: Close) -> None:
        """
        The server is going down.
        """
        self._looking.stop()
        for visit in self.visits.values():
            visit.end()
        self.visits.clear()

    def _look(self) -> None:
        now = self.hub.clock.seconds()
        for visit in list(self.visits.values()):
            if visit.heardAt + PATIENCE <= now:
                visit.end()
                del self.visits[visit.name]

    def tell(self, name: str, report: dict[str, Any]) -> None:
        """
        Tell a visit something, if it listens.
        """
        channel = f"$lab/tcp/{name}"
        if self.hub.fanout.isRead(channel) and not self.hub.isDraining:
            told = self.hub.publish(channel, report)
            told.addErrback(lambda failure: _log.failure("no report of a reader", failure))
