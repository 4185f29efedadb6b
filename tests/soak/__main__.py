"""
The command: C{python -m tests.soak --minutes 30}.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from typing import Final

from tests.soak.run import BUSES, GROUPS, TIMERS, Figures, Soak, grown, left

# How long the server warms up, as a part of the time, and in seconds at most.
_WARMING: Final = 0.2
_WARMEST: Final = 60.0

# What is printed of the counts.
_TOLD: Final = {
    "timers": TIMERS,
    "groups": GROUPS,
    "Deferreds": "twisted.internet.defer.Deferred",
}


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Let readers come and go on all transports while others publish, and look "
        "what the server holds once all of them have left.  The exit code is 1 where it holds more "
        "than after it was warm.",
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="in all; default 30")
    parser.add_argument("--bus", choices=BUSES, action="append", help="default: all, in turn")
    parser.add_argument("--edge", choices=("lean", "twisted"), default="lean")
    parser.add_argument("--seed", type=int, help="of what the clients choose; default: any")
    return parser.parse_args(given)


def told(figures: Figures) -> str:
    """
    Write figures on a line.
    """
    counts = ", ".join(f"{figures.counts[name]} {what}" for what, name in _TOLD.items())
    calls = sum(count for name, count in figures.counts.items() if name.endswith("DelayedCall"))
    return (
        f"{figures.memory / 2**20:.1f} MiB, {figures.descriptors} open files, {counts}, "
        f"{calls} delayed calls, {sum(figures.counts.values())} objects counted"
    )


def soak(bus: str, edge: str, seconds: float, seed: int) -> list[str]:
    """
    Do one run, and print what it has found.

    @return: The faults.
    """

    def tell(text: str) -> None:
        if sys.stdout.isatty():
            print(f"\r{bus}: {text}\x1b[K", end="", flush=True)

    run = Soak(bus, edge, seed)
    try:
        idle = run.figures()
        run.load(min(seconds * _WARMING, _WARMEST), tell)
        before = run.settled(idle)
        run.load(seconds, tell)
        after = run.settled(idle)
        run.checkLog()
    finally:
        run.stop()
    faults = [*run.faults, *left(idle, after), *grown(before, after)]
    done = ", ".join(f"{count} {what}" for what, count in sorted(run.counts.items()))
    print(f"\r{bus}, {edge}: {done}")
    for label, figures in (("idle", idle), ("warm", before), ("after", after)):
        print(f"  {label:6} {told(figures)}", flush=True)
    for fault in faults[:10]:
        print(f"  {fault}", flush=True)
    print(f"  {len(faults)} faults" if faults else "  nothing is left", flush=True)
    return faults


def main(given: Sequence[str]) -> int:
    """
    Run, print the verdict, and return the exit status.
    """
    options = arguments(given)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    buses = options.bus or BUSES
    print(f"seed {seed}")
    found = [soak(bus, options.edge, options.minutes * 60 / len(buses), seed) for bus in buses]
    return 1 if any(found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
