"""
The resource at C{/metrics}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from comet.errors import CometError, NotFound, Unavailable
from comet.http.responses import COMMON, Response
from comet.hub.hub import Hub
from comet.interfaces.busabilities import IMeasuredBus
from comet.model.held import Held
from comet.reactor.deadlines import withDeadline
from comet.reactor.deferreds import gather
from comet.transports.exchange import Exchange
from comet.web.admin.guard import AdminResource
from comet.web.branch import Branch
from comet.web.metrics.exposition import encode, isInstalled
from comet.web.metrics.families import Family, heldFamilies
from comet.web.metrics.processfigures import nodeFamilies
from comet.web.metrics.workerfigures import countFamily, fromRows, ofWorkers

# For how many seconds the bus is waited for.  Prometheus waits ten by default; and what
# the bus holds is missing where the bus does not answer, which other figures tell.
BUS_SECONDS: Final = 1.0


class MetricsResource(AdminResource):
    """
    Tells the figures of this server, of all its workers, to an admin.
    """

    methods = ("GET", "HEAD")
    hasPath = False

    _log = Logger()

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell the figures.
        """
        self.checkAdmin(exchange)
        if not isInstalled():
            raise NotFound(
                "figures are not told here: install prometheus-client, as by the extra 'metrics'"
            )
        accept = exchange.head.header("Accept") or ""
        both: Deferred[Any] = gather([self._held(), self._others()])
        exchange.respondWhen(both, lambda found: self._response(found[0], found[1], accept))

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

    def _others(self) -> Deferred[Any]:
        """
        Find out the figures of the other workers of this server.

        @return: Fires with rows by the number of the worker.
        """
        siblings = self.hub.siblings
        return succeed({}) if siblings is None else siblings.figures()

    def _response(self, held: Held | None, others: Mapping[int, Any], accept: str) -> Response:
        found: Iterable[Family] = nodeFamilies(self.hub)
        siblings = self.hub.siblings
        count = 1
        if siblings is not None:
            workers = {siblings.number: list(found), **self._read(others)}
            count = len(workers)
            found = ofWorkers(workers)
        # What the bus holds is the same for all workers, and told once.
        ofBus = () if held is None else heldFamilies(held)
        kind, text = encode(chain([countFamily(count)], found, ofBus), accept)
        return Response(200, ((b"Content-Type", kind), *COMMON), text)

    def _read(self, others: Mapping[int, Any]) -> dict[int, list[Family]]:
        read: dict[int, list[Family]] = {}
        for number, rows in others.items():
            try:
                read[number] = fromRows(rows)
            except ValueError as error:
                self._log.warn(
                    "the figures of worker {number} are of no use: {error}",
                    number=number,
                    error=error,
                )
        return read


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
