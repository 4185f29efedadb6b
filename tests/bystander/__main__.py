"""
The command: C{python -m tests.bystander}.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from tests.bystander.abuses import ABUSES, WAYS
from tests.bystander.measuring import BUSES, EDGES, TONGUES, Row, scene

# The longest wait that is allowed: so many seconds, or so many times what the
# longest waits of an idle server are.
LONGEST: Final = 0.020
TIMES: Final = 10.0


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.bystander",
        description="Measure how long a client waits while others abuse the server.  What is "
        "compared with the bound is the processor time of the server and its Redis in the wait, "
        "or the wait itself where that is shorter: other programs do not add to it.  The exit "
        "code is 1 if one is longer than 20 ms and ten times that of an idle server.",
    )
    parser.add_argument("--edge", choices=EDGES, action="append", help="default: both")
    parser.add_argument("--bus", choices=BUSES, action="append", help="default: all")
    parser.add_argument("--way", choices=WAYS, action="append", help="default: all")
    parser.add_argument(
        "--as", dest="tongue", choices=TONGUES, default="http", help="what the bystander speaks"
    )
    parser.add_argument("--only", action="append", help="only this abuse; default: all")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row; default 3")
    parser.add_argument("--channels", type=int, default=5000, help="that exist; default 5000")
    parser.add_argument("--scale", type=float, default=1.0, help="of the clients; default 1")
    return parser.parse_args(given)


def isOver(row: Row, idle: Row) -> bool:
    """
    Tell whether the server has caused a longer wait than is allowed.
    """
    return row.caused(1) > max(LONGEST, TIMES * idle.caused(1))


def told(label: str, row: Row, idle: Row) -> str:
    """
    Write a row of the table.
    """
    longest = row.seconds(1)
    ratios = [row.caused(part) / idle.caused(part) for part in (0.99, 1)]
    return (
        f"{label:16}{row.abuse:29}{row.way:5}{len(row.waits):7}{row.seconds(0.5) * 1000:9.2f}"
        f"{row.seconds(0.99) * 1000:9.2f}{longest * 1000:9.2f}{ratios[0]:7.1f}{ratios[1]:7.1f}"
        f"{row.caused(1) * 1000:9.2f}{row.done.get('connections', 0):8}"
        f"{row.done.get('sent', 0) / 1e6:9.1f}{row.done.get('received', 0) / 1e6:9.1f}"
        f"{'  over' if isOver(row, idle) else ''}"
    )


def main(given: Sequence[str]) -> int:
    """
    Measure, print the table, and return the exit status.
    """
    options = arguments(given)
    print(
        f"{'edge bus':16}{'abuse':29}{'way':5}{'asked':>7}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}"
        f"{'xp99':>7}{'xmax':>7}{'cpu':>9}{'links':>8}{'MB sent':>9}{'received':>9}"
    )
    count = over = 0
    for edge in options.edge or EDGES:
        for bus in options.bus or BUSES:
            label = f"{edge} {bus}"
            with scene(edge, bus, options.channels, tongue=options.tongue) as stage:
                waits = stage.idle(options.seconds)
                idle = Row("idle", "", waits, {})
                print(told(label, idle, idle), flush=True)
                for abuse in ABUSES:
                    if options.only and abuse.name not in options.only:
                        continue
                    for way in options.way or WAYS:
                        if way in abuse.ways:
                            row = stage.measure(abuse, way, options.seconds, options.scale)
                            print(told(label, row, idle), flush=True)
                            count += 1
                            over += isOver(row, idle)
                stage.server.assertNoTracebacks()
    print(f"{count} rows, {over} over {LONGEST * 1000:.0f} ms and {TIMES:.0f} times idle")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
