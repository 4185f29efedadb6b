"""
A transport of one's own: what was published and nothing else, as lines of
text.  C{python plain.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.framing import Shape
from comet.framing.envelope import rawText
from comet.framing.ndjson import NDJSONShape
from comet.http.reads import ReadRequest
from comet.hub import Hub
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.server.service import CometService
from comet.transports.exchange import Exchange
from comet.transports.streaming import StreamingResource
from comet.web.resources import CometResource
from comet.web.site import CometSite


@frozen
class PlainShape(NDJSONShape):
    """
    The text of a message, and the end of a line.  Of the rest only what a
    person wants to know is said, after a hash.
    """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        One line of text.
        """
        return rawText(message).replace("\n", " ").encode() + b"\n"

    def standing(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        An empty line shows that the connection lives.
        """
        return b"\n"

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Something was lost.
        """
        return f"# lost: {', '.join(names)}\n".encode()

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        The end.
        """
        return f"# {close.message}\n".encode()


class PlainResource(StreamingResource):
    """
    Answers with text that never ends.
    """

    transport = "plain"
    contentType = b"text/plain; charset=utf-8"

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        How messages look to whoever asked.
        """
        return PlainShape(chunked=chunked)


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    hub = Hub(MemoryBus(reactor), reactor, access=Access(openPatterns=["**"]))
    root = CometResource(hub)
    root.putChild(b"plain", PlainResource(hub))
    site = CometSite(root, hub.settings.limits.maxBatchBytes)
    service = CometService(hub, [(description, site)])
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
