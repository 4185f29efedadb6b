"""
A site with push below C{/push/}, which publishes the time every second.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.server import Site

from comet import CometResource, Hub, MemoryBus


def publishTime(hub: Hub) -> Deferred[Any]:
    """
    Publish the time.  A failure, such as that of a bus which will be back, does
    not end the loop.
    """
    published = hub.publish("clock", time.ctime())
    return published.addErrback(lambda failure: log.err(failure, "the time is not published"))


def main(reactor: Any, port: str = "8080") -> Deferred[Any]:
    """
    Serve the site on a port of this machine.
    """
    hub = Hub(MemoryBus(reactor), reactor)
    root = Resource()
    root.putChild(b"push", CometResource(hub))
    reactor.listenTCP(int(port), Site(root), interface="127.0.0.1")
    print(f"serving http://127.0.0.1:{port}/push/channels/clock")
    clock = LoopingCall(publishTime, hub)
    clock.clock = reactor
    return clock.start(1.0)


if __name__ == "__main__":
    import sys

    react(main, sys.argv[1:])
