"""
How the service starts.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from comet.bus.memory.bus import MemoryBus
from comet.errors import Unavailable
from comet.hub.hub import Hub
from comet.server.service import CometService
from comet.server.startfailure import CannotStart
from tests.server.servicecase import Port, ServiceTestCase, StiffPort


class StartTests(ServiceTestCase):
    """
    L{CometService.startService} and C{privilegedStartService} that succeed.
    """

    def test_doesNothingBeforeStart(self) -> None:
        """
        The constructor starts no bus and listens nowhere.
        """
        self.assertEqual(self.events, [])
        self.assertEqual([endpoint.factories for endpoint in self.endpoints], [[], []])

    def test_startsBusThenListensThenCallsBack(self) -> None:
        """
        The service starts the bus, listens on every endpoint with its own
        factory, and then calls back.
        """
        self.service.startService()
        self.assertEqual(self.events, ["bus started", "2 listen"])
        self.assertEqual(
            [endpoint.factories for endpoint in self.endpoints],
            [[factory] for factory in self.factories],
        )
        self.assertEqual(self.service.ports, self.ports)
        self.assertTrue(self.service.running)

    def test_listensOnceWhilePrivileged(self) -> None:
        """
        The privileged start does all the work, and C{startService} does none
        of it again.
        """
        self.service.privilegedStartService()
        self.assertEqual(self.events, ["bus started", "2 listen"])
        self.service.startService()
        self.assertEqual(self.events, ["bus started", "2 listen"])

    def test_holdsPortsUntilBusIsReady(self) -> None:
        """
        While the bus starts, all ports are bound, since the process may lose
        the privilege to bind them, but they accept no connection.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.service.privilegedStartService()
        self.assertEqual(self.events, ["bus started"])
        self.assertEqual(
            [endpoint.factories for endpoint in self.endpoints],
            [[factory] for factory in self.factories],
        )
        self.assertEqual([port.isHeld for port in self.held], [True, True])
        self.service.startService()
        starting.callback(None)
        self.assertEqual(self.events, ["bus started", "2 listen"])
        self.assertEqual([port.isHeld for port in self.held], [False, False])
        self.assertEqual(self.failed, [])

    def test_waitsForBusAndEndpointInEitherOrder(self) -> None:
        """
        If the bus and an endpoint take time, the service calls back after both,
        in either order.  Only ports that listen before the bus are held.
        """
        for busIsFirst in (True, False):
            self.setUp()
            starting, listening = Deferred[None](), Deferred[StiffPort]()
            self.bus.starting = starting
            self.endpoints[0].result = listening
            self.service.startService()
            for isBus in (busIsFirst, not busIsFirst):
                self.assertEqual(self.events, ["bus started"])
                self.assertTrue(self.held[1].isHeld)
                if isBus:
                    starting.callback(None)
                else:
                    listening.callback(self.ports[0])
                    self.assertIs(self.held[0].isHeld, not busIsFirst)
            self.assertEqual(self.events, ["bus started", "2 listen"])
            self.assertEqual([port.isHeld for port in self.held], [False, False])
            self.assertEqual(self.service.ports, self.ports)

    def test_reopensPortThatCannotBeHeld(self) -> None:
        """
        A port that cannot be held is closed, and opened again when the bus is
        ready.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        stiff = StiffPort(3, self.events)
        self.endpoints[0].result = succeed(stiff)
        self.service.startService()
        self.assertEqual(self.events, ["bus started", "port 3 closed"])
        self.endpoints[0].result = succeed(stiff)
        starting.callback(None)
        self.assertEqual(self.events, ["bus started", "port 3 closed", "2 listen"])
        self.assertEqual(self.service.ports, [stiff, self.ports[1]])
        self.assertFalse(self.held[1].isHeld)

    def test_failsIfPortCannotBeReopened(self) -> None:
        """
        If another process takes the address of a port that could not be held,
        the start fails and no port stays open.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.endpoints[0].result = succeed(StiffPort(3, self.events))
        self.service.startService()
        self.endpoints[0].result = fail(OSError(98, "Address already in use"))
        starting.callback(None)
        self.assertEqual(self.failed, ["cannot listen on tcp:1: Address already in use"])
        self.assertEqual(self.events, ["bus started", "port 3 closed", "port 2 closed"])

    def test_startsBusWithoutEndpoints(self) -> None:
        """
        An application that listens by itself gives no endpoints.  The service
        starts and stops the bus.
        """
        service = CometService(self.hub, [])
        service.startService()
        self.assertEqual(self.events, ["bus started"])
        self.successResultOf(service.stopService())
        self.assertEqual(self.events, ["bus started", "bus stopped"])

    def test_takesDescriptions(self) -> None:
        """
        An endpoint may be given by its description.  The service then listens
        on the hub's clock, which is a reactor.
        """
        reactor = MemoryReactorClock()
        hub = Hub(MemoryBus(reactor), reactor)
        factory = Factory()
        service = CometService(hub, [("tcp:8001", factory), ("tcp:8002", factory)])
        self.assertEqual(reactor.tcpServers, [])
        service.startService()
        self.assertEqual([server[0] for server in reactor.tcpServers], [8001, 8002])

    def test_refusesWhatIsNoDescription(self) -> None:
        """
        A string that describes no endpoint is refused by the constructor.
        """
        self.assertRaises(ValueError, CometService, self.hub, [("nothing", Factory())])

    def test_keepsOrderOfEndpoints(self) -> None:
        """
        The service calls back when the last endpoint listens.  The ports keep
        the order of the endpoints.
        """
        first: Deferred[StiffPort] = Deferred()
        self.endpoints[0].result = first
        self.service.startService()
        self.assertEqual(self.events, ["bus started"])
        first.callback(self.ports[0])
        self.assertEqual(self.events, ["bus started", "2 listen"])
        self.assertEqual(self.service.ports, self.ports)


