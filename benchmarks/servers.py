"""
Servers under test, each in processes of its own on a core of its own.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from attrs import frozen

from benchmarks.wires import Publishing, Wire

BENCHMARKS: Final = Path(__file__).resolve().parent
ROOT: Final = BENCHMARKS.parent
BUILD: Final = BENCHMARKS / "build"

# How long a server may take to listen, and to end.
_PATIENCE: Final = 30.0


class Missing(Exception):
    """
    Something is not installed; the text says what to install.
    """


class Broken(Exception):
    """
    A server does not do what it should; the text says what it said.
    """


@frozen
class Place:
    """
    Where a server may work.

    @ivar folder: A folder of its own, empty when it starts.

    @ivar port: Where readers connect, and publishers unless told otherwise.

    @ivar second: Another port.

    @ivar options: What the command line asks of this server.
    """

    folder: Path
    port: int
    second: int
    options: Mapping[str, str]


@frozen
class Peer:
    """
    A server that can be measured.

    @ivar wires: How it can be read from, by the name of the transport.

    @ivar publishings: How it can be published to: C{"http"} always, perhaps
        C{"websocket"}.

    @ivar prepare: Builds what it needs and tells its version.

        @raise Missing: If something must be installed first.

    @ivar command: The command that serves, and does not go to the background.

    @ivar hasPatterns: Whether readers may ask for a pattern, as comet's.

    @ivar hasSeveral: Whether a reader may ask for several channels.
    """

    name: str
    wires: Mapping[str, Wire]
    publishings: Mapping[str, Publishing]
    prepare: Callable[[], str]
    command: Callable[[Place], Sequence[str]]
    hasPatterns: bool = False
    hasSeveral: bool = True


def raiseLimit() -> int:
    """
    Let this process, and those that it starts, have as many open files as the
    system allows.

    @return: How many those are.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def freePorts(count: int) -> list[int]:
    """
    Ports of loopback that nobody uses at this moment.
    """
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def descendants(pid: int) -> list[int]:
    """
    A process and all that it has started.
    """
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


class Server:
    """
    A server that runs, as a context.
    """

    def __init__(self, peer: Peer, core: int, options: Mapping[str, str]) -> None:
        self._peer = peer
        self._core = core
        self._folder = Path(tempfile.mkdtemp(prefix=f"bench-{peer.name}-"))
        port, second = freePorts(2)
        self.place = Place(self._folder, port, second, options)

    def __enter__(self) -> Server:
        command = self._peer.command(self.place)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
                preexec_fn=self._settle,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _settle(self) -> None:
        # Between fork and exec: whatever the server starts inherits it.
        os.sched_setaffinity(0, {self._core})

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        for port in self._ports():
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise Broken(
                            f"{self._peer.name} does not start: {self.lastWords()}"
                        ) from None
                    time.sleep(0.02)
        # Some listen before they have started those who work.
        before: list[int] = []
        while before != (before := self.pids) or time.monotonic() < deadline - _PATIENCE + 0.2:
            time.sleep(0.1)

    def _ports(self) -> set[int]:
        isSecond = {wire.second for wire in self._peer.wires.values()}
        isSecond |= {publishing.second for publishing in self._peer.publishings.values()}
        return {self.place.second if each else self.place.port for each in isSecond}

    @property
    def pids(self) -> list[int]:
        """
        The processes that it consists of.
        """
        return descendants(self._process.pid)

    def lastWords(self) -> str:
        """
        The end of what it has written.
        """
        lines = (self._folder / "log").read_text(errors="replace").splitlines()
        return next((line[:500] for line in reversed(lines) if line), "it wrote nothing")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The session is this server's alone.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(_PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)
