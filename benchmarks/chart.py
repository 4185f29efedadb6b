"""
The chart for the book: bars, in plain SVG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from attrs import frozen

from benchmarks.cases import CASES
from benchmarks.figures import Spread, spreadOf
from benchmarks.tables import number
from benchmarks.targets import US, Rounds

# The cases with a panel each, and the figure that the bars show.
_PANELS: Final = ("closed1k", "channels", "burst")
_FIGURE: Final = "cpu"

_WIDTH: Final = 760
_LABEL: Final = 190
_BAR: Final = 14
_STEP: Final = 20
_RIGHT: Final = 70

# Legible on white and on black: the page may be either.
STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #7b828c }
.title { font-weight: 600 }
.peer { fill: #98a2ae }
.us { fill: #3f7fe8 }
.spread { stroke: #555d68; stroke-width: 1.5 }
"""


@frozen
class Bar:
    """
    One bar: a peer on a transport.
    """

    label: str
    isOurs: bool
    spread: Spread


def bars(rounds: Rounds, case: str) -> list[Bar]:
    """
    Return the bars of one panel, by transport, the shortest first.
    """
    found: list[tuple[str, Bar]] = []
    for (name, peer, transport), results in rounds.items():
        spread = spreadOf(_FIGURE, [*results.values()]) if name == case else None
        if spread is not None:
            found.append((transport, Bar(f"{peer} {transport}", peer == US, spread)))
    order = list(dict.fromkeys(transport for transport, _ in found))
    found.sort(key=lambda each: (order.index(each[0]), each[1].spread.median))
    return [bar for _, bar in found]


def _panel(title: str, some: Sequence[Bar], top: int) -> Iterator[str]:
    yield f'<text class="title" x="0" y="{top + 14}">{escape(title)}</text>'
    most = max(bar.spread.median for bar in some)
    room = _WIDTH - _LABEL - _RIGHT
    for index, bar in enumerate(some):
        y = top + 24 + index * _STEP
        width = bar.spread.median / most * room
        kind = "us" if bar.isOurs else "peer"
        yield f'<text x="{_LABEL - 8}" y="{y + 11}" text-anchor="end">{escape(bar.label)}</text>'
        yield f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}"/>'
        values = (bar.spread.least, bar.spread.most)
        ends = [_LABEL + min(value / most, 1.0) * room for value in values]
        yield (
            f'<line class="spread" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" '
            f'y1="{y + _BAR / 2}" y2="{y + _BAR / 2}"/>'
        )
        told = max(_LABEL + width, ends[1]) + 6
        yield f'<text x="{told:.1f}" y="{y + 11}">{number(bar.spread.median)}</text>'


def drawChart(rounds: Rounds) -> str:
    """
    Draw the measurements.

    @return: An SVG document; without panels if none of their cases was measured.
    """
    parts: list[str] = []
    top = 0
    for case in _PANELS:
        some = bars(rounds, case)
        if some:
            title = f"{CASES[case].title}: server CPU a delivery, µs"
            parts += _panel(title, some, top)
            top += 24 + len(some) * _STEP + 20
    size = f"0 0 {_WIDTH} {max(top, 1)}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img">'
    return "\n".join((head, f"<style>{STYLE}</style>", *parts, "</svg>", ""))
