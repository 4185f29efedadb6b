"""
A small web site with a page that shows messages as they are published:
C{python live.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.static import File

from comet import Access, CometResource, CometService, CometSite, Hub, MemoryBus

HERE = Path(__file__).parent


def makeService(reactor: Any, description: str) -> CometService:
    """
    Make the hub, the site over it, and the service that serves the site.
    """
    # For now anyone may publish to this one channel.
    hub = Hub(MemoryBus(reactor), reactor, access=Access(openPatterns=["news"]))

    root = Resource()
    root.putChild(b"", File(str(HERE / "live.html")))
    root.putChild(b"comet", CometResource(hub))

    site = CometSite(root, hub.settings.limits.maxBatchBytes)
    return CometService(hub, [(description, site)])


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    service = makeService(reactor, description)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
