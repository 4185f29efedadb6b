"""
A service over ports, a bus and a reader that note what is done to them.
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
from comet.hub import Hub
from comet.interfaces import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message, Publication, Published
from comet.server.listening import Listener
from comet.server.service import CometService


@implementer(IListeningPort)
class StiffPort:
    """
    Notes when it is closed; it cannot be kept from accepting.
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
        Its number.
        """
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopListening(self) -> Deferred[None] | None:
        """
        Note it.
        """
        self.events.append(f"port {self.number} closed")
        return self.closed


class Port(StiffPort):
    """
    Can be kept from accepting.

    @ivar isHeld: Whether it is.
    """

    isHeld = False

    def stopReading(self) -> None:
        """
        Accept nobody.
        """
        self.isHeld = True

    def startReading(self) -> None:
        """
        Accept everybody.
        """
        self.isHeld = False


@implementer(IStreamServerEndpoint)
class Endpoint:
    """
    Listens when it is told to.
    """

    def __init__(self, result: Any) -> None:
        self.result = result
        self.factories: list[IProtocolFactory] = []

    def listen(self, protocolFactory: IProtocolFactory) -> Any:
        """
        Note the factory.
        """
        self.factories.append(protocolFactory)
        if isinstance(self.result, KeyError):
            raise self.result
        return self.result


class Bus(MemoryBus):
    """
    Starts and stores when it is told to, and notes when it is stopped.
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
    Notes what it is told at the end.
    """

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.closes: list[Close] = []

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
        Note it.
        """
        self.events.append("reader told")
        self.closes.append(close)


class ServiceTestCase(SynchronousTestCase):
    """
    A service over two endpoints.
    """

    def setUp(self) -> None:
        """
        Make it.
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
                Listener(f"tcp:{port.number}", endpoint, factory)
                for port, endpoint, factory in zip(
                    self.ports, self.endpoints, self.factories, strict=True
                )
            ],
            10.0,
            lambda service: self.events.append(f"{len(service.ports)} listen"),
            lambda error: self.failed.append(str(error)),
        )
