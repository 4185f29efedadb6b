"""
Tests of L{comet.web.resources}: what is at which URL.
"""

from __future__ import annotations

from twisted.web.resource import Resource

from comet.transports.channel import ChannelResource
from comet.transports.exchange import Exchange
from comet.web.resources import CometResource
from tests.transports.case import COMMON, KEY, HubTestCase, get, post, readResponse


class TreeTests(HubTestCase):
    """
    The tree of resources, at the root and elsewhere.
    """

    def test_answersNotFound(self) -> None:
        """
        A path that leads nowhere is answered with an error in the usual form,
        for each method.
        """
        for path in ("/nowhere", "/channel/a", "/health/x", "/socket/x", "//channels/a"):
            self.assertProblem(self.ask(get(path)), 404, "notFound")
        self.assertProblem(self.ask(post("/nowhere", b"x")), 404, "notFound")
        self.assertProblem(self.ask(get("/x", method="OPTIONS")), 404, "notFound")

    def test_quotesPathSafely(self) -> None:
        """
        The error quotes only the beginning of the path, and is not HTML.
        """
        response = self.ask(get("/<script>" + "a" * 10000))
        self.assertProblem(response, 404, "notFound")
        self.assertLess(len(response.body), 300)
        self.assertEqual(response.header("X-Content-Type-Options"), "nosniff")

    def test_tellsHealth(self) -> None:
        """
        The server is ready until it drains.
        """
        response = self.ask(get("/health"))
        self.assertEqual((response.status, response.json), (200, {"ready": True}))
        for name, values in COMMON.items():
            self.assertEqual(response.headers[name], values)
        self.assertEqual(self.ask(get("/health", method="HEAD")).status, 200)
        self.hub.drain(1)
        response = self.ask(get("/health"))
        told = {"ready": False, "reason": "draining"}
        self.assertEqual((response.status, response.json), (503, told))
        self.assertEqual(self.ask(get("/health/live")).json, {"live": True})

    def test_tellsWhyItIsNotReady(self) -> None:
        """
        The server says what keeps it from being ready, also below
        C{/health/ready}.
        """
        for attribute, reason in (("isStarting", "starting"), ("isLeaving", "draining")):
            setattr(self.hub, attribute, True)
            for path in ("/health", "/health/ready"):
                response = self.ask(get(path))
                told = {"ready": False, "reason": reason}
                self.assertEqual((response.status, response.json), (503, told))
            setattr(self.hub, attribute, False)
        for path in ("/health/", "/health/x", "/health/live/x", "/health/ready/"):
            self.assertEqual(self.ask(get(path)).status, 404, path)

    def test_isNotReadyWithoutBus(self) -> None:
        """
        The server is not ready while the bus is unavailable.
        """
        self.patch(self.bus, "isAvailable", False)
        response = self.ask(get("/health"))
        told = {"ready": False, "reason": "bus"}
        self.assertEqual((response.status, response.json), (503, told))

    def test_worksBelowPath(self) -> None:
        """
        Below a path all is as at the root; the path itself, without a slash at
        its end, leads nowhere.
        """
        root = Resource()
        root.putChild(b"push", CometResource(self.hub))
        for site in (self.makeSite(root), self.makePlainSite(root)):
            self.assertEqual(self.ask(post("/push/channels/a/b", b"x"), site).status, 201)
            response = self.ask(get("/push/channels/a/b?transport=poll&since=-1"), site)
            self.assertEqual(response.json["messages"][0]["channel"], "a/b")
            self.assertEqual(self.ask(get("/push/health"), site).status, 200)
            for path in ("/push", "/push/x"):
                self.assertProblem(self.ask(get(path), site), 404, "notFound")

    def test_twoTreesShareHub(self) -> None:
        """
        Two trees over one hub serve the same channels.
        """
        root = Resource()
        root.putChild(b"one", CometResource(self.hub))
        root.putChild(b"two", CometResource(self.hub))
        site = self.makeSite(root)
        wire = self.connect(site)
        wire.send(get("/two/channels/a"))
        self.ask(post("/one/channels/a", b"x"), site)
        self.assertEqual(readResponse(wire.take()).json["messages"][0]["data"], "x")

    def test_applicationReplacesResource(self) -> None:
        """
        An application replaces one resource by its own.
        """

        class Mine(ChannelResource):
            def names(self, exchange: Exchange) -> tuple[str, ...]:
                return tuple("mine/" + name for name in exchange.names)

        tree = CometResource(self.hub)
        tree.putChild(b"channels", Mine(self.hub))
        site = self.makeSite(tree)
        self.assertEqual(
            list(self.ask(post("/channels/a", b"x"), site).json["channels"]), ["mine/a"]
        )
        response = self.ask(get("/channels/a?transport=poll&since=-1"), site)
        self.assertEqual(response.json["messages"][0]["channel"], "mine/a")

    def test_checksHost(self) -> None:
        """
        The host is checked at all paths but those of a load balancer.
        """
        for path in ("/", "/health/x", "/publish", "/socket", "/channels/a", "/x"):
            wire = self.connect()
            wire.send(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
            self.assertProblem(readResponse(wire.take()), 421, "wrongHost")

    def test_healthNeedsNoHost(self) -> None:
        """
        The state is told under any name, though not to pages of that name, and not
        under what is no name.
        """
        for path in ("/health", "/health/live", "/health/ready"):
            text = f"GET {path} HTTP/1.1\r\nHost: comet:8080\r\nOrigin: http://comet:8080\r\n\r\n"
            response = self.ask(text.encode())
            self.assertEqual(response.status, 200)
            self.assertIsNone(response.header("Access-Control-Allow-Origin"))
            wrong = f"GET {path} HTTP/1.1\r\nHost: a b\r\n\r\n"
            self.assertProblem(self.ask(wrong.encode()), 421, "wrongHost")

    def test_keyNeedsNoHost(self) -> None:
        """
        A request with the key is answered under any name; one with another
        credential, or with the key in another place, is not.
        """
        text = "POST /channels/a{0} HTTP/1.1\r\nHost: comet:8080\r\n{1}Content-Length: 1\r\n\r\nx"
        good = f"Authorization: Bearer {KEY}\r\n"
        response = self.ask(text.format("", good).encode())
        self.assertEqual((response.status, self.hub.end.position), (201, 1))
        for query, header in (
            ("", ""),
            ("", "Authorization: Bearer 0123456789abcdeg\r\n"),
            ("", f"Authorization: Basic {KEY}\r\n"),
            ("", f"Cookie: comet_token={KEY}\r\n"),
            (f"?token={KEY}", ""),
        ):
            response = self.ask(text.format(query, header).encode())
            self.assertProblem(response, 421, "wrongHost")
        # The name becomes no origin of the server's.
        response = self.ask(text.format("", f"{good}Origin: http://comet:8080\r\n").encode())
        self.assertProblem(response, 403, "forbidden")
        for query, status in (("", 400), ("&origin=http://comet:8080", 403)):
            asked = f"GET /channels/a?transport=iframe{query} HTTP/1.1\r\nHost: comet:8080\r\n"
            self.assertEqual(self.ask(f"{asked}{good}\r\n".encode()).status, status)
        self.assertEqual(self.hub.end.position, 1)
