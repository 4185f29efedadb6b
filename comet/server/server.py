"""
The server as its configuration describes it: hub, endpoints and service of one
serving process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from comet.access.rights import Access
from comet.bus.registry import findMaker
from comet.capacity import openFiles, readersWithin
from comet.configuration import Configuration
from comet.framing.publications import Limits
from comet.http.origins import Origins
from comet.hub import Hub, Settings
from comet.lean.reactor import LeanReactor, canBeLean
from comet.server.demo.pair import PairEndpoint
from comet.server.demo.visits import Demo
from comet.server.listening import CannotStart, Serving, makeEndpoint
from comet.server.service import CometService
from comet.transports.flashpolicy import FlashPolicyFactory
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite

# The garbage collector's thresholds, for its three generations.  The first bounds
# for how long it stops all clients: requests on Twisted's edge leave cycles, of which
# 50,000 objects took up to 50 ms.  All together are walked as seldom as readers are
# many.
_GC_THRESHOLDS: Final = (5_000, 20, 500)


def makeHub(configuration: Configuration, reactor: Any, publishKey: str | None = None) -> Hub:
    """
    Make the hub that a configuration describes.

    @param publishKey: The key, not the path of its file.
    """
    limits = Limits(
        maxMessage=configuration["max-message"],
        maxDepth=configuration["max-depth"],
        maxBatch=configuration["max-batch"],
        maxChannels=configuration["max-channels"],
    )
    settings = Settings(
        limits,
        configuration["heartbeat"],
        configuration["max-connections"],
        readersWithin(openFiles()),
        configuration["upload-total-bytes"],
    )
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
    The hub and the endpoints of one serving process.

    @ivar served: The endpoints of L{endpointsOf}, in that order, each with its
        factory.
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
        @param inherited: For each endpoint of L{endpointsOf}, the descriptor of
            a socket that is already bound to it.  Empty if this process is to
            bind them itself.

        @param isFirst: Whether this process does the work that only one of the
            workers may do.
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
        self.served: list[Serving] = [
            (makeEndpoint(reactor, description, socket), factory)
            for description, factory, socket in zip(
                descriptions, self._factories(), sockets, strict=True
            )
        ]

    def _factories(self) -> list[IProtocolFactory]:
        """
        Return the factory of each endpoint of L{endpointsOf}.
        """
        limits = self.hub.settings.limits
        site = CometSite(
            CometResource(self.hub, self._configuration.hasPages),
            limits.maxBatchBytes,
            limits.maxMessage,
            limits.maxLineBytes,
            idleTimeout=self._configuration["idle-timeout"],
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

        @param kind: The class of the service.

        @param listening: Called with the ports when all of them accept.

        @param failed: See L{CometService}.
        """

        def listens(service: CometService) -> None:
            self._begin(service.ports)
            listening(service.ports)

        configuration = self._configuration
        return kind(
            self.hub,
            self.served,
            configuration["drain"],
            listens,
            failed,
            configuration["drain-notice"],
            getattr(findMaker(configuration["bus"]), "isShared", False),
        )

    def _begin(self, ports: Sequence[IListeningPort]) -> None:
        self._policy.ports = _numbersOf(ports[len(self._configuration["listen"]) :][:1])
        if self._hasDemo:
            # The endpoint of --tcp would not do: it may speak TLS, and need not be there.
            Demo(self.hub, PairEndpoint(self._reactor, CometFactory(self.hub))).start()


def endpointsOf(configuration: Configuration) -> list[str]:
    """
    Return the descriptions of all endpoints: those of C{listen}, then those of
    C{tcp} and C{flash-policy} if they are given.
    """
    others = (configuration["tcp"], configuration["flash-policy"])
    return [*configuration["listen"], *(each for each in others if each is not None)]


def _numbersOf(ports: Sequence[IListeningPort]) -> list[int]:
    """
    Return the numbers of the ports.  UNIX sockets have none.
    """
    hosts = [port.getHost() for port in ports]
    return [host.port for host in hosts if isinstance(host, (IPv4Address, IPv6Address))]


def calmCollector() -> None:
    """
    Let the garbage collector skip all present objects, and run less often.
    Readers are many and live long: to walk all of them often would cost more
    time than it frees memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
