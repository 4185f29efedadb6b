"""
Tests of L{comet.lean.routes}: which requests the lean edge answers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.lean.cache import RequestCache
from comet.lean.plans import Plan
from comet.lean.polls import CallPlan, PollPlan
from comet.lean.publishing import PublishPlan
from comet.lean.routes import CHANNELS, PUBLISH, ROUTES, TRANSPORTS, findRoutes, mayBeAnswered
from comet.lean.streams import StreamPlan
from comet.lean.websocket import WebSocketPlan
from comet.transports.sse import EventSourceResource
from comet.web.resources import CometResource
from comet.web.site import CometSite

_CLASSES: dict[str, type[Plan]] = {
    "poll": PollPlan,
    "longpoll": PollPlan,
    "jsonp": CallPlan,
    "stream": StreamPlan,
    "sse": StreamPlan,
    "multipart": StreamPlan,
    "iframe": StreamPlan,
    "websocket": WebSocketPlan,
}


def _valuesOf(plan: Plan) -> list[object]:
    """
    Return the class of a plan, and what it knows.
    """
    values: list[object] = [type(plan)]
    for kind in type(plan).__mro__:
        for slot in getattr(kind, "__slots__", ()):
            if slot == "_isLike":
                # It tells only what was counted when the plan was made.
                continue
            value = getattr(plan, slot)
            # Those that do not compare by value.
            if slot == "_bodies" and value is not None:
                value = [getattr(value, each) for each in value.__slots__]
            elif slot == "joinPoint" and value is not None:
                value = value.names
            values.append(type(value) if slot in ("opener", "request") else value)
    return values


class RoutesTests(SynchronousTestCase):
    """
    Tests of L{Routes<comet.lean.routes.Routes>}.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        clock = Clock()
        self.hub = Hub(MemoryBus(clock), clock)
        self.root = CometResource(self.hub)
        self.site = CometSite(self.root, 1000, reactor=clock)
        routes = findRoutes(self.site)
        assert routes is not None
        self.routes = routes

    def plan(self, line: bytes, headers: bytes = b"") -> Plan | None:
        """
        Return the plan of a request.
        """
        head = b"%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (line, headers)
        request = RequestCache(self.hub, self.routes.makePlan).parse(head)
        return None if request is None else request.plan

    def test_publishesLikeOthers(self) -> None:
        """
        The plan of a request to publish does not depend on what was published before
        with the same headers.
        """
        block = b"HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nComet-Event: e\r\n\r\n"
        targets = [
            *(b"POST /channels/a", b"PUT /channels/a", b"POST /channels/b,a,b"),
            *(b"POST /channels/a?account=x", b"POST /channels/b?account=x", b"POST /channels/b?"),
            *(b"POST /channels/a%3Fb", b"POST /channels/", b"POST /channels/%00"),
            *(b"POST /channels/a/*", b"POST /publish", b"GET /channels/a?transport=poll"),
        ]
        for first in targets:
            for second in targets:
                cache = RequestCache(self.hub, self.routes.makePlan)
                cache.parse(b"%b %b" % (first, block))
                plans = [
                    each.parse(b"%b %b" % (second, block))
                    for each in (cache, RequestCache(self.hub, self.routes.makePlan))
                ]
                like, alone = ([] if each is None else _valuesOf(each.plan) for each in plans)
                self.assertEqual(like, alone, (first, second))
        self.assertEqual(alone[0], PollPlan)

    def test_siteHasEveryRoute(self) -> None:
        """
        A site of comet's has at each path and for each transport the resource
        that the lean edge stands for, and the resource has each method.
        """
        for route in ROUTES:
            self.assertTrue(self.routes.servesRoute(route), route)
            methods = {method.decode("ascii") for method in route.methods}
            self.assertLessEqual(methods, set(route.resource.methods), route)
        for transport in TRANSPORTS:
            self.assertTrue(self.routes.servesTransport(transport), transport)

    def test_everyTransportHasPlan(self) -> None:
        """
        A request by each transport of the lean edge gets a plan of its class.
        """
        self.assertEqual(_CLASSES.keys(), TRANSPORTS.keys())
        for transport, kind in _CLASSES.items():
            line = b"GET /channels/a?callback=f&transport=" + transport.encode("ascii")
            plan = self.plan(line, b"Sec-Fetch-Site: same-origin\r\n")
            self.assertIs(type(plan), kind)
        for line in (b"POST /channels/a", b"PUT /channels/a", b"POST /publish"):
            self.assertIs(type(self.plan(line)), PublishPlan, line)
        self.assertIs(type(self.plan(b"GET /socket")), WebSocketPlan)

    def test_leavesOtherRequests(self) -> None:
        """
        Requests of other paths, methods and transports get no plan, and neither
        do requests that Twisted's edge refuses.
        """
        for line in (
            *(b"DELETE /channels/a", b"HEAD /channels/a", b"GET /publish", b"PUT /publish"),
            *(b"POST /socket", b"GET /health", b"GET /channels", b"GET /publish/a"),
            *(b"POST /channels/a/*", b"GET /channels/", b"GET /channels/a?wait=x"),
        ):
            self.assertIsNone(self.plan(line), line)

    def test_leavesScriptsOfForeignPages(self) -> None:
        """
        A request for JSONP gets a plan if its headers prove that a page of the
        server's own loads the script, and its callback is the name of a function.
        """
        own, foreign = b"Referer: http://localhost/a?b", b"Referer: http://foreign.example/"
        line = b"GET /channels/a?transport=jsonp&callback="
        for header, isOurs in (
            (own, True),
            (foreign, False),
            (b"Referer: http://localhost.foreign.example/", False),
            (b"Referer: http://localhost@foreign.example/", False),
            (b"Referer: //localhost/", False),
            (b"X: y", False),
            (b"Sec-Fetch-Site: same-origin", True),
            (b"Sec-Fetch-Site: none", True),
            (b"Sec-Fetch-Site: same-site", False),
            (b"Sec-Fetch-Site: cross-site", False),
            (b"Authorization: bearer x", True),
            (b"Authorization: Basic x", False),
        ):
            plan = self.plan(line + b"a.b", header + b"\r\n")
            self.assertIs(plan is not None, isOurs, header)
        for callback in (b"", b"1", b"alert(1)", b"a" * 129):
            self.assertIsNone(self.plan(line + callback, own + b"\r\n"), callback)

    def test_leavesFramesOfForeignPages(self) -> None:
        """
        A request for a frame gets a plan if the frame is for a page of the server's
        own, or calls a function of its parent.
        """
        line = b"GET /channels/a?transport=iframe"
        for more, isOurs in (
            (b"", True),
            (b"&origin=http://localhost", True),
            (b"&origin=http://foreign.example", False),
            (b"&origin=*", False),
            (b"&origin=null", False),
            (b"&callback=f", True),
            (b"&callback=f()", False),
        ):
            self.assertIs(self.plan(line + more) is not None, isOurs, more)

    def test_pagesOfOneSiteShareHeaders(self) -> None:
        """
        Requests from many pages of a site share what is cached of their headers.
        """
        cache = RequestCache(self.hub, self.routes.makePlan)
        pages = [b"http://localhost/%d?x#y" % number for number in range(9)]
        blocks = [b"Host: localhost\r\nReferer: %b\r\n" % page for page in pages]
        profiles = set()
        for block in blocks:
            headers = cache.parseHeaders(block)
            assert headers is not None
            profiles.add(headers.profile)
        self.assertEqual(len(profiles), 1)

    def test_leavesForeignOrigins(self) -> None:
        """
        A page of a foreign origin may read, but neither publish nor upgrade to
        a WebSocket: its requests for these are left to Twisted's edge.
        """
        origin = b"Origin: https://foreign.example\r\n"
        self.assertIsNotNone(self.plan(b"GET /channels/a?transport=sse", origin))
        for line in (b"POST /channels/a", b"POST /publish", b"GET /socket"):
            self.assertIsNone(self.plan(line, origin), line)

    def test_servesKeyHoldersUnderAnyName(self) -> None:
        """
        A request for another host has a plan if it has a credential, which is to be
        the key, and no page of that host is the server's own.
        """
        parse = RequestCache(self.hub, self.routes.makePlan).parse
        head = b"%b /channels/a HTTP/1.1\r\nHost: %b\r\n%b\r\n"
        credential = b"Authorization: Bearer x\r\n"
        for method in (b"GET", b"POST"):
            request = parse(head % (method, b"comet:8080", credential))
            assert request is not None
            self.assertTrue(request.plan.needsKey)
            request = parse(head % (method, b"localhost", credential))
            assert request is not None
            self.assertFalse(request.plan.needsKey)
            self.assertIsNone(parse(head % (method, b"comet:8080", b"")))
            self.assertIsNone(parse(head % (method, b"a b", credential)))
        origin = b"Origin: http://comet:8080\r\n"
        self.assertIsNone(parse(head % (b"POST", b"comet:8080", credential + origin)))

    def test_leavesResourcesOfApplication(self) -> None:
        """
        Requests for a resource that an application has put in the place of
        comet's are left to Twisted's edge, also where it is a subclass, or of
        another hub.
        """

        class OwnEvents(EventSourceResource):
            """
            A subclass.
            """

        channels: Any = self.root.children[b"channels"]
        channels.transports["sse"] = OwnEvents(self.hub)
        self.assertIsNone(self.plan(b"GET /channels/a?transport=sse"))
        self.assertIsNotNone(self.plan(b"GET /channels/a?transport=poll"))
        clock = Clock()
        other = CometResource(Hub(MemoryBus(clock), clock))
        self.root.putChild(b"publish", other.children[PUBLISH.path.strip(b"/")])
        self.assertIsNone(self.plan(b"POST /publish"))
        self.site.resource = Resource()
        self.assertFalse(self.routes.servesRoute(CHANNELS))
        self.assertIsNone(findRoutes(self.site))

    def test_mayBeAnswered(self) -> None:
        """
        The beginning of a request tells whether the lean edge may answer it,
        however little has come.
        """
        for route in ROUTES:
            for method in route.methods:
                beginning = method + b" " + route.path
                for size in range(len(beginning) + 1):
                    self.assertTrue(mayBeAnswered(beginning[:size]))
                self.assertTrue(mayBeAnswered(beginning + b"x"))
        for beginning in (b"X", b"GET /h", b"GET /publish", b"DELETE", b"\x16\x03", b"get"):
            self.assertFalse(mayBeAnswered(beginning), beginning)
