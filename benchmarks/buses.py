"""
Measures how fast each bus takes messages, beside the one in memory::

    python -m benchmarks.buses
    python -m benchmarks.buses --short
    python -m benchmarks.buses --redis redis://127.0.0.1:6379/15 --rounds 10

One run measures all of them in turn, each for a moment at a time, so that a
disturbance of the machine meets all of them.  The table compares the medians of
the rounds.  The benchmark calls the buses as the server does, without clients
and without readers, so it sees the store and the way to it.  It starts Redis
twice, with every write on disk (C{appendfsync always}) and without.  SQLite's
file is in the temporary directory: set C{TMPDIR} to one that is on a disk.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from comet.bus.registry import findMaker
from comet.interfaces.messagebus import IMessageBus
from comet.model.messages import Publication
from comet.settings.configuration import Configuration
from tests.redisserver import RedisServer

# The number of publishers at once, and of the lines of a batch.
MANY: Final = 100
LINES: Final = 100

# The bus that the others are compared with.
BASIS: Final = "memory"

_PAYLOAD: Final = b'{"headline":"' + b"x" * 100 + b'"}'
_CHANNELS: Final = tuple(f"bench/{number}" for number in range(10))

Work = Callable[[IMessageBus, float], Coroutine[Any, Any, float]]


@frozen
class Bus:
    """
    A bus to measure.

    @ivar name: Its name in the table.

    @ivar url: Its URL, as for C{--bus}.
    """

    name: str
    url: str


def publication(number: int) -> Publication:
    """
    Make one of the messages.
    """
    return Publication((_CHANNELS[number % len(_CHANNELS)],), _PAYLOAD)


async def one(bus: IMessageBus, seconds: float) -> float:
    """
    Publish from one publisher, which waits for each answer.

    @return: Messages a second.
    """
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        await bus.publish([publication(count)])
        count += 1
    return count / (now - began)


async def many(bus: IMessageBus, seconds: float) -> float:
    """
    Publish from many publishers at once, each of which waits for each answer.

    @return: Messages a second.
    """
    counts = [0] * MANY
    began = time.perf_counter()

    async def publisher(number: int) -> None:
        while time.perf_counter() < began + seconds:
            answered = bus.publish([publication(number)])
            if answered.called:
                # The others get a turn, as they do over a network.
                await _turn()
            await answered
            counts[number] += 1

    await gatherResults([Deferred.fromCoroutine(publisher(number)) for number in range(MANY)])
    return sum(counts) / (time.perf_counter() - began)


def _turn() -> Deferred[None]:
    from twisted.internet import reactor

    turned: Deferred[None] = Deferred()
    clock: Any = reactor
    clock.callLater(0, turned.callback, None)
    return turned


async def batches(bus: IMessageBus, seconds: float) -> float:
    """
    Publish batches from one publisher.

    @return: Messages a second.
    """
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        await bus.publish([publication(number) for number in range(LINES)])
        count += LINES
    return count / (now - began)


WORK: Final[dict[str, Work]] = {
    "one publisher": one,
    f"{MANY} publishers": many,
    f"batches of {LINES}": batches,
}


class Progress:
    """
    One line on standard error that says how far the work is.  On a terminal it
    overwrites itself.
    """

    def __init__(self, total: int) -> None:
        self._done, self._total = 0, total

    def step(self, text: str) -> None:
        """
        Note that one more measurement begins.
        """
        self._done += 1
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{self._done} of {self._total}: {text:50}", end=end, file=sys.stderr, flush=True)


async def measure(
    reactor: Any, buses: Sequence[Bus], rounds: int, seconds: float
) -> dict[tuple[str, str], list[float]]:
    """
    Measure all buses.

    @return: Messages a second in each round, by the work and the bus.
    """
    configuration = Configuration({})
    made = {bus.name: findMaker(bus.url).makeBus(bus.url, reactor, configuration) for bus in buses}
    for bus in made.values():
        await bus.start()
    # The first round warms up and does not count: code is loaded, and files and
    # tables grow.
    progress = Progress((rounds + 1) * len(WORK) * len(made))
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for work, run in WORK.items():
            for name, bus in made.items():
                progress.step(f"{work}, {name}")
                rate = await run(bus, seconds)
                if number:
                    found.setdefault((work, name), []).append(rate)
    for bus in made.values():
        await bus.stop()
    return found


def table(found: dict[tuple[str, str], list[float]]) -> list[str]:
    """
    Write the table: for each bus its median rate, and its ratio to the basis.
    """
    names = list(dict.fromkeys(name for _, name in found))
    wide = max(len(name) for name in names)
    lines = [f"{'messages a second':{wide}}" + "".join(f"{work:>24}" for work in WORK)]
    for name in names:
        line = f"{name:{wide}}"
        for work in WORK:
            # The ratio within each round: a disturbance has met both.
            pairs = zip(found[work, name], found[work, BASIS], strict=True)
            ratio = statistics.median(rate / basis for rate, basis in pairs)
            line += f"{statistics.median(found[work, name]):>14,.0f} = {ratio:7.4f}"
        lines.append(line)
    return lines


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        "python -m benchmarks.buses", description=(__doc__ or "").partition("::")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds; default: 5")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="seconds of each measurement; default: 1"
    )
    parser.add_argument("--short", action="store_true", help="take half a minute")
    parser.add_argument("--redis", help="measure this Redis, instead of starting two")
    return parser.parse_args(words)


async def run(reactor: Any, words: Sequence[str]) -> None:
    """
    Start the servers, measure, print the table, and stop the servers.
    """
    options = arguments(words)
    rounds, seconds = (3, 0.4) if options.short else (options.rounds, options.seconds)
    servers: list[RedisServer] = []
    with tempfile.TemporaryDirectory(prefix="comet-buses-") as directory:
        buses = [Bus(BASIS, "memory:"), Bus("sqlite", f"sqlite:{Path(directory, 'log.db')}")]
        try:
            if options.redis:
                buses.append(Bus("redis", options.redis))
            else:
                for name, sync in (("redis, always on disk", "always"), ("redis", "everysec")):
                    server = RedisServer("--appendonly yes", f"--appendfsync {sync}").start()
                    servers.append(server)
                    buses.append(Bus(name, f"redis://127.0.0.1:{server.port}/0"))
            found = await measure(reactor, buses, rounds, seconds)
        finally:
            for server in servers:
                server.destroy()
    print("\n".join(table(found)))


def main(words: Sequence[str] | None = None) -> None:
    """
    Run the command line, and exit.
    """
    given = sys.argv[1:] if words is None else words
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, given)))


if __name__ == "__main__":
    main()
