"""
The text of the figures, as Prometheus and OpenMetrics have it: by prometheus-client,
which the extra C{metrics} installs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final

from comet.metrics.tally import Histogram
from comet.web.metrics.families import Family

# Prometheus asks for the second and, from an old server, takes the first.
TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = b"application/openmetrics-text; version=1.0.0; charset=utf-8"


def isInstalled() -> bool:
    """
    Whether there is prometheus-client.
    """
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        return False
    return True


def encode(families: Iterable[Family], accept: str) -> tuple[bytes, bytes]:
    """
    Encode figures.

    @param accept: The header C{Accept} of the request.

    @return: The media type, and the text.

    @raise ImportError: If prometheus-client is not installed.
    """
    from prometheus_client import exposition
    from prometheus_client.openmetrics import exposition as openmetrics

    # The version that is asked for is not: what the client says is not repeated to it.
    isOpenMetrics = "application/openmetrics-text" in accept
    generate: Any = openmetrics.generate_latest if isOpenMetrics else exposition.generate_latest
    return OPENMETRICS if isOpenMetrics else TEXT, generate(_Collected(families))


class _Collected:
    """
    Stands for a registry with collectors, which have collected already.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        """
        Yield the families as prometheus-client has them.
        """
        for family in self._families:
            yield _convert(family)


def _convert(family: Family) -> Any:
    from prometheus_client import core

    name, text = family.name, family.text
    names = sorted({label for labels, _ in family.values for label in labels})
    made: Any
    if family.kind == "histogram":
        made = core.HistogramMetricFamily(name, text, labels=names)
    elif family.kind == "counter":
        made = core.CounterMetricFamily(name, text, labels=names)
    else:
        made = core.GaugeMetricFamily(name, text, labels=names)
    for labels, value in family.values:
        # A worker of another release may tell a figure with other labels.
        values = [labels.get(label, "") for label in names]
        if isinstance(value, Histogram):
            made.add_metric(values, _buckets(value), value.total)
        else:
            made.add_metric(values, float(value))
    return made


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """
    Return how many values are up to each bound.
    """
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
