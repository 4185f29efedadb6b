"""
A WSGI application and push on one port: C{python beside.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import IResource, Resource
from twisted.web.wsgi import WSGIResource

from comet import CometResource, CometService, CometSite, Cursor, Hub, MemoryBus


def makeApplication(publish: Callable[..., Cursor]) -> Flask:
    """
    Make the application: an ordinary one that also publishes.

    @param publish: The hub's method for threads, which waits for the answer.
    """
    app = Flask(__name__)

    @app.get("/")
    def index() -> str:
        return "<script>new EventSource('/push/channels/orders')</script>"

    @app.post("/orders")
    def order() -> tuple[dict[str, str], int]:
        # WSGI runs this in a thread of the reactor's pool.
        data = {"item": request.form["item"]}
        return {"cursor": str(publish("orders", data))}, 201

    return app


class Beside(Resource):
    """
    Serve push below C{/push/}, and the application everywhere else.
    """

    def __init__(self, application: IResource, push: IResource) -> None:
        super().__init__()
        self.application = application
        self.putChild(b"push", push)

    def getChild(self, path: bytes, request: Any) -> Any:
        """
        Put the segment back: the application is mounted at the root.
        """
        request.postpath.insert(0, request.prepath.pop())
        return self.application


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    hub = Hub(MemoryBus(reactor), reactor)
    wsgi = WSGIResource(reactor, reactor.getThreadPool(), makeApplication(hub.publishFromThread))
    site = CometSite(Beside(wsgi, CometResource(hub)), 10 * 1024 * 1024)
    service = CometService(hub, [(description, site)])
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
