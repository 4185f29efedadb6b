"""
What all resources of comet share: each request passes the same checks, and each
error is reported in the same form.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from comet.clientlog import ClientLogger
from comet.errors import CometError, Internal, MethodNotAllowed
from comet.http.responses import COMMON, Headers, Response
from comet.hub import Hub
from comet.model.clients import ANONYMOUS, Client
from comet.overrides import speaksFor
from comet.transports.exchange import Exchange, notFound

_log = ClientLogger()


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
    with an L{Exchange} after the request has passed L{Exchange.check}.  They
    are not called C{render_GET}, because Twisted's C{render_GET} takes a
    request, returns the body and has to answer errors itself.  A method here
    responds through the exchange, now or later, returns nothing, and may raise
    any L{CometError}.

    Subclass it, or one of its subclasses, and override:

      - C{client}, to identify the client by something other than the header
        C{Authorization}, such as a session.  It is called once a request, or
        again where a method needs it;
      - C{names}, to take channels and patterns from elsewhere than the path;
      - C{answer_GET} and so on, together with C{methods}, to answer yourself.

    A request whose body is still to come is refused at its head where the head
    tells enough: C{admit_POST} and C{admit_PUT} are called for that, with an
    L{Exchange} that has no body yet.  Such a method raises the error, or returns
    a L{BodyReader} or L{None}.  It is not called where a subclass overrides
    C{client}, C{names}, C{refuse} or the C{answer_} method below it, since these
    may need the body; override it, too, if they do not.  C{client} is then also
    asked for whom the body is counted.

    @cvar methods: The methods that have a C{answer_} method.  C{OPTIONS} is
        answered for all.

    @cvar bodyMethods: The methods whose requests have a body.  That of another
        request is discarded as it arrives.

    @cvar hasPath: Whether the path may have segments below the resource.

    @cvar needsHost: Whether the host of a request without a key has to be one of
        this server's.
    """

    isLeaf = True
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

    def client(self, exchange: Exchange) -> Client:
        """
        Return the client that sent a request.  Override it to identify clients
        by something other than C{Authorization}.

        @raise CometError: If the client cannot be identified.
        """
        return exchange.client

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
        try:
            exchange.check(self.needsHost)
            self.dispatch(exchange)
        except CometError as error:
            self._tell(exchange, error)
        except Exception:
            _log.failure(
                "a request of {peer} for {path} failed",
                peer=request.getClientAddress(),
                path=request.path,
            )
            self._tell(exchange, Internal())
        return NOT_DONE_YET

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
        admit = f"admit_{method}"
        if not hasattr(kind, admit):
            return None
        if not speaksFor(kind, admit, f"answer_{method}", "client", "names"):
            return None
        reader: BodyReader | None = getattr(self, admit)(exchange)
        return reader

    def sender(self, exchange: Exchange) -> Client:
        """
        Return the client whose body is to come, as far as the head tells: where
        C{client} may need the body, the one that C{Authorization} names.
        """
        kind, admit = type(self), f"admit_{exchange.head.method.decode('latin-1')}"
        try:
            if hasattr(kind, admit) and speaksFor(kind, admit, "client"):
                return self.client(exchange)
            return exchange.client
        except CometError:
            return ANONYMOUS

    def dispatch(self, exchange: Exchange) -> None:
        """
        Answer a request that has passed the checks: call C{answer_} of its
        method.

        @raise MethodNotAllowed: If the method is not among C{methods}.
        """
        method = exchange.head.method.decode("latin-1")
        if method == "OPTIONS" and (self.hasPath or not exchange.head.segments):
            exchange.respond(Response(204, self._preflight(exchange), b""))
            return
        self._checkMethod(exchange, method)
        if method not in ("GET", "HEAD"):
            exchange.checkOrigin()
        getattr(self, f"answer_{method}")(exchange)

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
