"""
What all resources of comet have in common: each request passes the same checks,
and each error is told in the same form.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from comet.errors import CometError, Internal, MethodNotAllowed
from comet.http.responses import COMMON, Response
from comet.hub import Hub
from comet.model.clients import Client
from comet.transports.exchange import Exchange, notFound

_log = Logger()


class HubResource(Resource):
    """
    A resource over a hub.  It is a leaf: what follows in the path is its own.

    Subclass it, or one of its subclasses, and override C{names} or C{client}
    to take the channels or the rights from elsewhere than the request's path
    and header: from a session, for instance.

    @cvar methods: The methods that are understood, besides C{OPTIONS}.

    @cvar hasPath: Whether anything may follow in the path.
    """

    isLeaf = True
    methods: tuple[str, ...] = ("GET",)
    hasPath = True

    def __init__(self, hub: Hub) -> None:
        Resource.__init__(self)
        self.hub = hub

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        The channels and patterns that a request is for.

        @raise CometError: If it cannot be for any.
        """
        return exchange.names

    def client(self, exchange: Exchange) -> Client:
        """
        Who asks.

        @raise CometError: If that is nobody.
        """
        return exchange.client

    def render(self, request: Request) -> Any:
        """
        Answer a request, or refuse it.
        """
        if getattr(request, "_encoder", None) is not None:
            # Somebody has wrapped this in a resource that compresses, and so
            # would hold back what is written.
            request._encoder = None
            request.responseHeaders.removeHeader(b"Content-Encoding")
        exchange = Exchange(self.hub, request)
        try:
            exchange.check()
            self.dispatch(exchange)
        except CometError as error:
            self.refuse(exchange, error)
        except Exception:
            _log.failure(
                "a request of {peer} for {path} failed",
                peer=request.getClientAddress(),
                path=request.path,
            )
            self.refuse(exchange, Internal())
        return NOT_DONE_YET

    def dispatch(self, exchange: Exchange) -> None:
        """
        Answer a request that was checked, by its method.
        """
        if exchange.head.segments and not self.hasPath:
            raise notFound(exchange)
        method = exchange.head.method.decode("latin-1")
        if method == "OPTIONS":
            exchange.respond(Response(204, self._preflight(exchange), b""))
            return
        if method not in self.methods:
            allowed = (*self.methods, "OPTIONS")
            raise MethodNotAllowed(
                f"{method[:64]!r} is not understood here: {', '.join(allowed)} are", allowed
            )
        if method not in ("GET", "HEAD"):
            exchange.checkOrigin()
        getattr(self, f"answer_{method}")(exchange)

    def _preflight(self, exchange: Exchange) -> tuple[tuple[bytes, bytes], ...]:
        allow = ", ".join((*self.methods, "OPTIONS")).encode("ascii")
        return ((b"Allow", allow), *COMMON, *self.hub.origins.preflight(exchange.cors))

    def refuse(self, exchange: Exchange, error: CometError) -> None:
        """
        Answer with an error.
        """
        exchange.refuse(error)
