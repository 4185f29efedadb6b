"""
The command: C{python -m tests.faults --bus sqlite|redis}.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from tests.faults.book import Finding
from tests.faults.cluster import Settings
from tests.faults.plan import draw, kindsOf
from tests.faults.run import Result, Run

# How many findings of a kind are shown; all are in the folder.
_SHOWN: Final = 5

# How much of a finding is shown while it runs, in characters.
_WIDTH: Final = 300

# What is told in any case, also where there is none.
_PUBLISHING: Final = "published messages answered repeated abandoned unavailable unknown broken"
_READING: Final = "readers lives connections broken closes deliveries replays gaps"

_KINDS: Final = "lost twice disorder gap foreign changed refused wire died log harness".split()


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Kill, stop and cut things at random under load, and see whether a message "
        "is lost, comes twice, or out of order.  The exit code is 1 where one is.",
    )
    parser.add_argument("--bus", choices=("memory", "sqlite", "redis"), default="sqlite")
    parser.add_argument("--faults", type=int, default=60, help="how many; default 60")
    parser.add_argument(
        "--seconds", type=float, help="how long; default: 1 a fault, or 1.2 for one node"
    )
    parser.add_argument("--seed", type=int, help="what to draw the faults from; default: any")
    parser.add_argument("--load", type=float, default=1.0, help="how much is published; default 1")
    parser.add_argument(
        "--lossy",
        action="store_true",
        help="let the log lose its past: Redis keeps nothing, a server with the memory bus is "
        "killed, too; readers then have to be told of a gap",
    )
    parser.add_argument(
        "--history", type=int, default=0, help="hold only so many messages of a channel"
    )
    parser.add_argument(
        "--edge", choices=("lean", "twisted"), default="lean", help="of the servers; default lean"
    )
    parser.add_argument("--only", help="kinds of faults, separated by commas, instead of all")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    return parser.parse_args(given)


class Progress:
    """
    Shows how far it is: one line that changes, or one every five seconds where
    nobody looks at it.
    """

    def __init__(self) -> None:
        self._isTerminal = sys.stdout.isatty()
        self._next = 0.0

    def __call__(self, text: str) -> None:
        """
        Show it.
        """
        if self._isTerminal:
            sys.stdout.write(f"\r{text}\x1b[K")
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + 5
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def found(self, finding: Finding) -> None:
        """
        Show what was found.
        """
        # In one piece: threads do not wait for each other here.
        sys.stdout.write(f"\n{str(finding)[:_WIDTH]}\n")

    def end(self) -> None:
        """
        Begin another line.
        """
        if self._isTerminal:
            sys.stdout.write("\n")


def _told(counts: Counter[str], always: str = "") -> str:
    others = [what for what in sorted(counts) if counts[what] and what not in always.split()]
    return ", ".join(f"{counts[what]} {what}" for what in (*always.split(), *others))


def report(result: Result) -> list[str]:
    """
    The counts, and some of what was found.
    """
    faults = Counter(result.faults)
    others = Counter({"could not start": faults.pop("could not start", 0)})
    found = Counter(finding.kind for finding in result.findings)
    lines = [
        f"faults: {sum(faults.values())}: {_told(faults)}",
        f"publishing: {_told(result.publishing, _PUBLISHING)}",
        f"reading: {_told(result.reading, _READING)}",
        "found: " + ", ".join(f"{found[kind]} {kind}" for kind in _KINDS),
    ]
    if _told(others):
        lines.append(f"processes: {_told(others)}")
    for kind in _KINDS:
        findings = [finding for finding in result.findings if finding.kind == kind]
        lines += [str(finding) for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            lines.append(f"... and {len(findings) - _SHOWN} more of {kind}")
    return lines


def keep(folder: Path, run: Run, result: Result, plan: Sequence[object]) -> None:
    """
    Write down what is needed to look into it.
    """
    findings = "\n".join(map(str, result.findings))
    (folder / "findings.txt").write_text(findings + "\n")
    (folder / "plan.txt").write_text("\n".join(map(str, plan)) + "\n")
    trails = ["\n".join([label, *(f"  {line}" for line in trail)]) for label, trail in run.trails()]
    (folder / "readers.txt").write_text("\n".join(trails) + "\n")


def main(given: Sequence[str]) -> int:
    """
    Run, report, and say whether all is well.
    """
    options = arguments(given)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    settings = Settings(options.bus, options.lossy, options.history, options.edge)
    kinds = options.only.split(",") if options.only else kindsOf(options.bus, options.lossy)
    # One node alone needs longer until it has started again.
    seconds = options.seconds or options.faults * (1.0 if settings.nodes > 1 else 1.2)
    plan = draw(seed, kinds, settings.nodes, options.faults, seconds)
    folder = Path(tempfile.mkdtemp(prefix="comet-faults-"))
    print(f"{options.faults} faults in {seconds:.0f} s, bus {options.bus}, --seed {seed}, {folder}")
    progress = Progress()
    run = Run(settings, plan, seed, folder, progress, progress.found, options.load)
    result = run.run()
    progress.end()
    print("\n".join(report(result)))
    if result.findings or options.keep:
        keep(folder, run, result, plan)
        print(f"see {folder}; again with --seed {seed}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if result.findings else 0


def _end(number: int, frame: FrameType | None) -> None:
    """
    Let no process stay behind.
    """
    sys.exit(f"ended by signal {number}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(sys.argv[1:]))