class CannotStartTests(ServiceTestCase):
    """
    L{CometService.startService} and C{privilegedStartService} that fail.
    """

    def assertCannot(self, reason: str) -> None:
        """
        Assert that the start fails at once, with this reason.
        """
        error = self.assertRaises(CannotStart, self.service.privilegedStartService)
        self.assertEqual(str(error), reason)
        self.assertEqual(self.service.ports, [])
        self.assertEqual(self.failed, [])

    def assertFailed(self, reason: str) -> None:
        """
        Assert that the start has failed after C{startService} returned.
        """
        self.assertEqual(self.failed, [reason])
        self.assertEqual(self.service.ports, [])

    def test_namesEndpointInUse(self) -> None:
        """
        If an address is in use, the error names the endpoint and what the
        system said, and no other port stays open.
        """
        error = CannotListenError("127.0.0.1", 2, OSError(98, "Address already in use"))
        self.endpoints[1].result = fail(error)
        self.assertCannot("cannot listen on tcp:2: Address already in use")
        self.assertEqual(self.events, ["bus started", "port 1 closed"])

    def test_keepsReasonOfEndpoint(self) -> None:
        """
        The reason that an endpoint gives itself is in the error.
        """
        for error, reason in (
            (CannotListenError("127.0.0.1", 2, "odd"), "Couldn't listen on 127.0.0.1:2: odd."),
            (PermissionError(13, "Permission denied"), "Permission denied"),
        ):
            self.setUp()
            self.endpoints[1].result = fail(error)
            self.assertCannot(f"cannot listen on tcp:2: {reason}")

    def test_logsTracebackOfUnexpectedError(self) -> None:
        """
        An error of an unexpected kind is logged with its traceback.
        """
        self.endpoints[0].result = KeyError("odd")
        self.assertCannot("cannot listen on tcp:1: 'odd'")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_listensNowhereWithoutBus(self) -> None:
        """
        If the bus fails at once, the error is the bus's, and no endpoint
        listens.
        """
        self.bus.starting = fail(Unavailable("the disk is full: make room"))
        self.assertCannot("the disk is full: make room")
        self.assertEqual(self.endpoints[0].factories, [])

    def test_closesPortsWhenBusFailsLater(self) -> None:
        """
        If the bus fails later, the callback gets the error and no port stays
        open.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.service.startService()
        starting.errback(Unavailable("no answer"))
        self.assertFailed("no answer")
        self.assertEqual(self.events, ["bus started", "port 1 closed", "port 2 closed"])

    def test_closesPortThatListensAfterBusFailed(self) -> None:
        """
        If the bus fails while an endpoint still takes time, the port that the
        endpoint gives in the end is closed.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.endpoints[0].result = Deferred(lambda d: d.callback(self.ports[0]))
        self.service.startService()
        starting.errback(Unavailable("no answer"))
        self.assertFailed("no answer")
        self.assertEqual(sorted(self.events[1:]), ["port 1 closed", "port 2 closed"])

    def test_cancelsBusWhenAddressIsInUse(self) -> None:
        """
        If an address is in use while the bus starts, the start fails at once,
        and the bus's start is cancelled.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        cancelled: list[object] = []
        starting.addErrback(cancelled.append)
        error = CannotListenError("127.0.0.1", 2, OSError(98, "Address already in use"))
        self.endpoints[1].result = fail(error)
        self.assertCannot("cannot listen on tcp:2: Address already in use")
        self.assertEqual(self.events, ["bus started", "port 1 closed"])
        self.assertEqual(len(cancelled), 1)

    def test_closesPortsWhenEndpointFailsLater(self) -> None:
        """
        If an endpoint fails later, the callback gets the error and no port
        stays open.
        """
        later: Deferred[Port] = Deferred()
        self.endpoints[1].result = later
        self.service.startService()
        later.errback(OSError(99, "Cannot assign requested address"))
        self.assertFailed("cannot listen on tcp:2: Cannot assign requested address")
        self.assertEqual(self.events, ["bus started", "port 1 closed"])
