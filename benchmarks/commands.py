"""
The command: prepare the peers, measure them, show and write the figures.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, TextIO

from benchmarks.building import buildLoad
from benchmarks.case import Case
from benchmarks.cases import CASES, ORDINARY
from benchmarks.chart import drawChart
from benchmarks.curves import drawCurves
from benchmarks.figures import FIGURES, faults
from benchmarks.results import Results
from benchmarks.runs import NO_TRANSPORT, Run, measure, plan
from benchmarks.servers import Broken, Missing, Peer, raiseLimit
from benchmarks.sets import SETS, Set
from benchmarks.settables import setTables
from benchmarks.tables import (
    asRST,
    asText,
    behindTable,
    caseTables,
    circumstances,
    extent,
    number,
    verdictTable,
)

# The peers, in the order in which they are measured and shown.
NAMES: Final = (
    "comet",
    "nchan",
    "floor",
    "ws",
    "socketio",
    "sockjs",
    "faye",
    "websockets",
    "picows",
    "pysocketio",
    "autobahn",
    "twistedweb",
    "comettls",
    "cometnginx",
    "nchantls",
    "cometredis",
    "cometworkers",
)
TRANSPORTS: Final = (
    "websocket",
    "sse",
    "stream",
    "longpoll",
    "tcp",
    "multipart",
    "iframe",
    "jsonp",
)

# C{--short}: the seconds of a run, and after how many the last one may begin.
_SHORT_SECONDS: Final = 1.0
_SHORT_END: Final = 285.0
# Those that differ most come first: the time may not be enough for all.
_SHORT_TRANSPORTS: Final = ("websocket", "longpoll", "sse", "tcp", "stream")
_SHORT_PEERS: Final = ("comet", "nchan", "floor")

# The files that a server and the load generator have open beside the readers.
_OTHER_FILES: Final = 500


def findPeer(name: str) -> Peer:
    """
    Import one of the peers of L{NAMES}.
    """
    peer: Peer = import_module(f"benchmarks.peers.{name}").PEER
    return peer


class Command:
    """
    One call of the command.
    """

    def __init__(self, options: Namespace, output: TextIO) -> None:
        self._options = options
        self._output = output
        self._results = Results()

    def _say(self, text: str) -> None:
        print(text, file=self._output, flush=True)

    def run(self) -> int:
        """
        Measure, or read the counts of an earlier run, and show the figures.

        @return: The exit status: 1 if a message was lost, repeated, damaged or
            out of order, or if a server failed.
        """
        options = self._options
        if options.input is not None:
            self._results = Results.load(options.input)
        else:
            try:
                self._measureAll()
            except KeyboardInterrupt:
                self._say("interrupted; the measurements so far:")
        self._show()
        return int(self._isBad())

    def _isBad(self) -> bool:
        results = self._results
        every = (result for rounds in results.rounds.values() for result in rounds.values())
        return bool(results.about["failed"]) or any(faults(result) for result in every)

    def _measureAll(self) -> None:
        options = self._options
        cases = self._cases(raiseLimit())
        named = options.peers or [
            name for name in NAMES if any(name in case.peers or not case.peers for case in cases)
        ]
        peers = [peer for name in named if (peer := self._prepared(name)) is not None]
        transports = options.transports or (_SHORT_TRANSPORTS if options.short else TRANSPORTS)
        rounds = options.rounds or self._usualRounds(cases)
        runs = [run for run in plan(peers, cases, transports, rounds) if self._isWanted(run)]
        if options.short:
            # When the time is over, runs of the last transports are left out.
            order = [NO_TRANSPORT, *_SHORT_TRANSPORTS, *TRANSPORTS]
            runs.sort(key=lambda run: order.index(run.transport))
        self._measure(runs)

    def _usualRounds(self, cases: Sequence[Case]) -> int:
        """
        Return how often each case is measured.  Sets have numbers of their own: a run of
        a set is to end in minutes.
        """
        names = {case.name for case in cases}
        ofSets = [one.rounds for one in SETS.values() if names <= {case.name for case in one.cases}]
        return 1 if self._options.short else next(iter(ofSets), 5)

    def _prepared(self, name: str) -> Peer | None:
        peer = findPeer(name)
        about = self._results.about
        try:
            about["versions"][name] = version = peer.prepare()
        except (Missing, Broken) as error:
            about["missing"][name] = str(error)
            self._say(f"{name} is left out: it needs {error}")
            return None
        self._say(f"{name} {version}")
        return peer

    def _cases(self, files: int) -> list[Case]:
        options = self._options
        wanted = [CASES[name] for name in self._names()]
        if options.short and not options.cases:
            wanted = [case for case in wanted if case.isBrief]
        most = min(options.readers, files - _OTHER_FILES)
        for case in wanted:
            if case.readers + case.late > most and case.readers + case.late <= options.readers:
                self._say(f"{case.name}: only {most} readers: {files} open files are allowed")
        return [case.withReaders(most) for case in wanted]

    def _names(self) -> Iterator[str]:
        """
        Yield the names of the cases that the command line names, by themselves or by their
        sets.
        """
        for name in self._options.cases or ORDINARY:
            if name in SETS:
                yield from (case.name for case in SETS[name].cases)
            else:
                yield name

    def _isWanted(self, run: Run) -> bool:
        options = self._options
        return (
            not options.short
            or bool(options.peers)
            or run.peer.name in _SHORT_PEERS
            or (run.case.name == "closed1k" and run.transport == "websocket")
        )

    def _measure(self, runs: Sequence[Run]) -> None:
        programs = {each: buildLoad(each) for each in {run.peer.isEncrypted for run in runs}}
        begin = time.monotonic()
        for index, run in enumerate(runs):
            elapsed = time.monotonic() - begin
            if self._options.short and elapsed > _SHORT_END:
                self._say(f"the time is over: {len(runs) - index} of {len(runs)} runs are left out")
                return
            left = f"{elapsed / index * (len(runs) - index) / 60:.0f} min left" if index else ""
            told = self._measureOne(run, programs[run.peer.isEncrypted])
            head = f"[{index + 1}/{len(runs)} {left}]".replace(" ]", "]")
            self._say(f"{head} round {run.round + 1} {' '.join(run.key)}: {told}")
            if self._options.output is not None:
                self._results.save(self._options.output)

    def _measureOne(self, run: Run, program: Path) -> str:
        options = self._options
        seconds = options.seconds or (_SHORT_SECONDS if options.short else run.case.seconds)
        try:
            edge = {"edge": options.edge} if options.edge else {}
            result = measure(run, program, edge, min(seconds, run.case.seconds))
        except Broken as error:
            self._results.about["failed"].append(f"{' '.join(run.key)}: {error}")
            return f"FAILED: {error}"
        self._results.add(run.key, run.round, result)
        figure = FIGURES[run.case.figure]
        value = figure.of(result)
        told = "nothing" if value is None else f"{number(value)} {figure.unit}".strip()
        wrong = faults(result)
        return f"{told} {wrong} {result.get('firstFault')}" if wrong else told

    def _show(self) -> None:
        results, options = self._results, self._options
        behind = behindTable(results.rounds)
        tables = [*caseTables(results.rounds), verdictTable(results.rounds), behind]
        where = circumstances(results.about)
        self._say(f"\n{where}\n")
        for table in tables:
            self._say(asText(table))
        for one in SETS.values():
            self._showSet(one, where)
        for failure in results.about["failed"]:
            self._say(f"failed: {failure}")
        if options.rst is not None:
            parts = [where, *(asRST(table) for table in (tables[-2], *tables[:-2]))]
            options.rst.write_text("\n\n".join(parts))
        if options.behind is not None:
            options.behind.write_text(f"{where} {extent(results.rounds)}\n\n{asRST(behind)}")
        if options.chart is not None:
            options.chart.write_text(drawChart(results.rounds))

    def _showSet(self, one: Set, where: str) -> None:
        results, folder = self._results, self._options.book
        tables = setTables(results.rounds, one)
        for table in tables:
            self._say(asText(table))
        if folder is None or not tables:
            return
        parts = [where, *map(asRST, tables)]
        (folder / f"performance-{one.name}.inc").write_text("\n\n".join(parts))
        if any(series.curves for series in one.series):
            drawn = drawCurves(results.rounds, one.series)
            (folder / f"performance-{one.name}.svg").write_text(drawn)
