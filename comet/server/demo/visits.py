"""
The visits of the lab page.  The server runs a reader over raw TCP for each, since
no browser can open a TCP connection.

A visit asks for its reader by publishing a cursor to C{lab/VISIT/tcp}, and again
every few seconds.  The reader begins at the cursor.  Any other data cuts the
reader's connection.  The reader reads the channel C{lab/VISIT} through a real
socket, and the server reports on it to the channel C{$lab/tcp/VISIT}::

    {"state": "open", "traffic": {"open": 1, "requests": 1, "headIn": 0,
     "dataIn": 41, "headOut": 0, "dataOut": 230}, "gap": false,
     "messages": [{"cursor": "k3f9a2-17", "delay": 0.0004, "data": ...}]}

C{traffic} counts as the server counts: I{in} is what the reader sends.  C{delay} is
the time in seconds from the storing of a message to its arrival.  C{state} is
C{opening}, C{open}, C{cut}, or C{full} if there are too many visits.
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
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import BadCursor
from comet.hub.hub import Hub
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Close, Message
from comet.server.demo.readers import ReaderContext, Visit

# How many visits may have a reader at once.
MOST_VISITS: Final = 64

# After how many seconds without a publication of the page a visit ends, and how
# often the server looks for such visits, in seconds.
PATIENCE: Final = 30.0
INTERVAL: Final = 5.0

_CONTROL: Final = re.compile(r"lab/([a-z0-9]{1,32})/tcp")

_log = Logger()


def readCursor(payload: bytes) -> str | None:
    """
    Read the cursor that a page has published, or return L{None} if it is none.
    """
    try:
        return str(parseCursor(json.loads(payload)))
    except (BadCursor, TypeError):
        return None


@implementer(IReceiver)
class Demo:
    """
    Runs the readers, from L{start} until the hub drains.
    """

    def __init__(
        self,
        hub: Hub,
        endpoint: IStreamClientEndpoint,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        """
        @param endpoint: Connects to the hub over raw TCP.

        @param wallClock: Returns the seconds since 1970.
        """
        self.hub = hub
        self.visits: dict[str, Visit] = {}
        self._context = ReaderContext(
            endpoint, hub.settings.limits.maxMessage, hub.clock, wallClock, self.report
        )
        self._looking = LoopingCall(self._look)
        self._looking.clock = hub.clock

    def start(self) -> None:
        """
        Begin to take the publications of pages.
        """
        self._looking.start(INTERVAL, now=False)
        subscribed = self.hub.subscribe(["lab/*", "lab/*/tcp"], "now", self)
        subscribed.addErrback(_logNotStarted)

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        A page asks for its reader, or the message is one that a reader will get.
        """
        found = _CONTROL.fullmatch(message.channel)
        if found is not None:
            self._askedFor(found[1], readCursor(message.payload))
            return
        visit = self.visits.get(message.channel.partition("/")[2])
        if visit is not None:
            visit.messageStored(message)

    def _askedFor(self, name: str, cursor: str | None) -> None:
        visit = self.visits.get(name)
        if visit is None:
            if len(self.visits) >= MOST_VISITS:
                self.report(name, {"state": "full"})
                return
            visit = self.visits[name] = Visit(name, cursor, self._context)
        visit.heardAt = self.hub.clock.seconds()
        if cursor is not None:
            visit.open(cursor)
        else:
            visit.cut()
        # Report although nothing changed: the page may have been reloaded.
        visit.reportSoon()

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Some publications were lost.  The pages publish again every few seconds.
        """

    def subscriptionClosed(self, close: Close) -> None:
        """
        The server stops: end all visits.
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

    def report(self, name: str, report: dict[str, Any]) -> None:
        """
        Publish a report to a visit, if it reads its channel.
        """
        channel = f"$lab/tcp/{name}"
        if self.hub.fanout.registry.isRead(channel) and not self.hub.isDraining:
            self.hub.publish(channel, report).addErrback(_logNotReported, channel)


def _logNotStarted(failure: Failure) -> None:
    _log.failure("the lab page has no readers over TCP", failure)


def _logNotReported(failure: Failure, channel: str) -> None:
    _log.failure("the report of a reader to {channel} failed", failure, channel=channel)
