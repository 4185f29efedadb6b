"""
The server as its configuration describes it: hub, endpoints and service of one
serving process.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.web.resource import IResource

from comet.access.rights import Access
from comet.access.tokens import TokenVerifier
from comet.bus.registry import findMaker
from comet.events.teller import checkTells
from comet.hub.hub import Hub
from comet.interfaces.access import IAccess
from comet.interfaces.busabilities import IConfigurableBus
from comet.interfaces.hooks import IHooks
from comet.interfaces.memberbus import IPresence
from comet.lean.reactor import LeanReactor, canBeLean
from comet.logging.accesslog import AccessLog
from comet.reactor.clocks import steadyClock
from comet.server.backend import makeSender, makeWebhooks
from comet.server.demo.pair import PairEndpoint
from comet.server.demo.visitors import VisitorAccess
from comet.server.demo.visits import Demo
from comet.server.extension import addTransports, extend, findApplication
from comet.server.listening import CannotStart, Serving, makeEndpoint
from comet.server.logoutput import LogOutput
from comet.server.makehub import (
    accessSettings,
    hubSettings,
    makeHub,
    makeOrigins,
    makeProxies,
)
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.service import CometService
from comet.server.wsgi import Visits, WSGILeaf, WSGIRoot
from comet.settings.configuration import Configuration, ConfigurationError
from comet.settings.options import CHAT
from comet.transports.channel import Transport
from comet.transports.exchange import readForwarded
from comet.transports.flashpolicy import FlashPolicyFactory
from comet.transports.tcp import CometFactory
from comet.web.metrics.scrape import MetricsTree
from comet.web.resources import CometResource, NotFoundResource
from comet.web.site import CometSite

# How many bytes the body of a request for metrics may have: such requests have none.
MAX_BODY: Final = 4096

# For how many seconds at least the threads of a WSGI application are waited for: those whose
# clients were cut end at once.
ENDING: Final = 1.0

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

    When the configuration is read again, it goes on with what the application has
    set: see L{whenReloaded}.

    With C{--workers} each worker has a server of its own.

    @ivar configuration: The value of every option.

    @ivar reactor: The reactor.
    """

    _log = Logger()

    def __init__(
        self,
        configuration: Configuration,
        reactor: Any,
        secrets: Secrets,
        inherited: Sequence[int] = (),
        isFirst: bool = True,
    ) -> None:
        """
        @param secrets: What the secret files hold.

        @param inherited: For each endpoint of L{endpointsOf}, the descriptor of
            a socket that is already bound to it.  Empty if this process is to
            bind them itself.

        @param isFirst: Whether this process does the work that only one of the
            workers may do.

        @raise CannotStart: If the application cannot be found, or fails.
        """
        self.configuration = configuration
        self._bounds = configuration.bounds
        self.reactor = reactor
        self._sender = makeSender(configuration, secrets, reactor)
        self._settings = accessSettings(configuration, secrets, reactor, sender=self._sender)
        # The hooks of the application, and those that the hub was given.
        self._ownHooks: IHooks | None = None
        self._givenHooks: IHooks | None = None
        self._inherited = inherited
        self._hasDemo = configuration["demo"] and isFirst
        access = Access(settings=self._settings)
        if configuration["demo"]:
            access = VisitorAccess(self._settings, self._isBelievingVisitors)
        # The access objects that go by the configuration.
        self._accesses: list[Access] = [access]
        self._hub = self._made = makeHub(configuration, reactor, access)
        self._origins = self._hub.origins
        self._giveHooks()
        # Whether the configuration names channels of which presence is kept.
        self._keepsPresence = False
        self._keepPresence()
        # Whether the configuration names channels of which events are told.
        self._tellsEvents = False
        self._tellEvents()
        self._accessOutput: LogOutput | None = None
        self._site: CometSite | None = None
        self._service: CometService | None = None
        self._comet: CometResource | None = None
        self._root: IResource | None = None
        self._whenServing: list[Callable[[], object]] = []
        self._whenReloaded: list[Callable[[], object]] = []
        if configuration["app"] is not None:
            extend(self, configuration["app"])
        self._wsgi: WSGIRoot | None = None
        if configuration["wsgi"] is not None:
            self._root = self._wsgi = self._makeWSGI(configuration["wsgi"])

    def _makeWSGI(self, name: str) -> WSGIRoot:
        """
        Make the root of the site for a WSGI application.

        @raise CannotStart: If it cannot be found, its module fails, or the root is another one.
        """
        if self._root is not None:
            raise CannotStart("with wsgi the application of --app cannot set server.root, too")
        application = findApplication(name)
        threads = self.configuration["wsgi-threads"]
        hub = self.hub
        visits = Visits(hub)
        leaf = WSGILeaf(
            application,
            hub.publishFromThread,
            self.reactor,
            threads,
            visits.begun,
            # They may change while the server runs.
            lambda request: readForwarded(hub.proxies, request),
        )
        return WSGIRoot(leaf, self.comet)

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
        self._givenHooks = None
        self._giveHooks()
        self._keepPresence()
        self._tellEvents()

    def useHooks(self, hooks: IHooks) -> None:
        """
        Let the application have a say in what clients do, in the place of the backend:
        about the channels whose tables in the configuration file say so.  With other
        tables, call L{Hub.useHooks<comet.hub.hooked.Hooked.useHooks>}.
        """
        self._ownHooks = hooks
        self._giveHooks()

    def _isBelievingVisitors(self) -> bool:
        """
        Whether visitors of the chat are believed what they are called: where names give
        no rights and are told to no backend or application that decides, a visitor with
        many names may not publish more than others, and none can take another's place.
        """
        configuration = self.configuration
        return self.hub.hooks is None and not (
            configuration.isReadingRestricted
            or configuration["publish-rate"]
            or configuration["connections-per-client"]
        )

    def _keepPresence(self) -> None:
        """
        Let the hub keep presence of the channels that the configuration names.

        @raise ConfigurationError: If its bus does not know who is in a channel.
        """
        configuration = self.configuration
        rules, grace = configuration.presenceRules, configuration["presence-grace"]
        # An application may say itself of what presence is kept.
        isDemo = configuration["demo"] and configuration["app"] is None
        if isDemo and IPresence.providedBy(self.hub.bus):
            rules = [*rules, (CHAT, True)]
        if not (rules or self._keepsPresence):
            return
        self._keepsPresence = bool(rules)
        try:
            self.hub.keepPresence(rules, grace)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    def _tellEvents(self) -> None:
        """
        Let the hub tell of the channels that the configuration names, and send it to the
        backend.

        @raise ConfigurationError: If its bus cannot do that.
        """
        rules, grace = self.configuration.eventRules, self.configuration["presence-grace"]
        if rules or self._tellsEvents:
            # Otherwise the application may do it itself.
            self._tellsEvents = bool(rules)
            try:
                self.hub.tellEvents(rules, grace)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
        self._sendEvents()

    def _sendEvents(self) -> None:
        """
        Send to the backend what is told, if it is to be sent.
        """
        if self.hub.events is not None:
            sends = self.configuration.sendsEvents
            self.hub.events.send((lambda: self._sender) if sends else None)

    def _giveHooks(self) -> None:
        """
        Give the hub its hooks, unless the application has done it itself; and have it
        count what the backend is asked.
        """
        hub, given = self.hub, self._givenHooks
        if self._sender is not None:
            self._sender.counts = hub.hookCounts
        if hub.hooks is not given:
            return
        hooks = self._ownHooks or makeWebhooks(self.configuration, self._sender)
        hub.useHooks(hooks, self.configuration.hookTables)
        self._givenHooks = hooks

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
        Make an access object that knows the server's keys, and what is open; also when
        these change while the server runs.

        @param kind: Its class, which can be made without arguments.
        """
        access = kind()
        access.configure(self._settings)
        self._accesses.append(access)
        return access

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

        With C{--wsgi} the resources that an application puts here are below C{/comet}, as
        comet's own are.
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

    def whenReloaded(self, call: Callable[[], object]) -> None:
        """
        Have a function called each time that the configuration was read again: what
        holds now is in L{configuration}.
        """
        self._whenReloaded.append(call)

    def configure(self, loaded: Loaded) -> None:
        """
        Go by another configuration from now on, as far as a running server can: the
        options in L{RELOADED<comet.settings.options.RELOADED>} may differ, and the secrets.
        Clients do not notice, but for what they may do next.  Where the application
        has set a hub or origins of its own, these stay as they are.

        @raise ValueError: If a value is not allowed.  Nothing has changed then.
        """
        configuration = loaded.configuration
        settings = hubSettings(configuration)
        origins, proxies = makeOrigins(configuration), makeProxies(configuration)
        sender = makeSender(configuration, loaded.secrets, self.reactor)
        access = accessSettings(configuration, loaded.secrets, self.reactor, self._settings, sender)
        if configuration.presenceRules and not IPresence.providedBy(self.hub.bus):
            raise ConfigurationError(
                f"presence cannot be kept: {type(self.hub.bus).__name__} does not know who is in "
                "a channel"
            )
        if configuration.eventRules:
            checkTells(self.hub.bus)
        self.reopenLogs()
        # From here on nothing of ours fails.
        self.configuration, self._settings = configuration, access
        before, self._sender = self._sender, sender
        for each in self._accesses:
            try:
                each.configure(access)
            except Exception:
                self._log.failure(
                    "{access} did not take the new settings, and goes by those of before",
                    access=type(each).__name__,
                )
            else:
                if each.gone:
                    self.hub.endKeyHolders(each.gone)
        hub = self.hub
        if hub.origins is self._origins:
            hub.origins = self._origins = origins
        if hub is self._made:
            hub.configure(settings)
            hub.proxies = proxies
        self._giveHooks()
        self._keepPresence()
        self._tellEvents()
        if before is not None:
            before.stop()
        self._configureBus(configuration)
        if self._site is not None:
            limits = hub.settings.limits
            self._site.setLimits(limits.maxBatchBytes, limits.maxMessage, limits.maxLineBytes)
        if self._service is not None:
            self._service.configure(configuration["drain"], configuration["drain-notice"])
        for call in self._whenReloaded:
            try:
                call()
            except Exception:
                self._log.failure("the application failed after the configuration was read again")

    def _configureBus(self, configuration: Configuration) -> None:
        """
        Give the bus other bounds, if these change and it can take them.
        """
        bus, before = self.hub.bus, self._bounds
        self._bounds = configuration.bounds
        if bus is not self._made.bus or before == self._bounds:
            return
        if IConfigurableBus.providedBy(bus):
            total = configuration["history-total-bytes"]
            bus.configure(configuration.retention, total, configuration.shared)
        else:
            self._log.warn("to change what the bus holds, restart the server: it cannot change it")

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
        self._site = site = CometSite(
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
        if self.configuration["metrics"] is not None:
            tree = MetricsTree(self.hub, NotFoundResource(self.hub))
            factories.append(CometSite(tree, MAX_BODY, reactor=self.reactor))
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
            # The application may have told the hub of which channels to tell.
            self._sendEvents()
            self._begin(service.ports)
            if self._wsgi is not None:
                self._wsgi.leaf.pool.start()
            if isinstance(self._settings.tokens, TokenVerifier):
                self._settings.tokens.freshen()
            listening(service.ports)
            for call in self._whenServing:
                call()

        configuration = self.configuration
        if configuration["access-log"] is not None:
            self._openAccessLog(configuration["access-log"])
        self._service = service = kind(
            self.hub,
            self._served(),
            configuration["drain"],
            listens,
            failed,
            configuration["drain-notice"],
            getattr(findMaker(configuration["bus"]), "isShared", False),
            self._ended,
        )
        return service

    def _openAccessLog(self, path: str) -> None:
        """
        @raise CannotStart: If the file cannot be opened.
        """
        try:
            self._accessOutput = output = LogOutput(path)
        except OSError as error:
            raise CannotStart(
                f"the access log {path!r} cannot be written: {error.strerror}"
            ) from None
        self.hub.accessLog = AccessLog(output.write, seconds=self.hub.clock.seconds)

    def reopenLogs(self) -> None:
        """
        Write the access log to the file that has its path now.
        """
        if self._accessOutput is not None:
            self._accessOutput.reopen()

    def _ended(self, left: float) -> Deferred[Any]:
        """
        The hub has stopped: the backend is asked nothing more, and no thread serves the
        WSGI application.

        @param left: How long that may take, in seconds.  It may take L{ENDING} in any case.
        """
        ended: list[Deferred[Any]] = []
        if self._sender is not None:
            ended.append(self._sender.stop())
        if self._wsgi is not None:
            ended.append(self._wsgi.leaf.stop())
        both: Deferred[Any] = DeferredList(ended, consumeErrors=True)
        # A request of the application may never be answered.
        clock = steadyClock(self.reactor)
        return both.addTimeout(max(left, ENDING), clock, lambda result, timeout: None)

    def _begin(self, ports: Sequence[IListeningPort]) -> None:
        self._policy.ports = _numbersOf(ports[len(self.configuration["listen"]) :][:1])
        if self._hasDemo:
            # The endpoint of --tcp would not do: it may speak TLS, and need not be there.
            Demo(self.hub, PairEndpoint(self.reactor, CometFactory(self.hub))).start()


def endpointsOf(configuration: Configuration) -> list[str]:
    """
    Return the descriptions of all endpoints: those of C{listen}, then those of
    C{tcp}, C{flash-policy} and C{metrics} if they are given.
    """
    others = [configuration[name] for name in ("tcp", "flash-policy", "metrics")]
    return [*configuration["listen"], *(each for each in others if each is not None)]


def _numbersOf(ports: Sequence[IListeningPort]) -> list[int]:
    """
    Return the numbers of the ports.  UNIX sockets have none.
    """
    hosts = [port.getHost() for port in ports]
    return [host.port for host in hosts if isinstance(host, (IPv4Address, IPv6Address))]
