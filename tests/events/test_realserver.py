"""
Events of a real server, sent to a real backend.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from comet.hooks.signing import sign, writeSecret
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.server.service import CometService
from comet.settings.configuration import Configuration

SECRET = bytes(range(32))
COUNT = 350


class Backend(Resource):
    """
    Notes what it is sent, unless it is away: then it closes the connections.

    @ivar taken: The events, in the order in which they came.

    @ivar missed: The ids of the requests that found it away.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []
        self.missed: list[str] = []
        self.faults: list[str] = []
        self.isAway = False
        self._until: tuple[Any, Deferred[None]] | None = None

    def until(self, holds: Any) -> Deferred[None]:
        """
        @return: Fires when something holds after a request.
        """
        waits: Deferred[None] = Deferred()
        self._until = holds, waits
        self._look()
        return waits

    def _look(self) -> None:
        if self._until is not None and self._until[0]():
            waits, self._until = self._until[1], None
            waits.callback(None)

    def render_POST(self, request: Request) -> Any:
        """
        Take events.
        """
        id = request.getHeader("webhook-id") or ""
        if self.isAway:
            self.missed.append(id)
            request.loseConnection()
            self._look()
            return NOT_DONE_YET
        body = request.content.read()  # type: ignore[union-attr]
        stamp = int(request.getHeader("webhook-timestamp") or 0)
        if request.getHeader("webhook-signature") != sign([SECRET], id, stamp, body):
            self.faults.append("the signature is wrong")
        told = json.loads(body)
        if told["type"] != "events" or len(told["events"]) > 100:
            self.faults.append(f"{told['type']} with {len(told['events'])} events")
        self.taken += told["events"]
        request.setResponseCode(204)
        self._look()
        return b""


class RealServerTests(TestCase):
    """
    A server with a hook that is sent events.
    """

    def setUp(self) -> None:
        """
        Serve the backend, and the server.
        """
        from twisted.internet import reactor

        # Any: its stubs know neither a site nor the port of an address.
        used: Any = reactor
        self.reactor = used
        self.backend = Backend()
        self.port = used.listenTCP(0, Site(self.backend), interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    @inlineCallbacks
    def test_awayUnderLoad(self) -> Any:
        """
        A backend that goes away under load gets all events when it is back, in order and
        each once; then no more, when the configuration says so.
        """
        url = f"http://127.0.0.1:{self.port.getHost().port}/hook"
        given = {"listen": "tcp:0:interface=127.0.0.1", "bus": "memory:", "drain": 0}
        tables = {"channels": {"chat/**": {"events": True, "presence": True}}}
        sending = Configuration({**given, "hook": url, "hook-events": ["events"]}, tables)
        secrets = Secrets(("k" * 16,), hookSecrets=(writeSecret(SECRET),))
        server = Server(sending, self.reactor, secrets)
        listening: Deferred[Any] = Deferred()
        service = server.makeService(CometService, listening.callback, listening.errback)
        service.startService()
        [port] = yield listening
        backend = self.backend
        pool = HTTPConnectionPool(self.reactor, persistent=False)
        asked = f"http://127.0.0.1:{port.getHost().port}/channels/chat/a?transport=poll"
        answer = yield Agent(self.reactor, pool=pool).request(b"GET", asked.encode())
        yield readBody(answer)
        yield backend.until(lambda: backend.taken)
        self.assertEqual(backend.taken[0]["event"], "occupied")
        self.assertEqual(backend.taken[0]["data"], {"channel": "chat/a"})

        backend.isAway = True
        for number in range(COUNT):
            yield server.hub.publish("$events", number, "happened")
        yield backend.until(lambda: len(backend.missed) > 1)
        backend.isAway = False
        yield backend.until(lambda: len(backend.taken) > COUNT)
        self.assertEqual([each["data"] for each in backend.taken[1:]], list(range(COUNT)))
        self.assertEqual(len(set(backend.missed)), 1)
        self.assertEqual(backend.faults, [])

        server.configure(Loaded(None, Configuration(given, tables), secrets))
        yield server.hub.publish("$events", "later", "happened")
        yield service.stopService()
        self.assertEqual(len(backend.taken), COUNT + 1)
