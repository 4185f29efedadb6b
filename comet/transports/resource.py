"""
What all resources of comet share: each request passes the same checks, and each
error is reported in the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from comet.access.lookups import Lookup
from comet.errors import CometError, Internal, MethodNotAllowed
from comet.hooks.subscribehook import ReadLookup
from comet.http.reads import ReadRequest
from comet.http.responses import COMMON, Headers, Response
from comet.hub.hub import Hub
from comet.interfaces.overrides import speaksFor
from comet.logging.clientlog import ClientLogger
from comet.model.clients import ANONYMOUS, Client
from comet.transports.clientrequest import OTHER
from comet.transports.exchange import Exchange, notFound

_log = ClientLogger()

# Answers a request to read; and answers a request with an error.
Begin: TypeAlias = Callable[[Exchange, ReadRequest, Client], object]
Refuse: TypeAlias = Callable[[Exchange, CometError], object]


def corsHeaders(resource: Any, request: Request) -> Headers:
    """
    Make the headers for the client in a response to a request that its resource
    does not get to see.

    @return: None if the resource is not comet's.
    """
    if not isinstance(resource, HubResource):
        return ()
    exchange = Exchange(resource.hub, request)
    try:
        exchange.check(resource.needsHost)
    except CometError:
        # The request is refused anyway, for another reason.
        pass
    return exchange.clientHeaders


class BodyReader(Protocol):
    """
    Reads the body of a request while it arrives.
    """

    def received(self, data: bytes) -> None:
        """
        Read a part of the body.

        @raise CometError: If the request has to be refused.
        """


class HubResource(Resource):
    """
    A resource over a hub.  It is a leaf: it answers for the rest of the path.

    A request is answered by C{answer_GET}, C{answer_POST} and so on, called
    with an L{Exchange} after the request has passed its C{check}.  They
    are not called C{render_GET}, because Twisted's C{render_GET} takes a
    request, returns the body and has to answer errors itself.  A method here
    responds through the exchange, now or later, returns nothing, and may raise
    any L{CometError}.

    Subclass it, or one of its subclasses, and override:

      - C{names}, to take channels and patterns from elsewhere than the path;
      - C{answer_GET} and so on, together with C{methods}, to answer yourself.

    Before a request is answered, the hub's access object is asked which client sends
    it, by its L{identify<comet.interfaces.access.IAccess.identify>}.  Then C{names} and the
    C{answer_} method are called, and find the client in C{exchange.client}.

    A request whose body is still to come is refused at its head where the head
    tells enough: C{admit_POST} and C{admit_PUT} are called for that, with an
    L{Exchange} that has no body yet.  Such a method raises the error, or returns
    a L{BodyReader} or L{None}.  It is not called where a subclass overrides
    C{names}, C{refuse} or the C{answer_} method below it, since these may need the
    body; override it, too, if they do not.

    @cvar transport: The name under which requests are counted.

    @cvar identifies: Whether the client is identified.  Where it is not, the
        resource answers every client alike, also one with a bad credential.

    @cvar methods: The methods that have a C{answer_} method.  C{OPTIONS} is
        answered for all.

    @cvar bodyMethods: The methods whose requests have a body.  That of another
        request is discarded as it arrives.

    @cvar hasPath: Whether the path may have segments below the resource.

    @cvar needsHost: Whether the host of a request without a key has to be one of
        this server's.
    """

    isLeaf = True
    transport: str = OTHER
    identifies = True
    methods: tuple[str, ...] = ("GET",)
    bodyMethods: tuple[str, ...] = ("POST", "PUT")
    hasPath = True
    needsHost = True

    def __init__(self, hub: Hub) -> None:
        Resource.__init__(self)
        self.hub = hub

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        Return the channels and patterns that a request is for.  Override it to
        take them from elsewhere than the path.

        @raise CometError: If the request can be for none.
        """
        return exchange.names

    def transportOf(self, exchange: Exchange) -> str:
        """
        Return the name of the transport that a request asks for.

        @raise CometError: If it asks for none that there is.
        """
        return self.transport

    def render(self, request: Request) -> Any:
        """
        Answer a request, or refuse it.  Twisted calls it.

        @return: C{NOT_DONE_YET}: the exchange finishes the request.
        """
        if getattr(request, "_encoder", None) is not None:
            # The application has wrapped this resource in one that compresses,
            # which would hold back what is written.
            request._encoder = None
            request.responseHeaders.removeHeader(b"Content-Encoding")
        exchange = Exchange(self.hub, request)
        self._run(exchange, self._begin, exchange)
        return NOT_DONE_YET

    def _begin(self, exchange: Exchange) -> None:
        exchange.check(self.needsHost)
        self.dispatch(exchange)

    def _run(self, exchange: Exchange, answer: Callable[..., object], *arguments: object) -> None:
        """
        Call what answers a request, and respond with the error that it raises.
        """
        try:
            answer(*arguments)
        except CometError as error:
            self._tell(exchange, error)
        except Exception:
            _log.failure(
                "a request of {peer} for {path} failed",
                peer=exchange.address,
                path=exchange.request.path,
            )
            self._tell(exchange, Internal())

    def _tell(self, exchange: Exchange, error: CometError) -> None:
        """
        Respond with an error in the form of the transport, or with the error that
        is found when that form is chosen by the request.
        """
        try:
            self.refuse(exchange, error)
        except CometError as other:
            exchange.refuse(other)

    def admit(self, exchange: Exchange) -> BodyReader | None:
        """
        Refuse a request at its head, before its body has come, if the head tells
        enough for that.

        @return: What reads the body as it arrives, or L{None} to have it kept.

        @raise CometError: If the request has to be refused.
        """
        kind, method = type(self), exchange.head.method.decode("latin-1")
        if method not in self.bodyMethods or kind.refuse is not HubResource.refuse:
            return None
        exchange.check(self.needsHost)
        self._checkMethod(exchange, method)
        exchange.checkOrigin()
        if self.identifies and isinstance(self._find(exchange), Lookup):
            # The body comes meanwhile.
            return None
        admit = f"admit_{method}"
        if not hasattr(kind, admit) or not speaksFor(kind, admit, f"answer_{method}", "names"):
            return None
        reader: BodyReader | None = getattr(self, admit)(exchange)
        return reader

    def sender(self, exchange: Exchange) -> Client:
        """
        Return the client whose body is to come, as far as is known by now.
        """
        try:
            if self.identifies:
                known = self._find(exchange)
                return known if isinstance(known, Client) else ANONYMOUS
        except CometError:
            # It is told when the request is answered.
            pass
        return ANONYMOUS

    def dispatch(self, exchange: Exchange) -> None:
        """
        Answer a request that has passed the checks: find out which client sends it,
        and call C{answer_} of its method.

        @raise MethodNotAllowed: If the method is not among C{methods}.
        """
        method = exchange.head.method.decode("latin-1")
        if method == "OPTIONS" and (self.hasPath or not exchange.head.segments):
            exchange.respond(Response(204, self._preflight(exchange), b""))
            return
        self._checkMethod(exchange, method)
        if method not in ("GET", "HEAD"):
            exchange.checkOrigin()
        self._identify(exchange, getattr(self, f"answer_{method}"))

    def _identify(self, exchange: Exchange, answer: Callable[[Exchange], object]) -> None:
        """
        Answer a request once it is known which client sends it.
        """
        if not self.identifies:
            answer(exchange)
            return
        # First: what it raises is answered in another form.
        self.transportOf(exchange)
        try:
            known = self._find(exchange)
        except CometError as error:
            self.refuseClient(exchange, error)
            return
        if isinstance(known, Lookup):
            exchange.wait(
                known,
                lambda: self._run(exchange, answer, exchange),
                lambda error: self._run(exchange, self.refuseClient, exchange, error),
            )
        else:
            answer(exchange)

    def read(
        self, exchange: Exchange, readRequest: ReadRequest, begin: Begin, refuse: Refuse
    ) -> None:
        """
        Begin to answer a request to read, once its client may read the names.

        @param begin: Answers it.

        @param refuse: Answers with an error.
        """
        client = exchange.client
        try:
            if self.hub.subscribeHook is None:
                begin(exchange, readRequest, client)
                return
            asked = self.hub.askToRead(client, readRequest.names, peer=exchange)
            if not isinstance(asked, ReadLookup):
                begin(exchange, readRequest.startingAt(asked), client)
                return
        except CometError as error:
            refuse(exchange, error)
            return

        def allowed() -> None:
            try:
                begin(exchange, readRequest.startingAt(asked.starts), client)
            except CometError as error:
                refuse(exchange, error)

        exchange.wait(
            asked,
            lambda: self._run(exchange, allowed),
            lambda error: self._run(exchange, refuse, exchange, error),
        )

    def _find(self, exchange: Exchange) -> Client | Lookup:
        """
        Find out which client sends a request.
        """
        getNames: Callable[[], Sequence[str]] | None = None
        # Those of a subclass's own may depend on the client.
        if type(self).names is HubResource.names:
            getNames = (lambda: exchange.names) if self.hasPath else tuple
        return exchange.identify(self.transportOf(exchange), getNames)

    def _checkMethod(self, exchange: Exchange, method: str) -> None:
        if exchange.head.segments and not self.hasPath:
            raise notFound(exchange)
        if method not in self.methods:
            allowed = (*self.methods, "OPTIONS")
            raise MethodNotAllowed(
                f"the method {method[:64]!r} is not allowed here; allowed are {', '.join(allowed)}",
                allowed,
            )

    def _preflight(self, exchange: Exchange) -> tuple[tuple[bytes, bytes], ...]:
        allow = ", ".join((*self.methods, "OPTIONS")).encode("ascii")
        return ((b"Allow", allow), *COMMON, *self.hub.origins.preflight(exchange.cors))

    def refuse(self, exchange: Exchange, error: CometError) -> None:
        """
        Respond with an error.  Override it where a transport reports errors in
        a form of its own.
        """
        exchange.refuse(error)

    def refuseClient(self, exchange: Exchange, error: CometError) -> None:
        """
        Respond with an error to a client that cannot be identified.
        """
        self.refuse(exchange, error)
