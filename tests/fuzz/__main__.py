"""
The command: C{python -m tests.fuzz --minutes 60}.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from typing import Final

from tests.fuzz import guided, parsing
from tests.fuzz.findings import Finding
from tests.fuzz.parsers import makeParsers
from tests.fuzz.run import Result, Run

PARTS: Final = ("parsers", "guided", "servers")

# The share of the time that each part has.
_SHARES: Final = {"parsers": 0.3, "guided": 0.3, "servers": 0.4}


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Send bytes that no client should send to every parser and to a live server "
        "of each edge.  The exit code is 1 where one does what it should not: a traceback, a "
        "difference between the edges, a bystander that waits, anything that is left.",
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long; default 1")
    parser.add_argument("--seed", type=int, help="what to draw the bytes from; default: any")
    parser.add_argument(
        "--only",
        choices=PARTS,
        help="parsers: what Hypothesis makes; guided: what atheris makes (pip install atheris); "
        "servers: live servers; default: all that can be run",
    )
    return parser.parse_args(given)


def show(finding: Finding) -> None:
    """
    Print a finding.
    """
    print(finding, flush=True)


def report(result: Result) -> list[str]:
    """
    Write what came of a run against servers.
    """
    cases, compared = result.cases, result.compared
    lines = [
        "servers: "
        + ", ".join(f"{cases[kind]} {kind}" for kind in sorted(cases))
        + f"; {sum(cases.values())} in all",
        "compared: " + ", ".join(f"{compared[kind]} {kind}" for kind in sorted(compared)),
    ]
    for edge, growth in result.growth.items():
        lines.append(
            f"{edge}: a bystander was served {result.polls[edge]} times, and waited for at most "
            f"{result.worst[edge] * 1000:.0f} ms of processor time; {growth / 2**20:+.1f} MiB"
        )
    return lines


def main(given: Sequence[str]) -> int:
    """
    Run, print the counts, and return the exit status.
    """
    options = arguments(given)
    number = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    parts = [options.only] if options.only else [*PARTS]
    if not options.only and not guided.isThere():
        print("atheris is not installed: nothing is guided")
        parts.remove("guided")
    shares = sum(_SHARES[part] for part in parts)
    print(f"{', '.join(parts)} for {options.minutes:g} min, --seed {number}", flush=True)
    findings: list[Finding] = []
    for part in parts:
        seconds = options.minutes * 60 * _SHARES[part] / shares
        if part == "parsers":
            parsed = parsing.run(makeParsers(), number, seconds, show)
            findings += parsed.findings
            counts = parsed.taken + parsed.refused
            told = (f"{parsed.taken[name]}/{count} {name}" for name, count in counts.items())
            print(f"parsers, taken/given: {', '.join(told)}; {counts.total()} in all", flush=True)
        elif part == "guided":
            names = [parser.name for parser in makeParsers()]
            given_, found = guided.run(names, number, seconds, show)
            findings += found
            told = (f"{count} {name}" for name, count in given_.items())
            print(f"guided: {', '.join(told)}; {sum(given_.values())} in all", flush=True)
        else:
            result = Run(number, seconds, show).run()
            findings += result.findings
            print("\n".join(report(result)), flush=True)
    print(f"{len(findings)} findings; again with --seed {number}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
