"""
A service over fake ports, a bus and a reader that record what is done to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message, Publication, Published
from comet.server.describedendpoints import DescribedEndpoint
from comet.server.service import CometService


@implementer(IListeningPort)
class StiffPort:
    """
    A port that records when it is closed, and that cannot be held.
    """

    def __init__(self, number: int, events: list[str]) -> None:
        self.number = number
        self.events = events
        self.closed: Deferred[None] | None = succeed(None)

    def startListening(self) -> None:
        """
        Nothing to do.
        """

    def getHost(self) -> IAddress:
        """
        Return an address with the port's number.
        """
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopListening(self) -> Deferred[None] | None:
        """
        Record the call.
        """
        self.events.append(f"port {self.number} closed")
        return self.closed


class Port(StiffPort):
    """
    A port that can be held.

    @ivar isHeld: Whether it is held.
    """

    isHeld = False

    def stopReading(self) -> None:
        """
        Accept no connections.
        """
        self.isHeld = True

    def startReading(self) -> None:
        """
        Accept connections.
        """
        self.isHeld = False


@implementer(IStreamServerEndpoint)
class Endpoint:
    """
    An endpoint that gives the result that a test has set.
    """

    def __init__(self, result: Any) -> None:
        self.result = result
        self.factories: list[IProtocolFactory] = []

    def listen(self, protocolFactory: IProtocolFactory) -> Any:
        """
        Record the factory.
        """
        self.factories.append(protocolFactory)
        if isinstance(self.result, KeyError):
            raise self.result
        return self.result


class Bus(MemoryBus):
    """
    A bus that starts and stores when the test says so, and records its start
    and stop.
    """

    def __init__(self, clock: Clock, events: list[str]) -> None:
        super().__init__(clock)
        self.events = events
        self.starting: Deferred[None] = succeed(None)
        self.storing: Deferred[None] = succeed(None)

    def start(self) -> Deferred[None]:
        """
        See L{MemoryBus.start}.
        """
        self.events.append("bus started")
        return self.starting

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{MemoryBus.publish}.
        """
        published = super().publish
        return self.storing.addCallback(lambda _: published(publications))

    def stop(self) -> Deferred[None]:
        """
        See L{MemoryBus.stop}.
        """
        self.events.append("bus stopped")
        return super().stop()


@implementer(IReceiver)
class Reader:
    """
    A reader that records how it is closed.
    """

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.closes: list[Close] = []

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Nothing to do.
        """

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Nothing to do.
        """

    def subscriptionClosed(self, close: Close) -> None:
        """
        Record the close.
        """
        self.events.append("reader told")
        self.closes.append(close)


class ServiceTestCase(SynchronousTestCase):
    """
    A service over two endpoints.
    """

    def setUp(self) -> None:
        """
        Make the service and its parts.
        """
        self.events: list[str] = []
        self.failed: list[str] = []
        self.clock = Clock()
        self.bus = Bus(self.clock, self.events)
        self.hub = Hub(self.bus, self.clock)
        self.held = [Port(1, self.events), Port(2, self.events)]
        self.ports: list[StiffPort] = [*self.held]
        self.endpoints = [Endpoint(succeed(port)) for port in self.ports]
        self.factories = [Factory(), Factory()]
        self.service = CometService(
            self.hub,
            [
                (DescribedEndpoint(f"tcp:{port.number}", endpoint), factory)
                for port, endpoint, factory in zip(
                    self.ports, self.endpoints, self.factories, strict=True
                )
            ],
            10.0,
            lambda service: self.events.append(f"{len(service.ports)} listen"),
            lambda error: self.failed.append(str(error)),
        )
