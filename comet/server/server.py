"""
The server as its configuration describes it: hub, endpoints and service of one
serving process.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort
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
from comet.logging.accesslog import AccessLog
from comet.presence.attendance import checkKeeps
from comet.reactor.clocks import steadyClock
from comet.server.backend import makeSender
from comet.server.demo.pair import PairEndpoint
from comet.server.demo.visitors import VisitorAccess
from comet.server.demo.visits import Demo
from comet.server.extension import addTransports, extend, findApplication
from comet.server.hubextras import HubExtras
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
from comet.server.served import Served
from comet.server.service import CometService
from comet.server.startfailure import CannotStart
from comet.server.wsgi import Visits, WSGILeaf, WSGIRoot
from comet.settings.configuration import Configuration
from comet.transports.channel import Transport
from comet.transports.clientaddress import readForwarded
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource

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

        @param inherited: For each endpoint of L{endpointsOf
            <comet.server.served.endpointsOf>}, the descriptor of
            a socket that is already bound to it.  Empty if this process is to
            bind them itself.

        @param isFirst: Whether this process does the work that only one of the
            workers may do.

        @raise CannotStart: If the application cannot be found, or fails.
        """
        self.configuration = configuration
        self._bounds = configuration.bounds
        self.reactor = reactor
        sender = makeSender(configuration, secrets, reactor)
        self._extras = HubExtras(configuration, sender)
        self._settings = accessSettings(configuration, secrets, reactor, sender=sender)
        self._inherited = inherited
        self._hasDemo = configuration["demo"] and isFirst
        access = Access(settings=self._settings)
        if configuration["demo"]:
            access = VisitorAccess(self._settings, self._isBelievingVisitors)
        # The access objects that go by the configuration.
        self._accesses: list[Access] = [access]
        self._hub = self._made = makeHub(configuration, reactor, access)
        self._origins = self._hub.origins
        self._extras.addTo(self._hub)
        self._accessOutput: LogOutput | None = None
        self._served: Served | None = None
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
        self._extras.addTo(hub)

    def useHooks(self, hooks: IHooks) -> None:
        """
        Let the application have a say in what clients do, in the place of the backend:
        about the channels whose tables in the configuration file say so.  With other
        tables, call L{Hub.useHooks<comet.hub.hooked.Hooked.useHooks>}.
        """
        self._extras.ownHooks = hooks
        self._extras.giveHooks(self.hub)

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
        if configuration.presenceRules:
            checkKeeps(self.hub.bus)
        if configuration.eventRules:
            checkTells(self.hub.bus)
        self.reopenLogs()
        # From here on nothing of ours fails.
        self.configuration, self._settings = configuration, access
        extras = self._extras
        before, extras.sender, extras.configuration = extras.sender, sender, configuration
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
        extras.update(hub)
        if before is not None:
            before.stop()
        self._configureBus(configuration)
        if self._served is not None:
            self._served.limitsChanged()
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
            self._extras.sendEvents(self.hub)
            served.begin(service.ports)
            if self._hasDemo:
                # The endpoint of --tcp would not do: it may speak TLS, and need not be there.
                Demo(self.hub, PairEndpoint(self.reactor, CometFactory(self.hub))).start()
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
        served = self._serve()
        self._service = service = kind(
            self.hub,
            served.endpoints(self._inherited),
            configuration["drain"],
            listens,
            failed,
            configuration["drain-notice"],
            getattr(findMaker(configuration["bus"]), "isShared", False),
            self._ended,
        )
        return service

    def _serve(self) -> Served:
        self._served = served = Served(self.configuration, self.hub, self.root, self.reactor)
        return served

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
        if self._extras.sender is not None:
            ended.append(self._extras.sender.stop())
        if self._wsgi is not None:
            ended.append(self._wsgi.leaf.stop())
        both: Deferred[Any] = DeferredList(ended, consumeErrors=True)
        # A request of the application may never be answered.
        clock = steadyClock(self.reactor)
        return both.addTimeout(max(left, ENDING), clock, lambda result, timeout: None)
