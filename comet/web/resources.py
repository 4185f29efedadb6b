"""
The tree of URLs over a hub.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from twisted.web.server import Request

from comet.http.responses import JSON, Response, endLine
from comet.hub.hub import Hub
from comet.transports.call import CallResource
from comet.transports.channel import ChannelResource, PublishResource, Transport
from comet.transports.exchange import Exchange, notFound
from comet.transports.resource import HubResource
from comet.transports.websocket import SocketResource
from comet.web.admin.tree import AdminTree
from comet.web.book import findBook, putBook
from comet.web.branch import Branch
from comet.web.metrics.scrape import MetricsResource
from comet.web.pages import putAdminPage, putClient, putPages
from comet.web.presencepage import PresenceResource


class NotFoundResource(HubResource):
    """
    The resource where there is none: it answers with 404.
    """

    identifies = False

    def __init__(self, hub: Hub, cure: str = "channels are below /channels/") -> None:
        """
        @param cure: Which path leads to something.
        """
        super().__init__(hub)
        self._cure = cure

    def dispatch(self, exchange: Exchange) -> None:
        """
        Raise the error for a path that leads nowhere.
        """
        raise notFound(exchange, self._cure)

    def admit(self, exchange: Exchange) -> None:
        """
        See L{HubResource.admit}.
        """
        exchange.check()
        raise notFound(exchange, self._cure)


class LiveResource(HubResource):
    """
    Answers 200 while the server runs, for a manager that restarts dead servers.
    """

    identifies = False
    methods = ("GET", "HEAD")
    hasPath = False
    # A load balancer asks by any name or none.
    needsHost = False

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell that the server runs.
        """
        exchange.respond(_health(200, b'{"live":true}'))

    answer_HEAD = answer_GET


class ReadyResource(HubResource):
    """
    Tells a load balancer whether to send clients here: 200 if so, else 503 with
    the reason.
    """

    identifies = False
    methods = ("GET", "HEAD")
    hasPath = False
    # A load balancer asks by any name or none.
    needsHost = False

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell whether the hub is ready.
        """
        reason = self.hub.whyNotReady
        if reason:
            body = b'{"ready":false,"reason":"%s"}' % reason.encode("ascii")
            exchange.respond(_health(503, body))
        else:
            exchange.respond(_health(200, b'{"ready":true}'))

    answer_HEAD = answer_GET


class HealthResource(ReadyResource):
    """
    The resource at C{/health}: the same as C{/health/ready}, and what is below it.
    """

    # Twisted looks for the children.
    isLeaf = False

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._notFound = NotFoundResource(hub)
        self.putChild(b"live", LiveResource(hub))
        self.putChild(b"ready", ReadyResource(hub))

    @property
    def missing(self) -> NotFoundResource:
        """
        The resource for the paths at which nothing was put.
        """
        return self._notFound

    def getChild(self, path: bytes, request: Request) -> Any:
        """
        Return the resource for a path at which nothing was put.
        """
        return self.missing


def _health(status: int, body: bytes) -> Response:
    return Response(status, JSON, endLine(body))


class CometResource(Branch):
    """
    All resources over a hub, for the root of a site or any path below it.

    To change a part, subclass its resource and put that in its place.  What to
    override is described by L{HubResource
    <comet.transports.resource.HubResource>}::

        comet = CometResource(hub)
        comet.putChild(b"channels", MyChannelResource(hub))

    C{twisted.web} calls C{getChild} only for paths at which nothing was put.
    """

    def __init__(self, hub: Hub, hasPages: bool = False) -> None:
        """
        @param hasPages: Whether to serve the lab page and the chat, at the
            resource itself and at C{chat}; and in a checkout in which the book
            is made, that at C{book/}.
        """
        super().__init__(NotFoundResource(hub))
        self.hub = hub
        putClient(self, hub)
        if hasPages:
            book = findBook()
            putPages(self, hub, book is not None)
            if book is not None:
                putBook(self, hub, book)
        self.putChild(b"channels", ChannelResource(hub))
        self.putChild(b"publish", PublishResource(hub))
        self.putChild(b"presence", PresenceResource(hub))
        self.putChild(b"socket", SocketResource(hub))
        self.putChild(b"call", CallResource(hub))
        self.putChild(b"health", HealthResource(hub))
        self.putChild(b"metrics", MetricsResource(hub))
        self.putChild(b"admin", AdminTree(hub, self._missing, putAdminPage(self, hub)))

    @property
    def transports(self) -> MutableMapping[str, Transport]:
        """
        The resource of each transport, by its name in the parameter C{transport}:
        those of the L{ChannelResource} at C{channels}.
        """
        # Any: twisted.web knows no class of children.
        channels: Any = self.children[b"channels"]
        transports: MutableMapping[str, Transport] = channels.transports
        return transports
