"""
Tables of the figures, for a terminal and for the book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.cases import CASES, ORDINARY
from benchmarks.figures import FIGURES, Result, Spread, faults, ratio, spreadOf
from benchmarks.targets import REFERENCE, US, Rounds, Verdict, verdicts

# The figures that a table shows, by the kind of its case.
_SHOWN: Final[Mapping[str, Sequence[str]]] = {
    "closed": ("cpu", "rate", "p50", "p99", "down", "up"),
    "paced": ("p50", "p99", "cpu"),
    "storm": ("connects", "p99"),
    "publish": ("publishes", "publishing", "answer"),
    "idle": ("memory",),
}


# What says nothing about which server is ahead.
_NOT_COMPARED: Final = ("down", "up", "alone")

# The load of a machine that measures alone.
_QUIET: Final = 1.0

# How much worse a figure is where comet counts as behind.  Less than this is noise.
_CLEARLY: Final = 1.05


def _shown(case: str) -> Sequence[str]:
    kind = CASES[case]
    if kind.figure == "memory":
        return _SHOWN["idle"]
    shown = _SHOWN["publish" if kind.readers == 0 else kind.mode]
    return (*shown, "bystander", "alone") if kind.hasBystander else shown


def number(value: float) -> str:
    """
    Write a number with three significant digits.
    """
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3f}"


def cell(spread: Spread | None) -> str:
    """
    Write a median, and in brackets the least and the most of the rounds.
    """
    if spread is None:
        return "-"
    if spread.least == spread.most:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.least)} to {number(spread.most)})"


def heading(name: str) -> str:
    """
    Return the title of a figure, with its unit.
    """
    figure = FIGURES[name]
    return f"{figure.title}, {figure.unit}" if figure.unit else figure.title


Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def caseTables(rounds: Rounds) -> Iterator[Table]:
    """
    Yield a table for each case that was measured, with a line for each peer and
    transport.
    """
    for case in map(CASES.__getitem__, ORDINARY):
        keys = [key for key in rounds if key[0] == case.name]
        if not keys:
            continue
        order = list(dict.fromkeys(key[2] for key in keys))
        keys.sort(key=lambda key: order.index(key[2]))
        shown = _shown(case.name)
        lines = [_line(key, [*rounds[key].values()], shown) for key in keys]
        yield case.title, ["transport", "server", *map(heading, shown), "faults"], lines


def faultsOf(results: Sequence[Result]) -> str:
    """
    Say what went wrong, and how often.
    """
    wrong: dict[str, int] = {}
    for result in results:
        for name, count in faults(result).items():
            wrong[name] = wrong.get(name, 0) + count
    return ", ".join(f"{count} {name}" for name, count in wrong.items()) or "none"


def _line(key: tuple[str, str, str], results: Sequence[Result], shown: Sequence[str]) -> list[str]:
    values = (cell(spreadOf(name, results)) for name in shown)
    return [key[2], key[1], *values, faultsOf(results)]


def verdictTable(rounds: Rounds) -> Table:
    """
    Make the table of the targets that comet must reach, and whether it does.
    """
    lines = [
        [CASES[one.target.case].title, one.target.transport, *_verdict(one)]
        for one in verdicts(rounds)
    ]
    headings = ["case", "transport", "figure", f"{US}", "target", "holds"]
    return f"Targets (“ratio” is {US} divided by {REFERENCE})", headings, lines


def _verdict(one: Verdict) -> list[str]:
    figure = FIGURES[one.target.figure]
    what = f"{figure.title}, ratio" if one.target.isRatio else heading(one.target.figure)
    sign = "≤" if one.target.isMost else "≥"
    bound = f"{sign} {number(one.target.bound)}"
    return [what, cell(one.measured), bound, "yes" if one.holds else "NO"]


def behindTable(rounds: Rounds) -> Table:
    """
    Make the table of the figures in which comet is behind the reference, the worst
    first.  Bytes are left out: the shapes of both differ on purpose.
    """
    found = []
    for case, peer, transport in (key for key in rounds if key[0] in ORDINARY):
        theirs = rounds.get((case, REFERENCE, transport))
        if peer != US or theirs is None:
            continue
        ours = rounds[case, US, transport]
        both = sorted(ours.keys() & theirs.keys())
        pair = [ours[each] for each in both], [theirs[each] for each in both]
        for name in _shown(case):
            compared = None if name in _NOT_COMPARED else ratio(name, *pair)
            if compared is None or not compared.median:
                continue
            times = compared.median if FIGURES[name].isLess else 1 / compared.median
            if times >= _CLEARLY:
                values = [cell(spreadOf(name, each)) for each in pair]
                line = [CASES[case].title, transport, heading(name), *values, cell(compared)]
                found.append((times, line))
    found.sort(key=lambda each: each[0], reverse=True)
    headings = ["case", "transport", "figure", US, REFERENCE, "ratio"]
    return f"Where {US} is behind {REFERENCE}", headings, [line for _, line in found]


def circumstances(about: Mapping[str, Any]) -> str:
    """
    Say when, on which machine and with which versions the runs were, and whether the
    machine did other work when they began.
    """
    versions = "; ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"Measured on {about['date']} with {about['cores']} cores of {about['processor']}, "
        f"{about['system']}. Versions: {versions}.{_otherWork(about.get('load', 0))}"
    )


def _otherWork(load: float) -> str:
    return f" The machine did much other work: its load was {load}." if load > _QUIET else ""


def extent(rounds: Rounds) -> str:
    """
    Say how many rounds there were, and how long the shortest and the longest run of
    them took.
    """
    every = [results for key, results in rounds.items() if key[1] in (US, REFERENCE)]
    counts = sorted({len(results) for results in every})
    seconds = sorted(result["seconds"] for results in every for result in results.values())
    if not seconds:
        return "Nothing was measured."
    told = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    words = "round" if counts[-1] == 1 else "rounds"
    return f"{told} {words}, each run of {seconds[0]:.1f} to {seconds[-1]:.1f} seconds."


def asText(table: Table) -> str:
    """
    Write a table for a terminal.
    """
    title, headings, lines = table
    rows = [list(headings), *map(list, lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    padded = ([word.ljust(width) for word, width in zip(row, widths, strict=True)] for row in rows)
    aligned = ["  ".join(row).rstrip() for row in padded]
    return "\n".join((title, "-" * len(title), *aligned, ""))


def asRST(table: Table) -> str:
    """
    Write a table for the book.
    """
    title, headings, lines = table
    text = [f".. list-table:: {title}", "   :header-rows: 1", "   :class: figures", ""]
    for row in (headings, *lines):
        text += [f"   {'* -' if not index else '  -'} {word}" for index, word in enumerate(row)]
    return "\n".join((*text, ""))
