"""
Push below a path of a site that is there already: C{python embed.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall, react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from comet.bus.memory.bus import MemoryBus
from comet.hub import Hub
from comet.server.service import CometService
from comet.web.resources import CometResource


class Hello(Resource):
    """
    What the site had before.
    """

    def render_GET(self, request: Request) -> bytes:
        """
        Greet.
        """
        return b"hello\n"


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve the site, and tell the time.
    """
    root = Resource()
    root.putChild(b"hello", Hello())

    # This is all that is new: a hub, its URLs, and a service that starts its
    # bus, and sends everyone away in time when the process ends.
    hub = Hub(MemoryBus(reactor), reactor)
    root.putChild(b"push", CometResource(hub))
    service = CometService(hub, [], drain=5.0)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)

    serverFromString(reactor, description).listen(Site(root))
    LoopingCall(lambda: hub.publish("time", round(time.time()))).start(1.0)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
