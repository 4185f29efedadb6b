"""
The server as a service: how it starts.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError

from comet.errors import Unavailable
from comet.server.listening import CannotStart
from comet.server.service import CometService
from tests.server.servicecase import Port, ServiceTestCase, StiffPort


class StartTests(ServiceTestCase):
    """
    How it starts.
    """

    def test_nothingBefore(self) -> None:
        """
        Before it is started, nothing is.
        """
        self.assertEqual(self.events, [])
        self.assertEqual([endpoint.factories for endpoint in self.endpoints], [[], []])

    def test_starts(self) -> None:
        """
        The bus is started, then every endpoint listens, with its own factory;
        then it is told.
        """
        self.service.startService()
        self.assertEqual(self.events, ["bus started", "2 listen"])
        self.assertEqual(
            [endpoint.factories for endpoint in self.endpoints],
            [[factory] for factory in self.factories],
        )
        self.assertEqual(self.service.ports, self.ports)
        self.assertTrue(self.service.running)

    def test_privileged(self) -> None:
        """
        It listens while it still has its privileges, and only then.
        """
        self.service.privilegedStartService()
        self.assertEqual(self.events, ["bus started", "2 listen"])
        self.service.startService()
        self.assertEqual(self.events, ["bus started", "2 listen"])

    def test_busLater(self) -> None:
        """
        While the bus is starting everything is listened on already, since that
        may not be allowed for long, but nobody is accepted and nobody told.
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

    def test_bothLater(self) -> None:
        """
        Where the bus and an endpoint take their time, it is told after both,
        whichever is first; only what came before the bus had to be held.
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

    def test_stiff(self) -> None:
        """
        A port that cannot be kept from accepting is closed again until the bus
        is there.
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

    def test_stiffTaken(self) -> None:
        """
        If it cannot be opened again, that is told, and no port stays open.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.endpoints[0].result = succeed(StiffPort(3, self.events))
        self.service.startService()
        self.endpoints[0].result = fail(OSError(98, "Address already in use"))
        starting.callback(None)
        self.assertEqual(self.failed, ["cannot listen on tcp:1: Address already in use"])
        self.assertEqual(self.events, ["bus started", "port 3 closed", "port 2 closed"])

    def test_withoutListeners(self) -> None:
        """
        An application that listens by itself gives no listeners: the service
        starts the bus, and ends well.
        """
        service = CometService(self.hub, [])
        service.startService()
        self.assertEqual(self.events, ["bus started"])
        self.successResultOf(service.stopService())
        self.assertEqual(self.events, ["bus started", "bus stopped"])

    def test_listenLater(self) -> None:
        """
        It is told when the last endpoint listens; the ports keep the order of
        the listeners.
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
    What keeps it from starting.
    """

    def assertCannot(self, reason: str) -> None:
        """
        Starting it fails at once.
        """
        error = self.assertRaises(CannotStart, self.service.privilegedStartService)
        self.assertEqual(str(error), reason)
        self.assertEqual(self.service.ports, [])
        self.assertEqual(self.failed, [])

    def assertFailed(self, reason: str) -> None:
        """
        It has failed later, and said so in the log.
        """
        self.assertEqual(self.failed, [reason])
        self.assertEqual(self.service.ports, [])

    def test_inUse(self) -> None:
        """
        A port in use is told with its endpoint and what the system says, and
        no other stays open.
        """
        error = CannotListenError("127.0.0.1", 2, OSError(98, "Address already in use"))
        self.endpoints[1].result = fail(error)
        self.assertCannot("cannot listen on tcp:2: Address already in use")
        self.assertEqual(self.events, ["bus started", "port 1 closed"])

    def test_otherwise(self) -> None:
        """
        An endpoint may have reasons of its own.
        """
        for error, reason in (
            (CannotListenError("127.0.0.1", 2, "odd"), "Couldn't listen on 127.0.0.1:2: odd."),
            (PermissionError(13, "Permission denied"), "Permission denied"),
        ):
            self.setUp()
            self.endpoints[1].result = fail(error)
            self.assertCannot(f"cannot listen on tcp:2: {reason}")

    def test_unexpected(self) -> None:
        """
        An error that nobody expected keeps its traceback, in the log.
        """
        self.endpoints[0].result = KeyError("odd")
        self.assertCannot("cannot listen on tcp:1: 'odd'")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_bus(self) -> None:
        """
        A bus that cannot be started says what to do; nothing listens then.
        """
        self.bus.starting = fail(Unavailable("the disk is full: make room"))
        self.assertCannot("the disk is full: make room")
        self.assertEqual(self.endpoints[0].factories, [])

    def test_busLater(self) -> None:
        """
        A bus that fails later is told to whoever wants to know; no port stays
        open.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.service.startService()
        starting.errback(Unavailable("nobody answers"))
        self.assertFailed("nobody answers")
        self.assertEqual(self.events, ["bus started", "port 1 closed", "port 2 closed"])

    def test_busLaterThanPort(self) -> None:
        """
        So it is where an endpoint takes its time; whatever that gives then is
        closed.
        """
        starting: Deferred[None] = Deferred()
        self.bus.starting = starting
        self.endpoints[0].result = Deferred(lambda d: d.callback(self.ports[0]))
        self.service.startService()
        starting.errback(Unavailable("nobody answers"))
        self.assertFailed("nobody answers")
        self.assertEqual(sorted(self.events[1:]), ["port 1 closed", "port 2 closed"])

    def test_inUseWhileBusStarts(self) -> None:
        """
        A port in use is told at once, also while the bus is starting, for
        which nobody waits any more.
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

    def test_listenLater(self) -> None:
        """
        So is an endpoint that fails later; no port stays open.
        """
        later: Deferred[Port] = Deferred()
        self.endpoints[1].result = later
        self.service.startService()
        later.errback(OSError(99, "Cannot assign requested address"))
        self.assertFailed("cannot listen on tcp:2: Cannot assign requested address")
        self.assertEqual(self.events, ["bus started", "port 1 closed"])
