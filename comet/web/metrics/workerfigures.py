"""
The figures of the workers of one server: as lines between processes, and put together
for a scrape that one of them answers.

Each figure gets the label C{worker}, the number of its worker.  They are not added up: a
counter of one worker begins at 0 when that worker is restarted, and in a sum that would
look as if all had been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from comet.metrics.tally import Histogram
from comet.web.metrics.families import Family, Labels

# The label of the number of a worker.
WORKER: Final = "worker"


def toRows(families: Iterable[Family]) -> list[Any]:
    """
    Return figures as values that JSON can express.
    """
    return [
        [
            each.name,
            each.kind,
            each.text,
            [[labels, _toJSON(value)] for labels, value in each.values],
        ]
        for each in families
    ]


def fromRows(rows: Any) -> list[Family]:
    """
    Read what L{toRows} has made.

    @raise ValueError: If it has made no such thing, as that of a worker of another release.
    """
    try:
        return [
            Family(
                str(name),
                str(kind),
                str(text),
                [(_labels(labels), _fromJSON(value)) for labels, value in values],
            )
            for name, kind, text, values in rows
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"these are no figures: {error}") from None


def countFamily(count: int) -> Family:
    """
    Return the figure of how many workers are told of.
    """
    family = Family(
        "comet_workers", "gauge", "Processes of this server whose figures are here: its workers."
    )
    return family.add(count)


def ofWorkers(workers: Mapping[int, Sequence[Family]]) -> Iterator[Family]:
    """
    Put the figures of several workers together, each with the number of its worker.

    @param workers: The figures by the number of the worker.
    """
    found: dict[str, Family] = {}
    for number, families in sorted(workers.items()):
        for each in families:
            family = found.setdefault(each.name, Family(each.name, each.kind, each.text))
            # Another release may tell something else by that name.
            if family.kind == each.kind:
                for labels, value in each.values:
                    family.add(value, **labels, **{WORKER: str(number)})
    yield from found.values()


def _toJSON(value: float | Histogram) -> Any:
    if isinstance(value, Histogram):
        return {"bounds": value.bounds, "counts": value.counts, "total": value.total}
    return float(value)


def _fromJSON(value: Any) -> float | Histogram:
    if not isinstance(value, dict):
        return float(value)
    histogram = Histogram([float(each) for each in value["bounds"]])
    counts = [int(each) for each in value["counts"]]
    if len(counts) != len(histogram.counts):
        raise ValueError("a histogram has one count more than bounds")
    histogram.counts, histogram.total = counts, float(value["total"])
    return histogram


def _labels(labels: Any) -> Labels:
    return {str(name): str(value) for name, value in labels.items() if name != WORKER}
