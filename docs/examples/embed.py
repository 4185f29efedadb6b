"""
Add push to an existing site, below a path: C{python embed.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall, react
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from comet import CometResource, CometService, Hub, MemoryBus


class Hello(Resource):
    """
    What the site served before.
    """

    def render_GET(self, request: Request) -> bytes:
        """
        Greet.
        """
        return b"hello\n"


def publishTime(hub: Hub) -> Deferred[Any]:
    """
    Publish the time.  A failure, such as that of a bus which will be back, does
    not end the loop.
    """
    published = hub.publish("time", round(time.time()))
    return published.addErrback(lambda failure: log.err(failure, "the time is not published"))


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve the site, and publish the time every second.
    """
    root = Resource()
    root.putChild(b"hello", Hello())

    # All that is new: a hub, its URLs, and a service that starts the bus, and
    # tells the clients to come back when the process ends.
    hub = Hub(MemoryBus(reactor), reactor)
    root.putChild(b"push", CometResource(hub))
    service = CometService(hub, [], drain=5.0)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)

    serverFromString(reactor, description).listen(Site(root))
    LoopingCall(publishTime, hub).start(1.0)
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
