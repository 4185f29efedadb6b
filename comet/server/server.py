"""
The server as its configuration describes it: hub, endpoints and service of one
serving process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, MutableMapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.web.resource import IResource

from comet.access.rights import Access
from comet.bus.registry import findMaker
from comet.capacity import openFiles, readersWithin
from comet.configuration import Configuration
from comet.framing.publications import Limits
from comet.http.origins import Origins
from comet.hub import Hub, Settings
from comet.interfaces import IAccess
from comet.lean.reactor import LeanReactor, canBeLean
from comet.server.demo.pair import PairEndpoint
from comet.server.demo.visits import Demo
from comet.server.extension import addTransports, extend
from comet.server.listening import CannotStart, Serving, makeEndpoint
from comet.server.service import CometService
from comet.transports.channel import Transport
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


A = TypeVar("A", bound=Access)


class Server:
    """
    The hub and the endpoints of one serving process.

    The function that C{--app} names is called with it, before it serves.  An
    application sets L{access}, L{hub} and L{root}, and fills L{root} and
    L{transports}; all else stays as it is configured::

        def extend(server):
            server.access = server.makeAccess(MyAccess)
            server.transports["plain"] = PlainResource(server.hub)
            server.root.putChild(b"inbox", Inbox(server.hub))
            server.whenServing(lambda: server.hub.publish("news", "we are back"))

    With C{--workers} each worker has a server of its own.

    @ivar configuration: The value of every option.

    @ivar reactor: The reactor.
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

        @raise CannotStart: If the application cannot be found, or fails.
        """
        self.configuration = configuration
        self.reactor = reactor
        self._publishKey = publishKey
        self._inherited = inherited
        self._hasDemo = configuration["demo"] and isFirst
        self._hub = makeHub(configuration, reactor, publishKey)
        self._comet: CometResource | None = None
        self._root: IResource | None = None
        self._whenServing: list[Callable[[], object]] = []
        if configuration["app"] is not None:
            extend(self, configuration["app"])

    @property
    def hub(self) -> Hub:
        """
        The hub.  Set another one, such as of a subclass, before L{root} or
        L{transports} is used: they are made of it.
        """
        return self._hub

    @hub.setter
    def hub(self, hub: Hub) -> None:
        if self._comet is not None:
            raise RuntimeError("set server.hub before you use server.root and server.transports")
        self._hub = hub

    @property
    def access(self) -> IAccess:
        """
        The hub's access object.
        """
        return self.hub.access

    @access.setter
    def access(self, access: IAccess) -> None:
        self.hub.access = access

    def makeAccess(self, kind: type[A]) -> A:
        """
        Make an access object that knows the server's publish key, and the channels
        that C{--open} opens.

        @param kind: Its class, which takes what L{Access} takes.
        """
        return kind(self._publishKey, self.configuration.openPatterns)

    @property
    def comet(self) -> CometResource:
        """
        The resource of comet's own URLs, at L{root} unless that is set.
        """
        if self._comet is None:
            self._comet = CometResource(self.hub, self.configuration.hasPages)
            addTransports(self._comet.transports, self.hub)
        return self._comet

    @property
    def root(self) -> Any:
        """
        The resource at the root of the site: L{comet}, into which resources may be
        put.  If another one is set, put L{comet} below it; the lean edge then hands
        every request to Twisted's.
        """
        return self.comet if self._root is None else self._root

    @root.setter
    def root(self, root: IResource) -> None:
        self._root = root

    @property
    def transports(self) -> MutableMapping[str, Transport]:
        """
        The resource of each transport below C{/channels/}, by its name in the
        parameter C{transport}.
        """
        return self.comet.transports

    def whenServing(self, call: Callable[[], object]) -> None:
        """
        Have a function called once the server accepts connections and the bus is
        ready.
        """
        self._whenServing.append(call)

    def _served(self) -> list[Serving]:
        """
        Make the endpoints of L{endpointsOf}, in that order, each with its factory.
        """
        configuration, reactor = self.configuration, self.reactor
        descriptions = endpointsOf(configuration)
        if configuration["edge"] == "lean" and canBeLean(reactor):
            reactor = LeanReactor(reactor)
        sockets: Sequence[int | None] = self._inherited or [None] * len(descriptions)
        return [
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
            self.root,
            limits.maxBatchBytes,
            limits.maxMessage,
            limits.maxLineBytes,
            idleTimeout=self.configuration["idle-timeout"],
            reactor=self.reactor,
        )
        factories: list[IProtocolFactory] = [site] * len(self.configuration["listen"])
        if self.configuration["tcp"] is not None:
            factories.append(CometFactory(self.hub))
        if self.configuration["flash-policy"] is not None:
            factories.append(self._policy)
        return factories

    @cached_property
    def _policy(self) -> FlashPolicyFactory:
        return FlashPolicyFactory(self.hub)

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
            for call in self._whenServing:
                call()

        configuration = self.configuration
        return kind(
            self.hub,
            self._served(),
            configuration["drain"],
            listens,
            failed,
            configuration["drain-notice"],
            getattr(findMaker(configuration["bus"]), "isShared", False),
        )

    def _begin(self, ports: Sequence[IListeningPort]) -> None:
        self._policy.ports = _numbersOf(ports[len(self.configuration["listen"]) :][:1])
        if self._hasDemo:
            # The endpoint of --tcp would not do: it may speak TLS, and need not be there.
            Demo(self.hub, PairEndpoint(self.reactor, CometFactory(self.hub))).start()


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
