"""
Measures comet beside its peers::

    python -m benchmarks --short
    python -m benchmarks --peers comet,nchan --cases closed1k,burst
    python -m benchmarks --output figures.json --chart chart.svg --rst table.rst
    python -m benchmarks --short --peers comet,nchan --behind behind.rst
    python -m benchmarks --input figures.json --chart chart.svg
    python -m benchmarks --cases growth --book docs/explanation

The server runs on one core and the load generator on another.  Every run starts
a server of its own.  In each round all peers are measured right after each
other, so that a disturbance of the machine that lasts a while meets all of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.commands import NAMES, TRANSPORTS, Command
from benchmarks.sets import SETS


def _several(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        found = text.split(",")
        unknown = [word for word in found if word not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(allowed)}")
        return found

    return words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=(__doc__ or "").partition("::")[0],
    )
    for name, allowed in (("peers", NAMES), ("cases", [*CASES, *SETS]), ("transports", TRANSPORTS)):
        parser.add_argument(
            f"--{name}",
            type=_several(allowed),
            metavar="NAME,NAME",
            help=f"of {', '.join(allowed)}; default: all",
        )
    parser.add_argument("--readers", type=int, default=100000, help="no more readers than these")
    parser.add_argument(
        "--rounds", type=int, help="how often each is measured; default: 5, of a set its own number"
    )
    parser.add_argument("--seconds", type=float, help="of each run; default: the case's own")
    parser.add_argument("--short", action="store_true", help="take five minutes")
    parser.add_argument("--edge", choices=["lean", "twisted"], help="of comet; default: its own")
    parser.add_argument("--output", type=Path, help="write the counts as JSON")
    parser.add_argument("--input", type=Path, help="show the counts of an earlier run")
    parser.add_argument("--chart", type=Path, help="draw a chart, as SVG")
    parser.add_argument("--rst", type=Path, help="write the tables for the book")
    parser.add_argument("--behind", type=Path, help="write where comet is behind, for the book")
    parser.add_argument("--book", type=Path, help="write the sets' tables and curves here")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """
    Run the command line.
    """
    options = _parser().parse_args(words)
    return Command(options, sys.stdout).run()


if __name__ == "__main__":
    sys.exit(main())
