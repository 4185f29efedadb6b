"""
From the counts of the load generator to the figures that are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from attrs import frozen

Result = Mapping[str, float]

# So many readers are enough to tell what each takes.
_MANY: Final = 1000

FAULTS: Final = (
    "lost",
    "repeated",
    "disordered",
    "damaged",
    "unexpected",
    "unanswered",
    "connectErrors",
    "resets",
    "closes",
    "badStatuses",
    "protocolErrors",
    "otherErrors",
)


@frozen
class Figure:
    """
    A figure that is computed from a result.

    @ivar isLess: Whether less is better.

    @ivar of: Computes it, or returns L{None} where it has no meaning.
    """

    name: str
    title: str
    unit: str
    isLess: bool
    of: Callable[[Result], float | None]


def _per(name: str, unit: float, other: str = "deliveries") -> Callable[[Result], float | None]:
    def compute(result: Result) -> float | None:
        return result[name] / result[other] / unit if result[other] else None

    return compute


def _if(name: str, unit: float, given: str) -> Callable[[Result], float | None]:
    def compute(result: Result) -> float | None:
        return result[name] / unit if result[given] else None

    return compute


def _wait(name: str) -> Callable[[Result], float | None]:
    def compute(result: Result) -> float | None:
        return result[name] / 1e6 if result.get(name) else None

    return compute


def _late(result: Result) -> float | None:
    return result["late"] / result["stormSeconds"] if result["stormSeconds"] else None


def _publishes(result: Result) -> float | None:
    return None if result["readers"] else result["messages"] / result["seconds"]


def _answer(result: Result) -> float | None:
    return None if result["readers"] else result["answerP50Ns"] / 1e6


def _publishCost(result: Result) -> float | None:
    return None if result["readers"] else result["cpuNs"] / result["messages"] / 1000


def _message(result: Result) -> float | None:
    return result["cpuNs"] / result["messages"] / 1000 if result["messages"] else None


def _toAll(result: Result) -> float | None:
    # In a closed loop the next message is published when all readers have the last one.
    return result["seconds"] / result["messages"] * 1000 if result["deliveries"] else None


def _some(name: str, unit: float) -> Callable[[Result], float | None]:
    return lambda result: result[name] / unit if result.get(name) else None


def _memory(result: Result) -> float | None:
    # What a few readers take fits into what a process has asked the system for already.
    return result["memoryEach"] / 1024 if result["readers"] >= _MANY else None


def _handshakes(result: Result) -> float | None:
    cpu = result.get("connectCpuNs")
    return result["connected"] / (cpu / 1e9) if cpu and result["connected"] else None


def _unevenness(result: Result) -> float | None:
    if result.get("processes", 0) < 2:
        return None
    return (result["shareMost"] / result["shareLeast"] - 1) * 100


FIGURES: Final[Mapping[str, Figure]] = {
    figure.name: figure
    for figure in (
        Figure("cpu", "CPU a delivery", "µs", True, _per("cpuNs", 1000)),
        Figure("rate", "deliveries a second", "", False, _per("deliveries", 1, "seconds")),
        Figure("p50", "p50", "ms", True, _if("latencyP50Ns", 1e6, "deliveries")),
        Figure("p99", "p99", "ms", True, _if("latencyP99Ns", 1e6, "deliveries")),
        Figure("down", "bytes down a delivery", "", True, _per("bytesDown", 1)),
        Figure("up", "bytes up a delivery", "", True, _per("bytesUp", 1)),
        Figure("memory", "memory a reader", "KB", True, _memory),
        Figure("publishes", "messages published a second", "", False, _publishes),
        Figure("answer", "p50 until the answer", "ms", True, _answer),
        Figure("publishing", "CPU a message", "µs", True, _publishCost),
        Figure("bystander", "longest wait of a bystander", "ms", True, _wait("bystanderMostNs")),
        Figure("alone", "the same before the load", "ms", True, _wait("bystanderAloneNs")),
        Figure("message", "CPU a message", "µs", True, _message),
        Figure("toAll", "time of a message to all", "ms", True, _toAll),
        Figure("held", "memory a channel", "KB", True, _some("heldEach", 1024)),
        Figure("handshakes", "connections a second of CPU", "", False, _handshakes),
        Figure("uneven", "most readers of a worker above the least", "%", True, _unevenness),
        Figure("connects", "connections a second", "", False, _late),
    )
}


def faults(result: Result) -> dict[str, int]:
    """
    Return what went wrong, and how often.
    """
    return {name: int(result[name]) for name in FAULTS if result[name]}


@frozen
class Spread:
    """
    The median, the least and the most of several measurements.
    """

    median: float
    least: float
    most: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """
    Return the spread of the values that are not L{None}.
    """
    known = [value for value in values if value is not None]
    return Spread(median(known), min(known), max(known)) if known else None


def spreadOf(name: str, results: Sequence[Result]) -> Spread | None:
    """
    Return the spread of a figure over results.
    """
    return spread(FIGURES[name].of(result) for result in results)


def ratio(name: str, ours: Sequence[Result], theirs: Sequence[Result]) -> Spread | None:
    """
    Return the spread of our figure divided by theirs, round by round: a
    disturbance of the machine in one round meets both.

    @param ours: Results, one a round.

    @param theirs: As many results, of the same rounds.
    """
    compute = FIGURES[name].of
    pairs = ((compute(one), compute(other)) for one, other in zip(ours, theirs, strict=True))
    return spread(one / other if one is not None and other else None for one, other in pairs)
