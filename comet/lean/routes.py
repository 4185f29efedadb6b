"""
The requests that the lean edge answers, and the plans that answer them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from twisted.web.resource import IResource

from comet.errors import WrongHost
from comet.http.contentcoding import VARY
from comet.http.credentials import headCredential
from comet.http.parameters import responseHeaders
from comet.http.reads import parseReadRequest
from comet.http.request import RequestHead
from comet.http.responses import Headers
from comet.lean.parser import readLine
from comet.lean.plans import Asked, HeaderProfile, Plan
from comet.lean.polls import CallPlan, HistoryPlan, PollPlan
from comet.lean.publishing import PublishPlan
from comet.lean.streams import StreamPlan
from comet.lean.websocket import WebSocketPlan
from comet.model.channels import isPattern, parsePath
from comet.transports.channel import ChannelResource, PublishResource
from comet.transports.iframe import IFrameResource
from comet.transports.jsonp import JSONPResource
from comet.transports.longpoll import LongPollResource
from comet.transports.multipart import MultipartResource
from comet.transports.poll import PollResource
from comet.transports.resource import HubResource
from comet.transports.sse import EventSourceResource
from comet.transports.stream import StreamResource
from comet.transports.websocket import SocketResource, WebSocketResource
from comet.web.boundedrequest import BoundedRequest
from comet.web.resources import CometResource
from comet.web.site import CometSite


class Route(NamedTuple):
    """
    One path that the lean edge answers.

    @ivar path: The path; one that ends with a slash stands for all below it.

    @ivar resource: The class of the resource that Twisted's edge has there.

    @ivar methods: The methods that the lean edge answers.
    """

    path: bytes
    resource: type[HubResource]
    methods: tuple[bytes, ...]


CHANNELS: Final = Route(b"/channels/", ChannelResource, (b"GET", b"POST", b"PUT"))
PUBLISH: Final = Route(b"/publish", PublishResource, (b"POST",))
SOCKET: Final = Route(b"/socket", SocketResource, (b"GET",))

ROUTES: Final = (CHANNELS, PUBLISH, SOCKET)

# The transports that the lean edge has, by the class of their resources.
TRANSPORTS: Final[dict[str, type[HubResource]]] = {
    kind.transport: kind
    for kind in (
        *(PollResource, LongPollResource, JSONPResource, StreamResource),
        *(EventSourceResource, MultipartResource, IFrameResource, WebSocketResource),
    )
}

_BY_PATH: Final = {route.path: route for route in ROUTES}

# How every request begins that the lean edge answers.
_BEGINNINGS: Final = tuple(
    b"%b %b" % (method, route.path) for route in ROUTES for method in route.methods
)


def mayBeAnswered(data: bytes) -> bool:
    """
    Tell whether the lean edge may answer a request of which this has come.
    """
    return data.startswith(_BEGINNINGS) or any(each.startswith(data) for each in _BEGINNINGS)


class Routes:
    """
    Makes the plans of requests to a site.

    Where an application has put a resource of its own, or a subclass, in the
    place of one of comet's, requests for it are left to Twisted's edge.  What is
    put there after the site began to listen may be noticed late, since plans
    are cached.

    @ivar hub: The hub of the site's resources.
    """

    def __init__(self, site: CometSite, root: CometResource) -> None:
        """
        @param root: The site's resource.
        """
        self.hub = root.hub
        self._site = site
        self._root = root
        makeProtocol = WebSocketResource(root.hub).makeProtocol
        self._planClasses: dict[str, Callable[..., Plan]] = {
            PollResource.transport: PollPlan,
            LongPollResource.transport: PollPlan,
            JSONPResource.transport: CallPlan,
            StreamResource.transport: StreamPlan,
            EventSourceResource.transport: StreamPlan,
            MultipartResource.transport: StreamPlan,
            IFrameResource.transport: StreamPlan,
            WebSocketResource.transport: partial(WebSocketPlan, makeProtocol),
        }

    def makePlan(self, line: bytes, profile: HeaderProfile) -> Plan | None:
        """
        Make the plan of a request.

        @param line: The request line, without its end.

        @return: L{None} if Twisted's edge is to answer.

        @raise CometError: If Twisted's edge is to answer with an error.
        """
        parts = readLine(line)
        if parts is None:
            return None
        method, path, query = parts
        if len(path) > self._site.maxLine // 2:
            return None
        isChannels = path.startswith(CHANNELS.path)
        route = CHANNELS if isChannels else _BY_PATH.get(path)
        if route is None or method not in route.methods or not self.servesRoute(route):
            return None
        hub = self.hub
        segments = tuple(path.split(b"/")[2:])
        like = None if method == b"GET" else _publishedLike(line, profile)
        if like is not None:
            # All but the channels is checked.
            others = parsePath(segments, hub.settings.limits.maxChannels)
            return None if any(isPattern(name) for name in others) else like.to(others)
        head = RequestHead(method, segments, query, (1, 1), profile, profile.isSecure)
        origins, host = hub.origins, head.header("Host")
        needsKey = False
        try:
            origins.checkHost(host, head.version)
        except WrongHost:
            if not origins.isHost(host) or head.header("Authorization") is None:
                raise
            # No origin counts as that of another's host.
            host, needsKey = None, True
        cors = origins.verdict(head.header("Origin"), host, head.isSecure)
        names = parsePath(segments, hub.settings.limits.maxChannels) if isChannels else ()
        ownHeaders = responseHeaders(head, origins, cors)
        if hub.settings.compression is not None:
            ownHeaders += VARY
        plan = (
            self._makeRead(head, names, host, ownHeaders, isChannels)
            if method == b"GET"
            else self._makePublish(head, names, ownHeaders, isChannels)
        )
        if plan is not None:
            plan.needsKey = needsKey
            if hub.clientOf is not None:
                plan.credential = headCredential(head)
            if plan.checksOrigin and not cors.isAllowed:
                return None
        return plan

    def _makeRead(
        self,
        head: RequestHead,
        names: Sequence[str],
        host: str | None,
        ownHeaders: Headers,
        isChannels: bool,
    ) -> Plan | None:
        given = None if isChannels else WebSocketResource.transport
        request = parseReadRequest(head, names, self.hub.end.epoch, given)
        if isChannels and not self.servesTransport(request.transport):
            return None
        isHistory = request.before is not None
        kind = HistoryPlan if isHistory else self._planClasses[request.transport]
        return kind(self.hub, Asked(head, request, host, ownHeaders))

    def _makePublish(
        self, head: RequestHead, names: Sequence[str], ownHeaders: Headers, isChannels: bool
    ) -> Plan | None:
        if any(isPattern(name) for name in names):
            return None
        isBatch = not isChannels
        maxBody = self._maxBody(isBatch)
        return PublishPlan(self.hub, head, names, ownHeaders, isBatch, maxBody)

    def servesRoute(self, route: Route) -> bool:
        """
        Tell whether the site has at a path just what the lean edge stands for.
        """
        return self._isOurs(self._childAt(route), route.resource)

    def servesTransport(self, transport: str) -> bool:
        """
        Tell whether the site has for a transport just what the lean edge stands
        for.
        """
        kind = TRANSPORTS.get(transport)
        resource = self._childAt(CHANNELS).transports.get(transport)
        return kind is not None and self._isOurs(resource, kind)

    def _childAt(self, route: Route) -> Any:
        resource: IResource | None = self._root.children.get(route.path.strip(b"/"))
        return resource

    def _isOurs(self, resource: Any, kind: type[HubResource]) -> bool:
        # A subclass may do more than the lean edge does.
        return (
            self._site.resource is self._root
            and type(resource) is kind
            and resource.hub is self.hub
        )

    def _maxBody(self, isBatch: bool) -> int:
        """
        Return how many bytes the body of a publication or a batch may have.
        """
        site, limits = self._site, self.hub.settings.limits
        most = min(site.maxBody, limits.maxBatchBytes)
        if not isBatch:
            message = site.maxMessage
            most = min(most, limits.maxMessage, most if message is None else message)
        return most


def _publishedLike(line: bytes, profile: HeaderProfile) -> PublishPlan | None:
    """
    Find the plan of a request that differs from this one only in the channels to which
    one message is published.

    @param line: The request line, of a request that publishes.

    @param profile: The headers of both.
    """
    if profile.published is None:
        return None
    other, plan = profile.published
    start = line.index(b" ") + 1 + len(CHANNELS.path)
    isLike = other.startswith(line[:start]) and _queryOf(other) == _queryOf(line)
    return plan if isLike and isinstance(plan, PublishPlan) and not plan.isBatch else None


def _queryOf(line: bytes) -> bytes:
    """
    Return what stands in a request line behind the first question mark.
    """
    return line.partition(b"?")[2]


def findRoutes(site: CometSite) -> Routes | None:
    """
    Make the routes of a site.

    @return: L{None} if the lean edge cannot stand for the site: its resource or
        its requests are of another class.
    """
    root = site.resource
    if type(root) is CometResource and site.requestFactory is BoundedRequest:
        return Routes(site, root)
    return None
