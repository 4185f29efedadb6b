"""
The server as a service: how it is brought down.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from comet.server.listening import Listener
from comet.server.service import CometService
from comet.web.site import CometSite
from tests.server.servicecase import Endpoint, Port, Reader, ServiceTestCase


class DrainingSite(CometSite):
    """
    Is drained when the test says so.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(Resource(), 1000, reactor=clock)
        self.closed: Deferred[Any] = Deferred()
        self.asked = 0

    def drain(self) -> Deferred[Any]:
        """
        Note it.
        """
        self.asked += 1
        return self.closed


class StopTests(ServiceTestCase):
    """
    How it is brought down.
    """

    def test_order(self) -> None:
        """
        The ports are closed and the readers told, and then the bus is stopped.
        """
        self.service.startService()
        reader = Reader(self.events)
        self.successResultOf(self.hub.subscribe("news", "now", reader))
        del self.events[:]
        self.successResultOf(self.service.stopService())
        self.assertEqual(
            sorted(self.events[:-1]), ["port 1 closed", "port 2 closed", "reader told"]
        )
        self.assertEqual(self.events[-1], "bus stopped")
        self.assertFalse(self.service.running)
        self.assertEqual(self.service.ports, [])

    def test_told(self) -> None:
        """
        A reader is told C{draining}, and to come back within the time.
        """
        self.service.startService()
        reader = Reader(self.events)
        self.successResultOf(self.hub.subscribe("news", "now", reader))
        self.successResultOf(self.service.stopService())
        (close,) = reader.closes
        self.assertEqual(close.code, "draining")
        assert close.retry is not None
        self.assertTrue(0 < close.retry <= 10.0)

    def test_notReady(self) -> None:
        """
        From the beginning of its end the hub is not ready.
        """
        self.service.startService()
        self.assertTrue(self.hub.isReady)
        self.service.stopService()
        self.assertFalse(self.hub.isReady)

    def test_portLater(self) -> None:
        """
        The bus runs until the last port is closed.
        """
        closing: Deferred[None] = Deferred()
        self.ports[0].closed = closing
        self.ports[1].closed = None
        self.service.startService()
        stopped = self.service.stopService()
        self.assertNoResult(stopped)
        self.assertNotIn("bus stopped", self.events)
        closing.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.events[-1], "bus stopped")

    def test_underWay(self) -> None:
        """
        What is being published is finished first.
        """
        self.service.startService()
        storing: Deferred[None] = Deferred()
        self.bus.storing = storing
        published = self.hub.publish("news", "x")
        stopped = self.service.stopService()
        self.clock.advance(9.9)
        self.assertNoResult(stopped)
        storing.callback(None)
        self.clock.advance(0)
        self.successResultOf(published)
        self.successResultOf(stopped)
        self.assertEqual(self.events[-1], "bus stopped")

    def test_timeIsOver(self) -> None:
        """
        It does not wait for longer than there is time.
        """
        self.service.startService()
        self.bus.storing = Deferred()
        self.hub.publish("news", "x")
        stopped = self.service.stopService()
        self.clock.advance(10)
        self.successResultOf(stopped)
        self.assertEqual(self.events[-1], "bus stopped")

    def test_sites(self) -> None:
        """
        The connections of HTTP/2 are closed first, if that is within the time.
        """
        for isClosed in (True, False):
            site = DrainingSite(self.clock)
            listeners = [Listener("tcp:1", Endpoint(succeed(self.ports[0])), site)] * 2
            service = CometService(self.hub, listeners, 10.0)
            service.startService()
            stopped = service.stopService()
            self.assertNoResult(stopped)
            self.assertEqual(site.asked, 1)
            if isClosed:
                site.closed.callback(None)
            else:
                self.clock.advance(10)
            self.successResultOf(stopped)

    def test_portFails(self) -> None:
        """
        A port that cannot be closed is in the log, and changes nothing.
        """
        self.ports[0].closed = fail(OSError("odd"))
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.events[-1], "bus stopped")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_beforeBus(self) -> None:
        """
        Stopped while the bus is still starting, it does not wait, keeps no
        port open, and calls it no failure.
        """
        self.bus.starting = Deferred()
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(
            self.events, ["bus started", "port 1 closed", "port 2 closed", "bus stopped"]
        )
        self.assertEqual(self.failed, [])

    def test_stubbornBus(self) -> None:
        """
        Also if the bus then starts all the same.
        """
        starting: Deferred[None] = Deferred(lambda deferred: deferred.callback(None))
        self.bus.starting = starting
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertTrue(starting.called)
        self.assertEqual(
            self.events, ["bus started", "port 1 closed", "port 2 closed", "bus stopped"]
        )
        self.assertEqual(self.service.ports, [])

    def test_beforeListening(self) -> None:
        """
        Stopped while an endpoint is still beginning to listen, it keeps no
        port open, whatever comes of that.
        """
        for later in (Deferred[Port](), Deferred[Port](lambda d: d.callback(self.ports[1]))):
            self.setUp()
            self.endpoints[1].result = later
            self.service.startService()
            self.successResultOf(self.service.stopService())
            self.assertIn("port 1 closed", self.events)
            self.assertNotIn("2 listen", self.events)
            self.assertEqual(self.service.ports, [])
            self.assertEqual(self.failed, [])
        self.assertIn("port 2 closed", self.events)

    def test_neverStarted(self) -> None:
        """
        What was not started can be stopped.
        """
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.failed, [])
