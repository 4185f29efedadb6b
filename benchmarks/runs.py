"""
One run: start a server, let the load generator work on it, stop it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from benchmarks.case import Case
from benchmarks.figures import Result
from benchmarks.holding import hold
from benchmarks.scripts import Publishing, Reading, script
from benchmarks.servers import Broken, Peer, Server

# Stands for the transport in cases without readers.
NO_TRANSPORT: Final = "-"

_SERVER_CORE: Final = 0
_LOAD_CORE: Final = 1
_PATIENCE: Final = 120.0


@frozen
class Run:
    """
    One measurement.
    """

    round: int
    case: Case
    transport: str
    peer: Peer

    @property
    def key(self) -> tuple[str, str, str]:
        """
        What it has in common with the same run of other rounds.
        """
        return (self.case.name, self.peer.name, self.transport)


def plan(
    peers: Sequence[Peer], cases: Sequence[Case], transports: Sequence[str], rounds: int
) -> Iterator[Run]:
    """
    Yield all runs in order.  In each round, the peers that are compared with
    each other follow right after one another.
    """
    for number in range(rounds):
        for case in cases:
            for transport in [NO_TRANSPORT] if case.readers == 0 else transports:
                for peer in peers:
                    if (transport == NO_TRANSPORT or transport in peer.readings) and case.fits(
                        peer, transport
                    ):
                        yield Run(number, case, transport, peer)


def _publishing(run: Run) -> Publishing:
    """
    Return the way to publish in a run.
    """
    publishing = run.peer.publishings[run.case.publishing]
    return evolve(publishing, batch="") if run.case.isSingly else publishing


def _arguments(
    run: Run, server: Server, reading: Reading, publishing: Publishing, seconds: float
) -> dict[str, str]:
    place, case = server.place, run.case
    byHTTP = run.peer.publishings["http"]
    warmup = min(1.0, seconds / 2)
    return {
        "port": str(place.second if reading.second else place.port),
        "publish-port": str(place.second if publishing.second else place.port),
        "pids": "+".join(map(str, server.pids)),
        "core": str(_LOAD_CORE % (os.cpu_count() or 1)),
        "mode": case.mode,
        "readers": str(case.readers),
        "late": str(case.late),
        "publishers": str(case.publishers),
        "batch": str(case.batch),
        "rate": str(case.rate),
        "seconds": str(seconds),
        "warmup": str(warmup),
        "channels": str(case.used),
        "tls": str(int(run.peer.isEncrypted)),
        "bystander": str(warmup if case.hasBystander else 0),
        "bystander-port": str(place.second if byHTTP.second else place.port),
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

    @param options: The options that the command line has for the server.

    @param seconds: How long to measure.

    @return: The counts and times of the load generator.

    @raise Broken: If the server or the load generator does not work.
    """
    reading = run.peer.readings.get(run.transport) or next(iter(run.peer.readings.values()))
    publishing = _publishing(run)
    byHTTP = run.peer.publishings["http"] if run.case.hasBystander else None
    with Server(run.peer, _SERVER_CORE, {**options, **run.case.options}) as server:
        written = server.place.folder / "script"
        written.write_text(script(reading, publishing, run.case.layout, byHTTP))
        arguments = _arguments(run, server, reading, publishing, seconds)
        held = hold(server, run.case.held) if run.case.held else 0.0
        try:
            return {**_load(program, arguments, written), "heldEach": held}
        except subprocess.TimeoutExpired:
            raise Broken(f"no end after {_PATIENCE:.0f} seconds; {server.lastWords()}") from None
