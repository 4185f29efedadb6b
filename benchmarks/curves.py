"""
The curves for the book: how figures grow along an axis, in plain SVG.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from attrs import frozen

from benchmarks.case import Case
from benchmarks.chart import STYLE
from benchmarks.figures import FIGURES, Result, Spread, spreadOf
from benchmarks.sets import Series
from benchmarks.tables import heading, number
from benchmarks.targets import US, Rounds

_WIDTH: Final = 760
_LEFT: Final = 20
_RIGHT: Final = 130
_HEAD: Final = 44
_HEIGHT: Final = 110
_FOOT: Final = 44

_CURVES: Final = """
.curve { fill: none; stroke: #98a2ae; stroke-width: 2 }
.ours { stroke: #3f7fe8 }
.axis { stroke: #98a2ae; stroke-width: 1 }
"""


@frozen
class Point:
    """
    A point of a curve.
    """

    at: float
    spread: Spread


def place(case: Case, results: Sequence[Result]) -> float:
    """
    Return the place of a case on its axis.  Where fewer readers came than the case
    wants, since the system allows no more, it is the place of those that came.
    """
    return results[0]["readers"] if case.at is None else case.at


def curves(rounds: Rounds, series: Series, figure: str) -> Mapping[str, Sequence[Point]]:
    """
    Return the points of each peer, from left to right.
    """
    found: dict[str, list[Point]] = {}
    cases = {case.name: case for case in series.cases}
    for (name, peer, _), byRound in rounds.items():
        results = [*byRound.values()]
        spread = spreadOf(figure, results) if name in cases else None
        if spread is not None:
            found.setdefault(peer, []).append(Point(place(cases[name], results), spread))
    return {peer: sorted(points, key=lambda each: each.at) for peer, points in found.items()}


class _Panel:
    """
    One panel: the curves of one figure.  Its axis has equal steps for equal ratios; its
    height begins at zero.
    """

    def __init__(self, drawn: Mapping[str, Sequence[Point]], top: int) -> None:
        every = [point for points in drawn.values() for point in points]
        self._drawn = drawn
        self._bottom = top + _HEAD + _HEIGHT
        self._most = max(point.spread.most for point in every) or 1.0
        self._begin = math.log(min(point.at for point in every) or 1)
        self._width = (math.log(max(point.at for point in every) or 1) - self._begin) or 1.0
        self._places = sorted({point.at for point in every})

    def x(self, at: float) -> float:
        """
        Return where a place of the axis is.
        """
        part = (math.log(at or 1) - self._begin) / self._width
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """
        Return where a value is.
        """
        return self._bottom - value / self._most * _HEIGHT

    def lines(self, title: str, axis: str) -> Iterator[str]:
        """
        Yield the elements of the panel.
        """
        end = _WIDTH - _RIGHT
        yield f'<text class="title" x="0" y="{self._bottom - _HEIGHT - 26}">{escape(title)}</text>'
        yield (
            f'<line class="axis" x1="{_LEFT}" x2="{end}" y1="{self._bottom}" y2="{self._bottom}"/>'
        )
        for at in self._places:
            yield (
                f'<text x="{self.x(at):.1f}" y="{self._bottom + 16}" text-anchor="middle">'
                f"{at:,.0f}</text>"
            )
        yield f'<text x="{end + 50}" y="{self._bottom + 16}">{escape(axis)}</text>'
        for peer, points in self._drawn.items():
            yield from self._curve(peer, points)

    def _curve(self, peer: str, points: Sequence[Point]) -> Iterator[str]:
        kind, dot = ("curve ours", "us") if peer == US else ("curve", "peer")
        spots = [(self.x(point.at), self.y(point.spread.median)) for point in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        yield f'<polyline class="{kind}" points="{joined}"/>'
        for (x, y), point in zip(spots, points, strict=True):
            yield f'<circle class="{dot}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            if peer == US:
                told = number(point.spread.median)
                yield f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{told}</text>'
            if point.spread.least != point.spread.most:
                ends = (self.y(point.spread.least), self.y(point.spread.most))
                yield (
                    f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" '
                    f'y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>'
                )
        if len(self._drawn) > 1:
            yield f'<text x="{spots[-1][0] + 24:.1f}" y="{spots[-1][1] + 4:.1f}">{peer}</text>'


def drawCurves(rounds: Rounds, drawn: Sequence[Series]) -> str:
    """
    Draw a panel for each curve of each series that was measured.

    @return: An SVG document.
    """
    parts: list[str] = []
    top = 0
    for series in drawn:
        for figure in series.curves:
            found = curves(rounds, series, figure)
            if not found:
                continue
            unit = FIGURES[figure].unit
            title = f"{series.title}: {heading(figure) if unit else FIGURES[figure].title}"
            parts += _Panel(found, top).lines(title, series.axis)
            top += _HEAD + _HEIGHT + _FOOT
    size = f"0 0 {_WIDTH} {max(top, 1)}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img">'
    return "\n".join((head, f"<style>{STYLE}{_CURVES}</style>", *parts, "</svg>", ""))
