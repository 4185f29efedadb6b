"""
The resource at C{/metrics}.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from comet.errors import CometError, NotFound, Unavailable
from comet.http.responses import COMMON, Response
from comet.hub.hub import Hub
from comet.interfaces import IMeasuredBus
from comet.model.held import Held
from comet.reactor.deadlines import withDeadline
from comet.transports.exchange import Exchange
from comet.web.admin.guard import AdminResource
from comet.web.branch import Branch
from comet.web.metrics.exposition import encode
from comet.web.metrics.families import families

# For how many seconds the bus is waited for.  Prometheus waits ten by default; and what
# the bus holds is missing where the bus does not answer, which other figures tell.
BUS_SECONDS: Final = 1.0


class MetricsResource(AdminResource):
    """
    Tells the figures of this node, to an admin.
    """

    methods = ("GET", "HEAD")
    hasPath = False

    _log = Logger()

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell the figures.
        """
        self.checkAdmin(exchange)
        accept = exchange.head.header("Accept") or ""
        exchange.respondWhen(self._held(), lambda held: self._response(held, accept))

    answer_HEAD = answer_GET

    def _held(self) -> Deferred[Held | None]:
        """
        Find out what the bus holds.

        @return: Fires with L{None} if the bus cannot tell.
        """
        bus = self.hub.bus
        if not (IMeasuredBus.providedBy(bus) and bus.isAvailable):
            return succeed(None)
        measured: Deferred[Any] = maybeDeferred(bus.measure)
        if not measured.called:
            late = Unavailable("the bus does not answer")
            measured = withDeadline(measured, self.hub.fanout.wheel, BUS_SECONDS, lambda: late)
        return measured.addErrback(self._notMeasured)

    def _notMeasured(self, failure: Failure) -> None:
        if failure.check(CometError) is None:
            self._log.failure("what the bus holds could not be found out", failure)

    def _response(self, held: Held | None, accept: str) -> Response:
        try:
            kind, text = encode(families(self.hub, held), accept)
        except ImportError:
            raise NotFound(
                "figures are not told here: install prometheus-client, as by the extra 'metrics'"
            ) from None
        return Response(200, ((b"Content-Type", kind), *COMMON), text)


class OpenMetricsResource(MetricsResource):
    """
    Tells the figures to anyone: for a port that only the monitoring system reaches.  It is
    asked by any name.
    """

    identifies = False
    needsHost = False

    def checkAdmin(self, exchange: Exchange) -> None:
        """
        Let each client read them.
        """


class MetricsTree(Branch):
    """
    The resources of the port of the metrics.
    """

    def __init__(self, hub: Hub, missing: Resource) -> None:
        super().__init__(missing)
        # The site takes from it what it shares with the other ports.
        self.hub = hub
        self.putChild(b"metrics", OpenMetricsResource(hub))
