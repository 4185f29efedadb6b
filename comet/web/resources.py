"""
The tree of URLs over a hub.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

from comet.http.responses import COMMON, Response
from comet.hub import Hub
from comet.transports.channel import ChannelResource, PublishResource
from comet.transports.exchange import Exchange, notFound
from comet.transports.resource import HubResource
from comet.transports.websocket import SocketResource
from comet.web.pages import putPages


class NotFoundResource(HubResource):
    """
    The resource where there is none: it answers with 404.
    """

    def dispatch(self, exchange: Exchange) -> None:
        """
        Raise the error for a path that leads nowhere.
        """
        raise notFound(exchange)


class HealthResource(HubResource):
    """
    Tells a load balancer whether to send clients here: 200 if so, else 503.
    """

    methods = ("GET", "HEAD")
    hasPath = False

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell whether the hub is ready.
        """
        status, word = (200, b"true") if self.hub.isReady else (503, b"false")
        headers = ((b"Content-Type", b"application/json"), *COMMON)
        exchange.respond(Response(status, headers, b'{"ready":%s}' % word))

    answer_HEAD = answer_GET


class CometResource(Resource):
    """
    All resources over a hub, for the root of a site or any path below it.

    To change a part, subclass its resource and put that in its place.  What to
    override is described by L{HubResource
    <comet.transports.resource.HubResource>}::

        comet = CometResource(hub)
        comet.putChild(b"channels", MyChannelResource(hub))

    C{twisted.web} calls C{getChild} only for paths at which nothing was put.
    """

    def __init__(self, hub: Hub) -> None:
        Resource.__init__(self)
        self.hub = hub
        self._notFound = NotFoundResource(hub)
        putPages(self, hub)
        self.putChild(b"channels", ChannelResource(hub))
        self.putChild(b"publish", PublishResource(hub))
        self.putChild(b"socket", SocketResource(hub))
        self.putChild(b"health", HealthResource(hub))

    def getChild(self, path: bytes, request: Request) -> Any:
        """
        Return the resource for a path at which nothing was put.
        """
        return self._notFound

    def render(self, request: Request) -> Any:
        """
        Answer a request for the resource itself.
        """
        return self._notFound.render(request)
