"""
What a serving process serves: its endpoints, in one order everywhere, each with its factory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.web.resource import IResource

from comet.hub.hub import Hub
from comet.lean.reactor import LeanReactor, canBeLean
from comet.server.describedendpoints import makeEndpoint
from comet.server.ports import Serving
from comet.settings.configuration import Configuration
from comet.transports.flashpolicy import FlashPolicyFactory
from comet.transports.tcp import CometFactory
from comet.web.metrics.scrape import MetricsTree
from comet.web.resources import NotFoundResource
from comet.web.site import CometSite

# How many bytes the body of a request for metrics may have: such requests have none.
MAX_BODY: Final = 4096


def endpointsOf(configuration: Configuration) -> list[str]:
    """
    Return the descriptions of all endpoints: those of C{listen}, then those of
    C{tcp}, C{flash-policy} and C{metrics} if they are given.
    """
    others = [configuration[name] for name in ("tcp", "flash-policy", "metrics")]
    return [*configuration["listen"], *(each for each in others if each is not None)]


class Served:
    """
    The factories of L{endpointsOf}, in that order.
    """

    def __init__(
        self, configuration: Configuration, hub: Hub, root: IResource, reactor: Any
    ) -> None:
        """
        @param root: The resource at the root of the site.
        """
        self._configuration = configuration
        self._hub = hub
        self._reactor = reactor
        self._policy = FlashPolicyFactory(hub)
        limits = hub.settings.limits
        self._site = CometSite(
            root,
            limits.maxBatchBytes,
            limits.maxMessage,
            limits.maxLineBytes,
            idleTimeout=configuration["idle-timeout"],
            hub=hub,
            reactor=reactor,
        )

    def factories(self) -> list[IProtocolFactory]:
        """
        Return the factory of each endpoint.
        """
        configuration, hub = self._configuration, self._hub
        factories: list[IProtocolFactory] = [self._site] * len(configuration["listen"])
        if configuration["tcp"] is not None:
            factories.append(CometFactory(hub))
        if configuration["flash-policy"] is not None:
            factories.append(self._policy)
        if configuration["metrics"] is not None:
            tree = MetricsTree(hub, NotFoundResource(hub, "the metrics are at /metrics"))
            factories.append(CometSite(tree, MAX_BODY, reactor=self._reactor))
        return factories

    def endpoints(self, inherited: Sequence[int]) -> list[Serving]:
        """
        Make the endpoints, each with its factory.

        @param inherited: For each endpoint the descriptor of a socket that is already
            bound to it.  Empty if this process is to bind them itself.
        """
        configuration, reactor = self._configuration, self._reactor
        descriptions = endpointsOf(configuration)
        if configuration["edge"] == "lean" and canBeLean(reactor):
            reactor = LeanReactor(reactor)
        siblings = self._hub.siblings
        room = None if siblings is None else siblings.room
        sockets: Sequence[int | None] = inherited or [None] * len(descriptions)
        return [
            (makeEndpoint(reactor, description, socket, room), factory)
            for description, factory, socket in zip(
                descriptions, self.factories(), sockets, strict=True
            )
        ]

    def begin(self, ports: Sequence[IListeningPort]) -> None:
        """
        The endpoints accept: tell Flash, which asks for it, the port of raw TCP.

        @param ports: The port of each endpoint.
        """
        self._policy.ports = _numbersOf(ports[len(self._configuration["listen"]) :][:1])

    def limitsChanged(self) -> None:
        """
        Go by the limits that the hub has now.
        """
        limits = self._hub.settings.limits
        self._site.setLimits(limits.maxBatchBytes, limits.maxMessage, limits.maxLineBytes)


def _numbersOf(ports: Sequence[IListeningPort]) -> list[int]:
    """
    Return the numbers of the ports.  UNIX sockets have none.
    """
    hosts = [port.getHost() for port in ports]
    return [host.port for host in hosts if isinstance(host, (IPv4Address, IPv6Address))]
