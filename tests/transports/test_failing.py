"""
Tests of protocols of Twisted's edge that fail: what a client sends raises an
exception that is none of comet's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher

from comet.logging import clientlog
from comet.logging.clientlog import BURST, Budgets
from comet.reactor.turns import SHARE
from comet.transports.session import Session
from comet.transports.tcp import CometFactory
from tests.transports.case import get
from tests.transports.frames import TEXT, UPGRADE, frame
from tests.transports.wire import Wire
from tests.web.http2.case import Http2TestCase

COMMAND = b'{"ping":1}'


class FailingTests(Http2TestCase):
    """
    Each protocol that takes the input of clients.
    """

    def setUp(self) -> None:
        """
        Let requests and commands fail.
        """
        super().setUp()
        self.good = 0

        def failing(*args: object) -> None:
            if self.good:
                self.good -= 1
                # Each takes half of a share.
                self.clock.rightNow += SHARE / 2
            else:
                raise RuntimeError("broken")

        self.patch(Session, "commandReceived", failing)
        self.failing = failing

    def http(self) -> Wire:
        """
        Send a request of HTTP/1.
        """
        self.patch(self.site, "requestFactory", self.failing)
        wire = self.connect()
        wire.send(get("/health"))
        return wire

    def http2(self) -> Wire:
        """
        Send a request of HTTP/2.
        """
        self.patch(self.site, "requestFactory", self.failing)
        client, wire = self.open()
        client.send("GET", "/health")
        return wire

    def websocket(self, count: int = 1) -> Wire:
        """
        Send commands by WebSocket.
        """
        wire = self.connect()
        wire.send(get("/socket", *UPGRADE))
        wire.send(frame(TEXT, COMMAND) * count)
        return wire

    def tcp(self, count: int = 1) -> Wire:
        """
        Send commands by raw TCP.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send((COMMAND + b"\n") * count)
        return wire

    def test_cutsOnce(self) -> None:
        """
        The connection is cut, nothing is left of it, and one line is logged.
        """
        ways: list[Callable[[], Wire]] = [self.http, self.http2, self.websocket, self.tcp]
        for way in ways:
            wire = way()
            self.assertFalse(wire.isOpen)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertNothingLeft()

    def test_cutsInLaterTurn(self) -> None:
        """
        The same goes for input that is dealt with in a later turn, and what
        follows it is dropped.
        """
        for way in (self.websocket, self.tcp):
            self.good = 4
            wire = way(1000)
            self.assertTrue(wire.isOpen)
            for _ in range(3):
                self.turn()
            self.assertFalse(wire.isOpen)
            self.assertEqual(self.good, 0)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertNothingLeft()

    def test_boundsLines(self) -> None:
        """
        A client that comes back and back does not fill the log.
        """
        self.patch(clientlog, "_budgets", Budgets(self.clock.seconds))
        lines: list[dict[str, Any]] = []
        # Any: zope's interfaces do not know that a function is an observer.
        observer: Any = lines.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for way in (self.http, self.http2, self.websocket, self.tcp):
            for _ in range(3 * BURST):
                self.assertFalse(way().isOpen)
        clientlog.tellLeftOut()
        said = [formatEvent(line) for line in lines if not line.get("isError", 0)]
        self.assertLessEqual(len(self.flushLoggedErrors(RuntimeError)), 4 * BURST)
        self.assertLessEqual(len(said), 4 * BURST + 4)
        self.assertIn("lines were left out", said[-1])
