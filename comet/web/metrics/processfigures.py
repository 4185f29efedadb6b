"""
The figures of the process, as prometheus-client tells them: its CPU, memory and open
files, and the collections of garbage.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from comet.hub.hub import Hub
from comet.web.metrics.families import Family, families


def nodeFamilies(hub: Hub) -> Iterator[Family]:
    """
    Yield all figures that this process alone tells: of its hub, and its own.

    @raise ImportError: If prometheus-client is not installed.
    """
    yield from families(hub)
    yield from processFamilies()


def processFamilies() -> Iterator[Family]:
    """
    Yield the figures of this process.

    @raise ImportError: If prometheus-client is not installed.
    """
    for collector in _collectors():
        for metric in collector.collect():
            family = Family(metric.name, metric.type, metric.documentation)
            for sample in metric.samples:
                family.add(sample.value, **sample.labels)
            yield family


@cache
def _collectors() -> tuple[Any, ...]:
    from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

    # The second one asks for a registry, and adds itself to it.
    return ProcessCollector(registry=None), GCCollector(CollectorRegistry())
