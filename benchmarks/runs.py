"""
One run: a server is started, the load generator works on it, it is stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.cases import Case
from benchmarks.figures import Result
from benchmarks.servers import Broken, Peer, Server
from benchmarks.wires import Publishing, Wire, script

# What stands for a transport where nobody reads.
NOBODY: Final = "-"

_SERVER_CORE: Final = 0
_LOAD_CORE: Final = 1
_PATIENCE: Final = 120.0


@frozen
class Run:
    """
    What is measured once.
    """

    round: int
    case: Case
    transport: str
    peer: Peer

    @property
    def key(self) -> tuple[str, str, str]:
        """
        What runs of other rounds have in common with it.
        """
        return (self.case.name, self.peer.name, self.transport)


def plan(
    peers: Sequence[Peer], cases: Sequence[Case], transports: Sequence[str], rounds: int
) -> Iterator[Run]:
    """
    All runs, in order: in each round, peers that are compared with each other
    come one right after the other.
    """
    for number in range(rounds):
        for case in cases:
            for transport in [NOBODY] if case.readers == 0 else transports:
                for peer in peers:
                    if (transport == NOBODY or transport in peer.wires) and case.fits(
                        peer, transport
                    ):
                        yield Run(number, case, transport, peer)


def _arguments(
    run: Run, server: Server, wire: Wire, publishing: Publishing, seconds: float
) -> dict[str, str]:
    place, case = server.place, run.case
    return {
        "port": str(place.second if wire.second else place.port),
        "publish-port": str(place.second if publishing.second else place.port),
        "pids": "+".join(map(str, server.pids)),
        "core": str(_LOAD_CORE % (os.cpu_count() or 1)),
        "mode": case.mode,
        "readers": str(case.readers),
        "late": str(case.late),
        "batch": str(case.batch),
        "rate": str(case.rate),
        "seconds": str(seconds),
        "warmup": str(min(1.0, seconds / 2)),
    }


def _load(program: Path, arguments: Mapping[str, str], written: Path) -> Result:
    words = [f"{name}={value}" for name, value in arguments.items()]
    result = subprocess.run(
        [str(program), str(written), *words],
        capture_output=True,
        text=True,
        timeout=_PATIENCE + float(arguments["seconds"]),
        check=False,
    )
    if not result.stdout:
        raise Broken(result.stderr.strip() or f"the load generator ended with {result.returncode}")
    counted: dict[str, Any] = json.loads(result.stdout)
    return counted


def measure(run: Run, program: Path, options: Mapping[str, str], seconds: float) -> Result:
    """
    Do one run.

    @param program: The load generator.

    @param options: What the command line asks of the server.

    @param seconds: How long it is measured.

    @return: What the load generator counted.

    @raise Broken: If the server or the load generator does not work.
    """
    wire = run.peer.wires.get(run.transport) or next(iter(run.peer.wires.values()))
    publishing = run.peer.publishings[run.case.publishing]
    with Server(run.peer, _SERVER_CORE, options) as server:
        written = server.place.folder / "script"
        written.write_text(script(wire, publishing, run.case.layout))
        arguments = _arguments(run, server, wire, publishing, seconds)
        try:
            return _load(program, arguments, written)
        except subprocess.TimeoutExpired:
            raise Broken(f"no end after {_PATIENCE:.0f} seconds; {server.lastWords()}") from None
