"""
C{comet top}: what passes on each transport, every second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
from attrs import define, field

from comet.command.console import dim, printable, show, showJSON, strong
from comet.command.serveroptions import connect, failures, sayLost, serverOptions

# Where the server publishes its figures, and which of them count up.
CHANNEL: Final = "$stats"
_COUNTING: Final = ("requests", "headIn", "dataIn", "headOut", "dataOut")

# A node that says nothing for so many seconds is gone, or reads its own channel no more.
_GONE: Final = 5.0

# How many nodes are followed: more would be no comet's.
_MOST_NODES: Final = 1024


@click.command("top", short_help="Show live figures of a server.")
@serverOptions
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many tables.")
@click.option("--json", "isJSON", is_flag=True, help="Print a table as one line of JSON.")
def topCommand(count: int | None, isJSON: bool, **server: Any) -> None:
    """
    Show each second what passes on each transport: lasting connections, and requests and bytes a
    second, heads included. It needs the admin key.

    Nodes that share a bus tell their figures while they have a reader of their own: what is
    shown is the sum of those that tell.
    """
    figures = Figures()
    isScreen = sys.stdout.isatty() and not isJSON
    client = connect(**server)
    shown = 0
    with failures(), client:
        for item in client.subscribe(CHANNEL, onClose=sayLost):
            if not figures.take(getattr(item, "data", None), time.monotonic()):
                continue
            table = figures.table(time.monotonic())
            if isJSON:
                showJSON(table)
            else:
                if isScreen:
                    click.clear()
                for line in _lines(table):
                    show(line)
            shown += 1
            if shown == count:
                return


@define
class _Node:
    """
    What one node has told.

    @ivar seen: When it was heard last.

    @ivar counts: The newest counts, by transport.

    @ivar rates: How fast these grow, a second.
    """

    seen: float
    counts: Mapping[str, Mapping[str, float]]
    rates: dict[str, dict[str, float]] = field(factory=dict)


class Figures:
    """
    The figures of all nodes, and how fast they grow.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def take(self, data: Any, now: float) -> bool:
        """
        Take what a node tells.

        @return: Whether there are rates now, for which it takes two of a node.
        """
        if not isinstance(data, dict) or not isinstance(data.get("node"), str):
            return False
        counts = _readCounts(data.get("transports"))
        before = self._nodes.get(data["node"])
        if before is None:
            if len(self._nodes) < _MOST_NODES:
                self._nodes[data["node"]] = _Node(now, counts)
            return False
        seconds = max(now - before.seen, 0.001)
        rates = {
            transport: {
                name: max(value - before.counts.get(transport, {}).get(name, 0), 0) / seconds
                for name, value in each.items()
                if name in _COUNTING
            }
            for transport, each in counts.items()
        }
        self._nodes[data["node"]] = _Node(now, counts, rates)
        return True

    def table(self, now: float) -> dict[str, Any]:
        """
        Sum up what the nodes tell that were heard of lately.
        """
        self._nodes = {name: node for name, node in self._nodes.items() if now - node.seen < _GONE}
        rows: dict[str, dict[str, float]] = {}
        for node in self._nodes.values():
            for transport, rates in node.rates.items():
                row = rows.setdefault(
                    transport, dict.fromkeys(("open", "requests", "in", "out"), 0)
                )
                row["open"] += node.counts[transport].get("open", 0)
                row["requests"] += rates.get("requests", 0)
                row["in"] += rates.get("headIn", 0) + rates.get("dataIn", 0)
                row["out"] += rates.get("headOut", 0) + rates.get("dataOut", 0)
        rounded = {
            transport: {name: round(value, 1) for name, value in row.items()}
            for transport, row in sorted(rows.items())
        }
        return {"nodes": len(self._nodes), "transports": rounded}


def _readCounts(value: Any) -> dict[str, dict[str, float]]:
    """
    Read the counts of transports, without what is none.
    """
    if not isinstance(value, dict):
        return {}
    return {
        transport: {name: count for name, count in each.items() if type(count) in (int, float)}
        for transport, each in value.items()
        if isinstance(each, dict)
    }


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    """
    Yield the lines of a table.
    """
    nodes = "1 node" if table["nodes"] == 1 else f"{table['nodes']} nodes"
    yield dim(f"{nodes}, {time.strftime('%H:%M:%S')}")
    yield strong(f"{'transport':<12} {'open':>9} {'requests/s':>11} {'in/s':>10} {'out/s':>10}")
    for transport, row in table["transports"].items():
        yield (
            f"{printable(transport):<12} {row['open']:>9,.0f} {row['requests']:>11,.1f} "
            f"{_size(row['in']):>10} {_size(row['out']):>10}"
        )


def _size(count: float) -> str:
    """
    Write a number of bytes.
    """
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
