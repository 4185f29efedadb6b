"""
Tests of L{comet.transports.connected}, and of the factories that have one.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.transports.connected import Connections
from comet.transports.flashpolicy import FlashPolicyFactory
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite


class Transport(StringTransport):
    """
    A transport that notes that it was cut.
    """

    isCut = False

    def abortConnection(self) -> None:
        """
        Note it.
        """
        self.isCut = True


class ConnectionsTests(SynchronousTestCase):
    """
    L{Connections}.
    """

    def setUp(self) -> None:
        """
        Make two connections.
        """
        self.connections = Connections()
        self.transports = [Transport(), Transport()]
        self.protocols: list[Any] = [Protocol(), Protocol()]
        for protocol, transport in zip(self.protocols, self.transports, strict=True):
            self.connections.add(protocol)
            protocol.makeConnection(transport)

    def test_cutsAll(self) -> None:
        """
        All connections are cut.
        """
        self.assertTrue(self.connections.cut())
        self.assertEqual([each.isCut for each in self.transports], [True, True])

    def test_leavesOthers(self) -> None:
        """
        A connection that is lost is not cut, nor one that another protocol has
        taken, nor one whose protocol is forgotten.
        """
        self.connections.discard(self.protocols[0])
        self.protocols[1].transport = None
        self.connections.add(Protocol())
        gc.collect()
        self.assertFalse(self.connections.cut())
        self.assertEqual([each.isCut for each in self.transports], [False, False])


class FactoryTests(SynchronousTestCase):
    """
    C{cutConnections} of comet's factories.
    """

    def test_cutConnections(self) -> None:
        """
        A factory cuts the connections that are open, and no timer is left when
        they are lost.
        """
        clock = Clock()
        hub = Hub(MemoryBus(clock), clock)
        site = CometSite(CometResource(hub), 65536, reactor=clock)
        factories: list[Any] = [site, CometFactory(hub), FlashPolicyFactory(hub)]
        for factory in factories:
            self.assertFalse(factory.cutConnections())
            transports = [Transport(), Transport()]
            protocols = [factory.buildProtocol(None) for _ in transports]
            for protocol, transport in zip(protocols, transports, strict=True):
                protocol.makeConnection(transport)
            protocols[0].connectionLost(Failure(connectionDone.value))
            self.assertTrue(factory.cutConnections())
            self.assertEqual([each.isCut for each in transports], [False, True])
            protocols[1].connectionLost(Failure(connectionDone.value))
            self.assertFalse(factory.cutConnections())
            self.assertEqual(clock.getDelayedCalls(), [])
