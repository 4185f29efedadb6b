"""
The targets that comet must reach, and the verdict on each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from benchmarks.figures import Result, Spread, ratio, spreadOf

US: Final = "comet"
REFERENCE: Final = "nchan"

# A run: its case, peer and transport; and the results by run and round.
Key = tuple[str, str, str]
Rounds = Mapping[Key, Mapping[int, Result]]

_TRANSPORTS: Final = ("websocket", "sse", "stream", "longpoll", "tcp")


@frozen
class Target:
    """
    A bound for one figure of one case.

    @ivar isRatio: Whether the figure is divided by the reference's, on the
        same transport and in the same round.

    @ivar isMost: Whether the bound is the most that the figure may be, and not
        the least.
    """

    case: str
    transport: str
    figure: str
    bound: float
    isRatio: bool = True
    isMost: bool = True

    def holds(self, value: float) -> bool:
        """
        Whether a value is within the bound.
        """
        return value <= self.bound if self.isMost else value >= self.bound


def _row(case: str, figure: str, *bounds: float) -> list[Target]:
    return [
        Target(case, transport, figure, bound)
        for transport, bound in zip(_TRANSPORTS, bounds, strict=True)
    ]


_BURSTS: Final = ("burst", "burst-pipelined", "burst-connections", "burst-websocket")

TARGETS: Final[Sequence[Target]] = (
    *_row("closed1k", "cpu", 0.85, 0.7, 0.8, 0.95, 0.85),
    *_row("closed10k", "cpu", 0.85, 0.7, 0.8, 0.95, 0.85),
    *_row("channels", "cpu", 1.3, 0.95, 1.1, 1.2, 1.1),
    *(target for case in _BURSTS for target in _row(case, "cpu", 0.1, 0.1, 0.1, 0.1, 0.1)),
    *(
        target
        for case in ("closed1k", "closed10k", "paced", *_BURSTS)
        for figure in ("p50", "p99")
        for target in _row(case, figure, 1.0, 1.0, 1.0, 1.0, 1.0)
    ),
    *(
        target
        for figure in ("p50", "p99")
        for target in _row("channels", figure, 1.3, 1.0, 1.3, 1.3, 1.3)
    ),
    *(
        Target(case, transport, "bystander", 20.0, isRatio=False)
        for case in _BURSTS
        for transport in _TRANSPORTS
    ),
    Target("publish", "-", "publishes", 0.85, isMost=False),
    Target("publish-100", "-", "publishes", 1.0, isMost=False),
    *(
        Target("idle", transport, "memory", 2.0, isRatio=False)
        for transport in (*_TRANSPORTS, "multipart", "iframe", "jsonp")
    ),
    *(
        Target("storm", transport, "connects", 15000, isRatio=False, isMost=False)
        for transport in _TRANSPORTS
        if transport != "longpoll"
    ),
)


@frozen
class Verdict:
    """
    A target, and the measured figure.
    """

    target: Target
    measured: Spread

    @property
    def holds(self) -> bool:
        """
        Whether the median is within the bound.
        """
        return self.target.holds(self.measured.median)


def verdicts(rounds: Rounds) -> Iterator[Verdict]:
    """
    Yield a verdict on each target that was measured.
    """
    for target in TARGETS:
        ours = rounds.get((target.case, US, target.transport), {})
        measured: Spread | None
        if target.isRatio:
            theirs = rounds.get((target.case, REFERENCE, target.transport), {})
            both = sorted(ours.keys() & theirs.keys())
            measured = ratio(
                target.figure, [ours[each] for each in both], [theirs[each] for each in both]
            )
        else:
            measured = spreadOf(target.figure, [*ours.values()])
        if measured is not None:
            yield Verdict(target, measured)
