"""
A backend over real sockets.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, readBody
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.hooks.sender import HookFailure, HookSender, makeAgent
from comet.hooks.signing import writeSecret
from comet.hooks.subscribehook import ReadLookup
from comet.hooks.webhooks import Webhooks
from comet.http.outgoing import ASKED
from comet.hub.hub import Hub
from comet.model.clients import ANONYMOUS, Client
from comet.model.messages import Publication
from comet.reactor.clocks import steadyClock
from comet.reactor.timers import TimerWheel
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.server.service import CometService
from comet.settings.configuration import Configuration
from tests.hooks.case import NOW, SETTINGS

CLIENT = Client("ada")


class Backend(Resource):
    """
    Answers by the path.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def render_POST(self, request: Request) -> Any:
        """
        Answer, or do not.
        """
        path = request.path.decode()
        self.asked.append(path)
        if path == "/hang":
            return NOT_DONE_YET
        if path == "/die":
            request.loseConnection()
            return NOT_DONE_YET
        if path == "/redirect":
            request.redirect(b"/answer")
            return b""
        if path == "/elsewhere":
            port = request.getHost().port
            request.redirect(b"http://localhost:%d/answer" % port)
            return b""
        if path == "/nonsense":
            return b"<html>It works!</html>"
        if path == "/large":
            return b" " * 10_000_000
        if path == "/failing":
            request.setResponseCode(500)
        return b'{"client":"ada"}'


class BackendTests(TestCase):
    """
    Requests to a backend that fails in many ways.
    """

    def setUp(self) -> None:
        """
        Serve the backend.
        """
        from twisted.internet import reactor

        # Any: its stubs know neither a site nor the port of an address.
        used: Any = reactor
        self.reactor = used
        self.backend = Backend()
        self.port = used.listenTCP(0, Site(self.backend), interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.wheel = TimerWheel(steadyClock(self.reactor))

    def ask(self, path: str, timeout: float = 30.0) -> Deferred[dict[str, Any]]:
        """
        Ask the backend.
        """
        url = f"http://127.0.0.1:{self.port.getHost().port}{path}"
        settings = evolve(SETTINGS, url=url, timeout=timeout)
        agent, pool = makeAgent(self.reactor, settings)
        sender = HookSender(settings, agent, self.wheel, lambda: NOW, lambda: NOW, pool=pool)
        # Nothing of it is left then, which trial looks for.
        self.addCleanup(sender.stop)
        return sender.send("connect", {}, lambda answer: answer)

    @inlineCallbacks
    def test_whatClientsAreTold(self) -> Any:
        """
        Where the backend fails, publishers, readers and callers are told that it is
        unavailable, and when to come again; or what is published and read is let be.  No
        question is left.
        """
        url = f"http://127.0.0.1:{self.port.getHost().port}"
        paths = ("/die", "/redirect", "/elsewhere", "/nonsense", "/large", "/failing", "/hang")
        for path in paths:
            timeout = 0.2 if path == "/hang" else 30.0
            settings = evolve(SETTINGS, url=url + path, timeout=timeout, concurrency=2)
            agent, pool = makeAgent(self.reactor, settings)
            sender = HookSender(settings, agent, self.wheel, lambda: NOW, lambda: NOW, pool=pool)
            self.addCleanup(sender.stop)
            for isLenient in (False, True):
                bus = MemoryBus(self.reactor)
                yield bus.start()
                hub = Hub(bus, self.reactor, access=Access(openPatterns=["**"]))
                webhooks = Webhooks(sender, ASKED, isLenient)
                hub.useHooks(webhooks, [("**", ["publish", "subscribe"])])
                asked = hub.askToRead(ANONYMOUS, ["a"])
                assert isinstance(asked, ReadLookup)
                reading: Deferred[Any] = Deferred()
                asked.then(reading.callback, reading.errback)
                each = [
                    reading,
                    *(hub.store(CLIENT, [Publication(("a",), b"1")]) for _ in range(5)),
                    hub.call(CLIENT, "m", None),
                ]
                outcomes = yield DeferredList(each, consumeErrors=True)
                told: list[Any] = [
                    result.value if isinstance(result, Failure) else None for _, result in outcomes
                ]
                codes = [error and (error.code, error.retryAfter) for error in told]
                refused = ("unavailable", 2.0)
                expected = [None] * 6 if isLenient else [refused] * 6
                self.assertEqual(codes, [*expected, refused], (path, isLenient))
                self.assertEqual(bus.end.position, 5 if isLenient else 0)
                # Out of the turn in which the publishers are answered.
                yield deferLater(self.reactor, 0)
                yield hub.stop()
            self.assertEqual((sender.load, sender.places.bytes), ((0, 0), 0))
        # No redirect was followed.
        self.assertEqual(set(self.backend.asked), set(paths))

    @inlineCallbacks
    def test_serverStops(self) -> Any:
        """
        A server that stops leaves no connection to its backend; one that is given another
        backend, none to the one before.  What both were asked is counted together.
        """
        url = f"http://127.0.0.1:{self.port.getHost().port}"
        given = {"listen": "tcp:0:interface=127.0.0.1", "bus": "memory:", "drain": 0}
        before, after = (Configuration({**given, "hook": f"{url}/{n}"}, None) for n in "ab")
        secrets = Secrets(("k" * 16,), hookSecrets=(writeSecret(bytes(32)),))
        server = Server(before, self.reactor, secrets)
        listening: Deferred[Any] = Deferred()
        service = server.makeService(CometService, listening.callback, listening.errback)
        service.startService()
        [port] = yield listening
        client = Agent(self.reactor)
        asked = f"http://127.0.0.1:{port.getHost().port}/channels/a?transport=poll".encode()
        for configuration in (before, after):
            server.configure(Loaded(None, configuration, secrets))
            answer = yield client.request(b"GET", asked)
            yield readBody(answer)
        self.assertEqual(self.backend.asked, ["/a", "/b"])
        self.assertEqual(server.hub.hookCounts.of["connect"].answered, 2)
        yield service.stopService()

    @inlineCallbacks
    def test_failing(self) -> Any:
        """
        A backend that dies, hangs, redirects, fails or answers without end gives no
        answer; the redirect is not followed.
        """
        answer = yield self.ask("/answer")
        self.assertEqual(answer, {"client": "ada"})
        for path in ("/die", "/redirect", "/large", "/failing"):
            yield self.assertFailure(self.ask(path), HookFailure)
        yield self.assertFailure(self.ask("/hang", 0.2), HookFailure)
        # One that closes its connection is sent the request once more.
        paths = ["/answer", "/die", "/die", "/redirect", "/large", "/failing", "/hang"]
        self.assertEqual(self.backend.asked, paths)
