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

# The number of findings of a kind that are printed; the folder has all.
_SHOWN: Final = 5

# The characters of a finding that are printed during the run.
_WIDTH: Final = 300

# The counts that are printed also if they are zero.
_PUBLISHING: Final = "published messages answered repeated abandoned unavailable unknown broken"
_READING: Final = "readers lives connections broken closes deliveries replays gaps"

_VISITING: Final = "visitors visits broken left snapshots join leave update"

_KINDS: Final = (
    "lost twice disorder gap foreign changed refused member wire died log harness".split()
)


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
        "--stale",
        action="store_true",
        help="as --lossy, but Redis comes back with what it had some seconds before",
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
    A progress line: on a terminal it overwrites itself, elsewhere there is a new
    one every five seconds.
    """

    def __init__(self) -> None:
        self._isTerminal = sys.stdout.isatty()
        self._next = 0.0

    def __call__(self, text: str) -> None:
        """
        Print the line.
        """
        if self._isTerminal:
            sys.stdout.write(f"\r{text}\x1b[K")
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + 5
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def found(self, finding: Finding) -> None:
        """
        Print a finding.
        """
        # One write: several threads may print at once.
        sys.stdout.write(f"\n{str(finding)[:_WIDTH]}\n")

    def end(self) -> None:
        """
        End the line.
        """
        if self._isTerminal:
            sys.stdout.write("\n")


def _told(counts: Counter[str], always: str = "") -> str:
    others = [what for what in sorted(counts) if counts[what] and what not in always.split()]
    return ", ".join(f"{counts[what]} {what}" for what in (*always.split(), *others))


def report(result: Result) -> list[str]:
    """
    Write the counts and some of the findings.
    """
    faults = Counter(result.faults)
    others = Counter({"could not start": faults.pop("could not start", 0)})
    found = Counter(finding.kind for finding in result.findings)
    lines = [
        f"faults: {sum(faults.values())}: {_told(faults)}",
        f"publishing: {_told(result.publishing, _PUBLISHING)}",
        f"reading: {_told(result.reading, _READING)}",
        f"visiting: {_told(result.visiting, _VISITING)}",
        "members: "
        + ("never" if result.seconds is None else f"{result.seconds:.1f} s after the faults")
        + " right",
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
    Save what is needed to look into the findings.
    """
    findings = "\n".join(map(str, result.findings))
    (folder / "findings.txt").write_text(findings + "\n")
    (folder / "plan.txt").write_text("\n".join(map(str, plan)) + "\n")
    trails = ["\n".join([label, *(f"  {line}" for line in trail)]) for label, trail in run.trails()]
    (folder / "readers.txt").write_text("\n".join(trails) + "\n")


def main(given: Sequence[str]) -> int:
    """
    Run, print the report, and return the exit status.
    """
    options = arguments(given)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    isLossy = options.lossy or options.stale
    settings = Settings(options.bus, isLossy, options.stale, options.history, options.edge)
    kinds = options.only.split(",") if options.only else kindsOf(options.bus, isLossy)
    # A single node has longer outages: nothing serves while it restarts.
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
    Exit on a signal, so that all processes are ended.
    """
    sys.exit(f"ended by signal {number}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(sys.argv[1:]))
