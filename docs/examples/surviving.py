"""
A site whose headlines survive a restart: C{python surviving.py [ENDPOINT]}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.static import File

from comet import CometResource, CometService, CometSite, Hub, MemoryBus

HERE = Path(__file__).parent


class Headlines(Resource):
    """
    The headlines, in a file.  The application's state does not belong in the bus.
    """

    isLeaf = True

    def __init__(self, hub: Hub, path: Path) -> None:
        super().__init__()
        self.hub = hub
        self.path = path
        self.headlines: list[str] = json.loads(path.read_text()) if path.exists() else []

    def render_GET(self, request: Request) -> bytes:
        """
        Answer with all headlines, and the cursor from which to read later ones.
        """
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Cache-Control", b"no-store")
        state = {"cursor": str(self.hub.end), "headlines": self.headlines}
        return json.dumps(state).encode()

    def render_POST(self, request: Request) -> int:
        """
        Add a headline: save it first, and publish it then.
        """
        content: Any = request.content
        self.headlines.append(content.read().decode())
        self.path.write_text(json.dumps(self.headlines))

        def stored(cursor: object) -> None:
            request.setResponseCode(201)
            request.finish()

        self.hub.publish("news", self.headlines[-1]).addCallback(stored)
        return NOT_DONE_YET


def makeService(reactor: Any, description: str, path: Path) -> CometService:
    """
    Make the hub, the site over it, and the service that serves the site.
    """
    # Only the application publishes.
    hub = Hub(MemoryBus(reactor), reactor)
    root = Resource()
    root.putChild(b"", File(str(HERE / "surviving.html")))
    root.putChild(b"headlines", Headlines(hub, path))
    root.putChild(b"comet", CometResource(hub))
    site = CometSite(root, hub.settings.limits.maxBatchBytes)
    return CometService(hub, [(description, site)])


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    service = makeService(reactor, description, Path("headlines.json"))
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
