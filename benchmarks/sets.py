"""
Sets of cases that belong together and are shown together: how cost grows, what TLS
costs, and what more processes bring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from benchmarks.case import Case
from benchmarks.scripts import FAMILY, Layout

# A case, and a peer.
Spot = tuple[str, str]


@frozen
class Series:
    """
    Cases along one axis: a curve, or the lines of a table.

    @ivar axis: What the axis counts.

    @ivar figures: The figures that are shown, the first of them as curves.

    @ivar curves: Which of them are curves.
    """

    title: str
    axis: str
    cases: Sequence[Case]
    figures: Sequence[str]
    curves: Sequence[str] = ()


@frozen
class Bound:
    """
    A bound for a figure of one case divided by the same figure of another, round by
    round.

    @ivar under: The case and peer to divide by; L{None} for the figure itself.

    @ivar isMost: Whether the bound is the most that the ratio may be, and not the least.
    """

    figure: str
    over: Spot
    under: Spot | None
    bound: float
    isMost: bool = True

    def holds(self, value: float) -> bool:
        """
        Whether a value is within the bound.
        """
        return value <= self.bound if self.isMost else value >= self.bound


@frozen
class Set:
    """
    A set of cases.

    @ivar rounds: How often each is measured if the command line does not say it.
    """

    name: str
    series: Sequence[Series]
    rounds: int
    bounds: Sequence[Bound]

    @property
    def cases(self) -> Sequence[Case]:
        """
        All its cases, in order.
        """
        return [case for series in self.series for case in series.cases]


# -- Growth

_COMET: Final = ("comet",)
# So that a million channels are held, whatever they take.
_ROOM: Final = {"history-total-bytes": str(8 << 30)}


def _readers(count: int) -> Case:
    name = f"readers-{count}"
    title = f"{count:,} readers of one channel"
    return Case(name, title, "cpu", readers=count, peers=("comet", "nchan"), transports=("sse",))


def _held(count: int) -> Case:
    return Case(
        f"held-{count}",
        f"{count:,} channels held, messages to 10 of them",
        "publishes",
        readers=0,
        layout=Layout(10),
        held=count,
        at=count,
        peers=_COMET,
        options=_ROOM,
    )


def _spread(count: int) -> Case:
    return Case(
        f"spread-{count}",
        f"messages to {count:,} channels in turn",
        "publishing",
        readers=0,
        layout=Layout(count),
        held=count,
        at=count,
        peers=_COMET,
        options=_ROOM,
    )


def _read(count: int) -> Case:
    return Case(
        f"read-{count}",
        f"{count:,} channels, each of one reader, ten a reader",
        "message",
        readers=count // 10,
        layout=Layout(count, 10, isApart=True),
        held=count,
        used=10,
        at=count,
        peers=_COMET,
        transports=("sse",),
        options=_ROOM,
    )


def _patterns(count: int) -> Case:
    return Case(
        f"patterns-{count}",
        f"{count:,} patterns, each of one reader",
        "message",
        readers=count,
        layout=Layout(count * FAMILY, FAMILY, isPattern=True),
        used=FAMILY,
        at=count,
        peers=_COMET,
        transports=("sse",),
    )


_GROWTH: Final = Set(
    "growth",
    (
        Series(
            "Readers of one channel",
            "readers",
            [*map(_readers, (10, 100, 1000, 10000, 50000))],
            ("cpu", "toAll", "p50", "p99", "memory"),
            ("cpu", "toAll", "memory"),
        ),
        Series(
            "Channels held, messages to ten of them",
            "channels held",
            [*map(_held, (10, 10000, 1000000))],
            ("publishes", "publishing", "held"),
            ("publishing", "held"),
        ),
        Series(
            "Channels that messages are published to, in turn",
            "channels",
            [*map(_spread, (10, 100, 1000, 10000, 100000))],
            ("publishing", "publishes", "held"),
            ("publishing",),
        ),
        Series(
            "Channels read, ten by each reader",
            "channels read",
            [*map(_read, (10, 1000, 10000, 100000))],
            ("message", "p50", "p99", "memory"),
            ("message",),
        ),
        Series(
            "Patterns, one of each reader",
            "patterns",
            [*map(_patterns, (1, 10, 100, 1000, 10000))],
            ("message", "p50", "p99", "memory"),
            ("message",),
        ),
    ),
    1,
    (
        Bound("cpu", ("readers-50000", "comet"), ("readers-10000", "comet"), 1.3),
        Bound("publishes", ("held-1000000", "comet"), ("held-10", "comet"), 0.9, isMost=False),
        Bound("publishing", ("held-1000000", "comet"), ("held-10", "comet"), 1.11),
    ),
)


# -- TLS


def _tls(name: str, transport: str, readers: int, title: str) -> Case:
    return Case(
        name,
        title,
        "cpu",
        readers=readers,
        seconds=2.0,
        peers=("comet", "comettls", "cometnginx", "nchan", "nchantls"),
        transports=(transport,),
    )


_TLS: Final = Set(
    "tls",
    (
        Series(
            "TLS",
            "readers",
            (
                _tls("tls-sse", "sse", 1000, "1,000 readers of SSE"),
                _tls("tls-websocket", "websocket", 1000, "1,000 readers by WebSocket"),
            ),
            ("cpu", "handshakes", "memory", "p50", "p99"),
        ),
    ),
    2,
    (
        Bound("cpu", ("tls-sse", "comettls"), ("tls-sse", "cometnginx"), 1.0),
        Bound("cpu", ("tls-websocket", "comettls"), ("tls-websocket", "cometnginx"), 1.0),
    ),
)


# -- Workers


def _workers(name: str, transport: str, readers: int, title: str) -> Case:
    return Case(
        name,
        title,
        "cpu",
        readers=readers,
        # On several connections, so that each worker has some of them.
        publishers=8,
        seconds=3.0,
        peers=("cometredis", "cometworkers"),
        transports=(transport,),
    )


_WORKERS: Final = Set(
    "workers",
    (
        Series(
            "One process and two workers",
            "readers",
            (
                _workers("workers-sse", "sse", 1000, "1,000 readers of SSE"),
                _workers("workers-websocket", "websocket", 1000, "1,000 readers by WebSocket"),
                _workers("workers-5000", "sse", 5000, "5,000 readers of SSE"),
            ),
            ("cpu", "message", "memory", "uneven", "p50", "p99"),
        ),
    ),
    3,
    (
        *(
            Bound(
                "cpu", (f"workers-{name}", "cometworkers"), (f"workers-{name}", "cometredis"), 1.15
            )
            for name in ("sse", "websocket", "5000")
        ),
        *(
            Bound("uneven", (f"workers-{name}", "cometworkers"), None, 20)
            for name in ("sse", "websocket", "5000")
        ),
    ),
)

SETS: Final[Mapping[str, Set]] = {each.name: each for each in (_GROWTH, _TLS, _WORKERS)}
