"""
Draw the life of a reader from the table in L{comet.fanout.states}, so that the
drawing cannot be out of date.

The states stand in a row, in the order of their definition.  A transition
forward is an arc above them, a transition back is an arc below.  Inputs that do
not change the state are written under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from comet.fanout.states import TRANSITIONS, Input, State

Table = Mapping[tuple[State, Input], State]

# In units of the drawing: pixels, unless the page scales it.
_WIDTH: Final = 92
_HEIGHT: Final = 34
_GAP: Final = 84
_RISE: Final = 46
_LINE: Final = 15
_MARGIN: Final = 12

_STYLE: Final = (
    "text{font:12px sans-serif;fill:currentColor;text-anchor:middle}"
    ".state{font-weight:bold}.stays{font-size:11px;font-style:italic}"
    ".box{fill:none;stroke:currentColor;stroke-width:1.5}"
    ".arc{fill:none;stroke:currentColor;stroke-width:1.2}"
    ".head{fill:currentColor}"
)


def arcs(table: Table) -> dict[tuple[State, State], list[Input]]:
    """
    The inputs that lead from one state to another, by these two states.
    """
    found: dict[tuple[State, State], list[Input]] = {}
    for (state, given), following in table.items():
        if state is not following:
            found.setdefault((state, following), []).append(given)
    return found


def stays(table: Table) -> dict[State, list[Input]]:
    """
    The inputs that do not change a reader's state, by that state.
    """
    found: dict[State, list[Input]] = {}
    for (state, given), following in table.items():
        if state is following:
            found.setdefault(state, []).append(given)
    return found


def draw(table: Table = TRANSITIONS) -> str:
    """
    Draw a table of transitions.

    @return: An C{svg} element, in the colour of the text around it.
    """
    order = {state: index for index, state in enumerate(State)}
    lead = arcs(table)
    up = max((order[b] - order[a] for a, b in lead if order[b] > order[a]), default=0)
    down = max((order[a] - order[b] for a, b in lead if order[b] < order[a]), default=0)
    loops = stays(table)
    most = max(map(len, loops.values()), default=0)
    top = _MARGIN + up * _RISE
    bottom = top + _HEIGHT
    under = bottom + down * _RISE + _LINE
    width = len(order) * (_WIDTH + _GAP) - _GAP + 2 * _MARGIN
    height = under + most * _LINE + _MARGIN
    parts = [
        f'<svg viewBox="0 0 {width} {height}" style="width:100%;max-width:{width}px" '
        f'role="img" aria-label="{escape(describe(table))}"><style>{_STYLE}</style>'
    ]
    for state, index in order.items():
        parts += _box(state, _centre(index), top)
        parts += _under(loops.get(state, []), _centre(index), under)
    for (before, after), inputs in lead.items():
        parts += _arc(order[before], order[after], inputs, top)
    return "".join([*parts, "</svg>"])


def describe(table: Table = TRANSITIONS) -> str:
    """
    Say in words what the drawing shows, for readers that cannot see it.
    """
    lines = [
        f"{before.value}, {' or '.join(each.value for each in inputs)}: {after.value}"
        for (before, after), inputs in arcs(table).items()
    ]
    return "; ".join(lines)


def _centre(index: int) -> float:
    return _MARGIN + index * (_WIDTH + _GAP) + _WIDTH / 2


def _box(state: State, centre: float, top: float) -> list[str]:
    return [
        f'<rect class="box" x="{centre - _WIDTH / 2:g}" y="{top:g}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" rx="8"/>',
        f'<text class="state" x="{centre:g}" y="{top + _HEIGHT / 2 + 4:g}">'
        f"{escape(state.value)}</text>",
    ]


def _under(inputs: list[Input], centre: float, top: float) -> list[str]:
    lines = [f"({each.value})" for each in inputs]
    return [
        f'<text class="stays" x="{centre:g}" y="{top + (row + 1) * _LINE:g}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    ]


def _arc(before: int, after: int, inputs: list[Input], top: float) -> list[str]:
    """
    Draw an arc between two boxes.  It begins and ends beside their middles, so
    that arriving and leaving arcs stand apart.
    """
    isForward = after > before
    span = abs(after - before)
    sign = 1 if isForward else -1
    # A longer arc ends nearer to the middle, so that arcs do not cross.
    aside = _WIDTH / 2 - 8 - 8 * (span - 1)
    start, end = _centre(before) + sign * aside, _centre(after) - sign * aside
    edge = top if isForward else top + _HEIGHT
    apex = edge - sign * span * _RISE
    # A cubic curve reaches three quarters of the way to its handles.
    handle = edge + (apex - edge) * 4 / 3 + sign * 12
    middle = (start + end) / 2
    label = edge + (handle - edge) * 3 / 4 + (-5 if isForward else 13)
    words = ", ".join(each.value for each in inputs)
    tip = -sign * 7
    return [
        f'<path class="arc" d="M{start:g} {edge:g}C{start:g} {handle:g} {end:g} {handle:g} '
        f'{end:g} {edge:g}"/>',
        f'<path class="head" d="M{end:g} {edge:g}l-4 {tip}h8z"/>',
        f'<text x="{middle:g}" y="{label:g}">{escape(words)}</text>',
    ]
