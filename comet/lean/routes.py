"""
Which of a site's resources are just those that the lean edge stands for.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.web.resource import IResource

from comet.lean.cache import CHANNELS, PUBLISH, SOCKET, RequestCache
from comet.transports.channel import ChannelResource, PublishResource
from comet.transports.longpoll import LongPollResource
from comet.transports.poll import PollResource
from comet.transports.sse import EventSourceResource
from comet.transports.stream import StreamResource
from comet.transports.websocket import (
    CometWebSocketProtocol,
    SocketResource,
    WebSocketResource,
)
from comet.web.resources import CometResource
from comet.web.site import BoundedRequest, CometSite

# What is at each place, by its path, and which transports there are, if it is
# served by the lean edge.
_PLACES: Final[dict[bytes, tuple[bytes, type]]] = {
    CHANNELS: (b"channels", ChannelResource),
    PUBLISH: (b"publish", PublishResource),
    SOCKET: (b"socket", SocketResource),
}
_TRANSPORTS: Final[dict[bytes, type]] = {
    resource.transport.encode("ascii"): resource
    for resource in (
        PollResource,
        LongPollResource,
        StreamResource,
        EventSourceResource,
        WebSocketResource,
    )
}


class Routes:
    """
    The resources of a site.

    Where an application has put a resource of its own, or a subclass, in the
    place of one of comet's, that is not served by the lean edge.  What is put
    there after the site began to listen may be noticed late.

    @ivar hub: The hub that they are over.

    @ivar plans: What is asked of them.
    """

    def __init__(self, site: CometSite, root: CometResource) -> None:
        """
        @param root: The site's resource.
        """
        self.hub = root.hub
        self._site = site
        self._root = root
        self.plans = RequestCache(root.hub, self.serves, self.mostBody)
        self._sockets = WebSocketResource(root.hub)

    def _at(self, name: bytes) -> Any:
        resource: IResource | None = self._root.children.get(name)
        return resource

    def serves(self, place: bytes) -> bool:
        """
        Whether what is at a path, or a transport, is just what it seems.
        """
        if self._site.resource is not self._root:
            return False
        resource: Any
        if place in _PLACES:
            name, kind = _PLACES[place]
            resource = self._at(name)
        else:
            kind = _TRANSPORTS.get(place, type(None))
            resource = self._at(b"channels").transports.get(place.decode("ascii"))
        # Never a subclass, which may do anything.
        isKind: bool = type(resource) is kind and getattr(resource, "hub", None) is self.hub
        return isKind

    def mostBody(self, isBatch: bool) -> int:
        """
        How many bytes the body of what is published may have.
        """
        site, limits = self._site, self.hub.settings.limits
        most = min(site.maxBody, limits.maxBatchBytes)
        if not isBatch:
            message = site.maxMessage
            most = min(most, limits.maxMessage, most if message is None else message)
        return most

    def makeProtocol(self) -> CometWebSocketProtocol:
        """
        Make what reads the frames of a WebSocket.
        """
        return self._sockets.makeProtocol()


def findRoutes(site: CometSite) -> Routes | None:
    """
    The resources of a site, if the lean edge can stand for them.
    """
    root = site.resource
    if type(root) is CometResource and site.requestFactory is BoundedRequest:
        return Routes(site, root)
    return None
