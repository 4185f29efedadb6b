"""
What the HTTP connections of a lean port share.
"""

from __future__ import annotations

import math
from typing import Any

from comet.http.forwarded import Proxies
from comet.http.http1 import completeTemplate, endConnection
from comet.http.pace import BODY_TIME, HEAD_TIME
from comet.http.responses import problem
from comet.lean.cache import RequestCache
from comet.lean.edge import Edge, EdgeConnection
from comet.lean.routes import Routes


class HTTPEdge(Edge):
    """
    The connections of a port that speaks HTTP.

    @ivar requests: Parses the requests.

    @ivar idleTimeout: Seconds after which a connection without a request is
        closed.

    @ivar headTime: Seconds in which a head has to be whole.

    @ivar bodyTime: Seconds that a body may be late: see L{comet.http.pace}.

    @cvar isSecure: Whether the requests come through TLS.
    """

    isSecure = False

    def __init__(self, reactor: Any, routes: Routes, factory: Any, family: int) -> None:
        super().__init__(reactor, routes.hub, factory, family)
        self._makePlan = routes.makePlan
        self.requests: RequestCache | _NoRequests = self._makeCache(None)
        self._proxied: RequestCache | None = None
        self.idleTimeout: float = factory.timeOut
        self.headTime = self.handshakeTime = min(HEAD_TIME, self.idleTimeout)
        self.bodyTime = min(BODY_TIME, self.idleTimeout)

    def requestsOf(self, peerAddress: str) -> RequestCache | _NoRequests:
        """
        Return what parses the requests of a connection, where some proxies are
        trusted.

        @param peerAddress: The IP address of the other end of the connection.
        """
        proxies, proxied = self.hub.proxies, self._proxied
        isProxied = proxies is not None and proxies.trusts(peerAddress)
        if not isProxied or isinstance(self.requests, _NoRequests):
            return self.requests
        if proxied is None or proxied.proxies is not proxies:
            self._proxied = proxied = self._makeCache(proxies)
        return proxied

    def _makeCache(self, proxies: Proxies | None) -> RequestCache:
        return RequestCache(self.hub, self._makePlan, proxies, self.isSecure)

    def refusal(self) -> bytes:
        """
        See L{Edge.refusal}.
        """
        error = self.hub.full()
        self.hub.fanout.tally.refused.add(error.code)
        response = problem(error)
        template = completeTemplate(response.status, response.headers)
        return endConnection(template.fill(response.body))

    def handOver(self, connection: EdgeConnection, data: bytes) -> None:
        """
        See L{Edge.handOver}.
        """
        self.factory.isAdopting = True
        try:
            super().handOver(connection, data)
        finally:
            self.factory.isAdopting = False
            self.factory.headDue = math.inf
            self.factory.identified = None

    def drain(self) -> None:
        """
        See L{Edge.drain}.  New requests are handed over: Twisted's edge answers
        them, and ends the connection.
        """
        self.requests = _NoRequests()
        self.comebacks.clear()


class _NoRequests:
    """
    Leaves all requests to Twisted's edge.
    """

    clientOf = None

    def parse(self, head: bytes) -> None:
        """
        Parse no request.
        """

    def isKnown(self, data: bytes) -> bool:
        """
        Say that there is nothing to parse.
        """
        return True
