"""
The tables of the sets, and whether their bounds hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.cases import CASES
from benchmarks.figures import Result, Spread, ratio, spreadOf
from benchmarks.sets import Bound, Series, Set, Spot
from benchmarks.tables import Table, cell, faultsOf, heading, number
from benchmarks.targets import Key, Rounds


def _line(key: Key, results: Sequence[Result], shown: Sequence[str]) -> list[str]:
    name, peer, _ = key
    title, wanted = CASES[name].title, CASES[name].readers
    came = results[0]["readers"]
    if came != wanted:
        title = f"{title} (only {came:,.0f}, by the limit of open files)"
    return [title, peer, *(cell(spreadOf(each, results)) for each in shown), faultsOf(results)]


def _seriesTable(rounds: Rounds, series: Series) -> Table | None:
    keys = [key for case in series.cases for key in rounds if key[0] == case.name]
    lines = [_line(key, [*rounds[key].values()], series.figures) for key in keys]
    headings = ["case", "server", *map(heading, series.figures), "faults"]
    return (series.title, headings, lines) if lines else None


def _measured(rounds: Rounds, bound: Bound) -> Spread | None:
    def found(spot: Spot) -> dict[int, Result]:
        keys = (key for key in rounds if key[:2] == spot)
        return dict(rounds[key]) if (key := next(keys, None)) is not None else {}

    over = found(bound.over)
    if bound.under is None:
        return spreadOf(bound.figure, [*over.values()])
    under = found(bound.under)
    both = sorted(over.keys() & under.keys())
    return ratio(bound.figure, [over[each] for each in both], [under[each] for each in both])


def _boundLines(rounds: Rounds, bounds: Sequence[Bound]) -> Iterator[list[str]]:
    for bound in bounds:
        measured = _measured(rounds, bound)
        if measured is None:
            continue
        what = f"{bound.over[1]}: {CASES[bound.over[0]].title}"
        other = "-" if bound.under is None else f"{bound.under[1]}: {CASES[bound.under[0]].title}"
        sign = "≤" if bound.isMost else "≥"
        holds = "yes" if bound.holds(measured.median) else "NO"
        target = f"{sign} {number(bound.bound)}"
        yield [heading(bound.figure), what, other, cell(measured), target, holds]


def setTables(rounds: Rounds, one: Set) -> list[Table]:
    """
    Make the tables of a set: first its bounds, then its series.  There are none if none of
    its cases was measured.
    """
    made = (_seriesTable(rounds, series) for series in one.series)
    tables = [table for table in made if table is not None]
    lines = [*_boundLines(rounds, one.bounds)]
    headings = ["figure", "of", "divided by", "measured", "target", "holds"]
    return [*([("Targets", headings, lines)] if lines else []), *tables]
