"""
What a process that serves is made of: hub, listeners and service, as a
configuration describes them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from comet.access.rights import Access
from comet.bus.registry import findMaker
from comet.configuration import Configuration
from comet.framing.publications import Limits
from comet.http.origins import Origins
from comet.hub import Hub, Settings
from comet.lean.reactor import LeanReactor, canBeLean
from comet.server.demo.visits import Demo
from comet.server.listening import CannotStart, makeListener
from comet.server.service import CometService
from comet.transports.flashpolicy import FlashPolicyFactory
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite

# How often the garbage collector looks at new objects.
_GC_THRESHOLDS: Final = (50_000, 20, 50)

# What the lab page's readers over raw TCP connect to: also where --tcp is given,
# which may want TLS, or be a file.
_DEMO_TCP: Final = "tcp:0:interface=127.0.0.1"


def makeHub(configuration: Configuration, reactor: Any, publishKey: str | None = None) -> Hub:
    """
    Make the hub that a configuration describes.

    @param publishKey: The key itself.
    """
    limits = Limits(
        maxMessage=configuration["max-message"],
        maxDepth=configuration["max-depth"],
        maxBatch=configuration["max-batch"],
        maxChannels=configuration["max-channels"],
    )
    settings = Settings(limits, configuration["heartbeat"], configuration["max-connections"])
    url = configuration["bus"]
    return Hub(
        findMaker(url).makeBus(url, reactor, configuration),
        reactor,
        settings,
        Access(publishKey, configuration.openPatterns),
        Origins(configuration["allow-origin"], configuration["public-url"]),
    )


class Server:
    """
    The parts of a process that serves.

    @ivar hub: The hub.

    @ivar listeners: Where it is served: what L{endpointsOf} tells, and then
        what is for the process itself.
    """

    def __init__(
        self,
        configuration: Configuration,
        reactor: Any,
        publishKey: str | None,
        inherited: Sequence[int] = (),
        isFirst: bool = True,
    ) -> None:
        """
        @param inherited: For each of what L{endpointsOf} tells, the descriptor
            of a socket that is bound to it already; none, where all are still
            to be bound.

        @param isFirst: Whether this process does what is only to be done once,
            of all that serve the same ports.
        """
        self._configuration = configuration
        self._reactor = reactor
        self.hub = makeHub(configuration, reactor, publishKey)
        self._policy = FlashPolicyFactory(self.hub)
        self._hasDemo = configuration["demo"] and isFirst
        descriptions = endpointsOf(configuration)
        if configuration["edge"] == "lean" and canBeLean(reactor):
            reactor = LeanReactor(reactor)
        sockets: Sequence[int | None] = inherited or [None] * len(descriptions)
        self.listeners = [
            makeListener(reactor, description, factory, socket)
            for description, factory, socket in zip(
                descriptions, self._factories(), sockets, strict=True
            )
        ]
        if self._hasDemo:
            self.listeners.append(makeListener(reactor, _DEMO_TCP, CometFactory(self.hub)))

    def _factories(self) -> list[IProtocolFactory]:
        """
        What is served at each of the endpoints.
        """
        limits = self.hub.settings.limits
        site = CometSite(
            CometResource(self.hub),
            limits.maxBatchBytes,
            limits.maxMessage,
            reactor=self._reactor,
        )
        factories: list[IProtocolFactory] = [site] * len(self._configuration["listen"])
        if self._configuration["tcp"] is not None:
            factories.append(CometFactory(self.hub))
        if self._configuration["flash-policy"] is not None:
            factories.append(self._policy)
        return factories

    def makeService(
        self,
        kind: type[CometService],
        listening: Callable[[Sequence[IListeningPort]], None],
        failed: Callable[[CannotStart], None],
    ) -> CometService:
        """
        Make the service.

        @param listening: Called with the ports when all are listened on.

        @param failed: See L{CometService}.
        """

        def listens(service: CometService) -> None:
            self._begin(service.ports)
            listening(service.ports)

        return kind(self.hub, self.listeners, self._configuration["drain"], listens, failed)

    def _begin(self, ports: Sequence[IListeningPort]) -> None:
        self._policy.ports = _numbersOf(ports[len(self._configuration["listen"]) :][:1])
        if self._hasDemo:
            port: Any = ports[-1].getHost()
            Demo(self.hub, TCP4ClientEndpoint(self._reactor, port.host, port.port)).start()


def endpointsOf(configuration: Configuration) -> list[str]:
    """
    Everything that is listened on: what C{listen} says, then C{tcp} and
    C{flash-policy}, where they are given.
    """
    others = (configuration["tcp"], configuration["flash-policy"])
    return [*configuration["listen"], *(each for each in others if each is not None)]


def _numbersOf(ports: Sequence[IListeningPort]) -> list[int]:
    """
    The numbers of ports; those of a file have none.
    """
    hosts: list[Any] = [port.getHost() for port in ports]
    return [host.port for host in hosts if hasattr(host, "port")]


def calmCollector() -> None:
    """
    Let the garbage collector leave alone what is there now, and look less
    often at what comes: readers are many and live long, and to walk all of
    them at every moment would cost more than it finds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
