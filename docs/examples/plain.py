"""
A transport of your own, which sends the published data as lines of plain text:
C{python plain.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from comet import (
    Access,
    Close,
    CometResource,
    CometService,
    CometSite,
    Cursor,
    Exchange,
    Hub,
    MemoryBus,
    Message,
    NDJSONShape,
    ReadRequest,
    Shape,
    StreamingResource,
    rawText,
)


@frozen
class PlainShape(NDJSONShape):
    """
    A line for each message.  Lines for people, about gaps and the end, begin
    with a hash.
    """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Encode a message as one line of text.
        """
        return rawText(message).replace("\n", " ").encode() + b"\n"

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Encode a heartbeat as an empty line.
        """
        return b"\n"

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Name the channels that have lost messages.
        """
        return f"# lost: {', '.join(names)}\n".encode()

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Say why the stream ends.
        """
        return f"# {close.message}\n".encode()


class PlainResource(StreamingResource):
    """
    Streams plain text.
    """

    transport = "plain"
    contentType = b"text/plain; charset=utf-8"

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        Return the shape that encodes the messages of this response.
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
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
