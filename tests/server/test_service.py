"""
How the service stops.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from comet.server.service import CometService
from comet.web.site import CometSite
from tests.server.servicecase import Endpoint, Port, Reader, ServiceTestCase


class DrainingSite(CometSite):
    """
    A site that is drained when the test says so.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(Resource(), 1000, reactor=clock)
        self.closed: Deferred[Any] = Deferred()
        self.asked = 0

    def drain(self) -> Deferred[Any]:
        """
        Count the call.
        """
        self.asked += 1
        return self.closed


class StopTests(ServiceTestCase):
    """
    L{CometService.stopService}.
    """

    def test_stopsBusLast(self) -> None:
        """
        The service closes its ports and its readers, and then stops the bus.
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

    def test_tellsReadersWhenToComeBack(self) -> None:
        """
        A reader is closed with C{draining}, and with a time to come back that
        is not above the time to drain.
        """
        self.service.startService()
        reader = Reader(self.events)
        self.successResultOf(self.hub.subscribe("news", "now", reader))
        self.successResultOf(self.service.stopService())
        (close,) = reader.closes
        self.assertEqual(close.code, "draining")
        assert close.retry is not None
        self.assertTrue(0 < close.retry <= 10.0)

    def test_noticeComesFirst(self) -> None:
        """
        During the notice the hub is not ready, and everything else is as before:
        ports are open, readers stay, and new ones come.
        """
        service = CometService(
            self.hub,
            [(Endpoint(succeed(self.ports[0])), Factory())],
            10.0,
            notice=2.0,
        )
        service.startService()
        readers = [Reader(self.events), Reader(self.events)]
        self.successResultOf(self.hub.subscribe("news", "now", readers[0]))
        stopped = service.stopService()
        self.assertEqual(self.hub.whyNotReady, "draining")
        self.successResultOf(self.hub.subscribe("news", "now", readers[1]))
        self.clock.advance(1.9)
        self.assertNotIn("port 1 closed", self.events)
        self.assertNotIn("reader told", self.events)
        self.clock.advance(0.2)
        self.assertIn("port 1 closed", self.events)
        self.assertEqual(self.events.count("reader told"), 2)
        self.successResultOf(stopped)

    def test_waitsForRequestsUnderWay(self) -> None:
        """
        The bus is stopped only once no port and no site has a request under way,
        or the time to drain is over.
        """
        for isFinished in (True, False):
            self.setUp()
            busy: Any = self.ports[0]
            busy.isBusy = True
            self.service.startService()
            stopped = self.service.stopService()
            self.clock.pump([0.05] * 20)
            self.assertNoResult(stopped)
            self.assertNotIn("bus stopped", self.events)
            if isFinished:
                busy.isBusy = False
                self.clock.advance(0.05)
            else:
                self.clock.advance(9.0)
            self.successResultOf(stopped)
            self.assertEqual(self.events[-1], "bus stopped")
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hubIsNotReadyOnceStopping(self) -> None:
        """
        The hub is not ready as soon as the service begins to stop.
        """
        self.service.startService()
        self.assertTrue(self.hub.isReady)
        self.service.stopService()
        self.assertFalse(self.hub.isReady)

    def test_busRunsUntilPortsAreClosed(self) -> None:
        """
        The bus is not stopped before the last port is closed.
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

    def test_waitsForPublication(self) -> None:
        """
        The service waits for a publication that is under way.
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

    def test_waitsNoLongerThanDrainTime(self) -> None:
        """
        The service does not wait longer than the time to drain.
        """
        self.service.startService()
        self.bus.storing = Deferred()
        self.hub.publish("news", "x")
        stopped = self.service.stopService()
        self.clock.advance(10)
        self.successResultOf(stopped)
        self.assertEqual(self.events[-1], "bus stopped")

    def test_drainsEachSiteOnce(self) -> None:
        """
        A site at two endpoints is drained once.  The service waits for it, but
        not longer than the time to drain.
        """
        for isClosed in (True, False):
            site = DrainingSite(self.clock)
            served = [(Endpoint(succeed(self.ports[0])), site)] * 2
            service = CometService(self.hub, served, 10.0)
            service.startService()
            stopped = service.stopService()
            self.assertNoResult(stopped)
            self.assertEqual(site.asked, 1)
            if isClosed:
                site.closed.callback(None)
            else:
                self.clock.advance(10)
            self.successResultOf(stopped)

    def test_endsInTime(self) -> None:
        """
        What ends after the hub, and after all connections, is told what is left of the time
        to drain.
        """
        for waited in (0, 4, 10):
            events: list[Any] = []
            site = DrainingSite(self.clock)
            served = [(Endpoint(succeed(self.ports[0])), site)]
            service = CometService(self.hub, served, 10.0, ended=events.append)
            service.startService()
            self.patch(service, "_cutConnections", lambda seen=events: seen.append("cut"))
            service.stopService()
            self.clock.advance(waited)
            site.closed.callback(None)
            self.assertEqual(events, ["cut", 10 - waited])

    def test_logsPortThatCannotBeClosed(self) -> None:
        """
        A port that cannot be closed is logged, and the service still stops.
        """
        self.ports[0].closed = fail(OSError("odd"))
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.events[-1], "bus stopped")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_stopsWhileBusStarts(self) -> None:
        """
        A service that is stopped while the bus starts does not wait for it,
        closes its ports, and reports no failure.
        """
        self.bus.starting = Deferred()
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(
            self.events, ["bus started", "port 1 closed", "port 2 closed", "bus stopped"]
        )
        self.assertEqual(self.failed, [])

    def test_stopsWhileBusStartsDespiteCancelling(self) -> None:
        """
        A bus that starts although its start was cancelled leaves no port open.
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

    def test_stopsWhileEndpointStartsToListen(self) -> None:
        """
        A service that is stopped while an endpoint starts to listen leaves no
        port open, also if the endpoint listens despite being cancelled.
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

    def test_stopsWithoutStart(self) -> None:
        """
        A service that was never started can be stopped.
        """
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.failed, [])
