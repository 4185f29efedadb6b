"""
Servers under test, each in its own processes, and all on a core of their own.
"""

from __future__ import annotations

import http.client
import os
import random
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

from attrs import evolve, frozen

from benchmarks.scripts import Publishing, Reading

BENCHMARKS: Final = Path(__file__).resolve().parent
ROOT: Final = BENCHMARKS.parent
BUILD: Final = BENCHMARKS / "build"

# How long a server may take to listen, and to end.
_PATIENCE: Final = 30.0

# Below the ports that Linux gives to connections.
_PORTS: Final = range(15000, 32000)


class Missing(Exception):
    """
    Something is not installed; the text says what to install.
    """


class Broken(Exception):
    """
    A server does not work; the text holds its last words.
    """


@frozen
class Place:
    """
    The folder and ports of one server.

    @ivar folder: A folder of its own, empty when it starts.

    @ivar port: The port for readers, and for publishers by default.

    @ivar second: Another port.

    @ivar options: The options that the command line has for this server.
    """

    folder: Path
    port: int
    second: int
    options: Mapping[str, str]


def _alone() -> tuple[Mapping[str, str], Callable[[], None]]:
    return {}, lambda: None


@frozen
class Peer:
    """
    A server that can be measured.

    @ivar readings: The ways to read from it, by the name of the transport.

    @ivar publishings: The ways to publish to it: C{"http"} always, and
        C{"websocket"} where it has that.

    @ivar prepare: Builds what it needs and returns its version.

        @raise Missing: If something must be installed first.

    @ivar command: The command that serves in the foreground.

    @ivar hasPatterns: Whether readers may ask for a pattern, as comet's.

    @ivar hasSeveral: Whether a reader may ask for several channels.

    @ivar isOfSet: Whether it is measured only in the cases that name it.

    @ivar isEncrypted: Whether it speaks TLS.

    @ivar isBehind: Whether another server is in front of it: it listens itself on the second
        port, and is waited for.

    @ivar ready: The path of a request that is answered with 200 once it serves, where it
        listens long before.

    @ivar companion: Starts what the server needs and is not part of it, and returns
        options for the server, and what stops it.
    """

    name: str
    readings: Mapping[str, Reading]
    publishings: Mapping[str, Publishing]
    prepare: Callable[[], str]
    command: Callable[[Place], Sequence[str]]
    hasPatterns: bool = False
    hasSeveral: bool = True
    isOfSet: bool = False
    isEncrypted: bool = False
    isBehind: bool = False
    ready: str = ""
    companion: Callable[[], tuple[Mapping[str, str], Callable[[], None]]] = _alone


def raiseLimit() -> int:
    """
    Allow this process and its children as many open files as the system does.

    @return: The number of open files allowed.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def freePorts(count: int) -> list[int]:
    """
    Find ports of loopback that are free at this moment, and that no connection is given
    as its own meanwhile.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def descendants(pid: int) -> list[int]:
    """
    List a process, its children, their children, and so on.
    """
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


class Server:
    """
    A running server, as a context manager.
    """

    def __init__(self, peer: Peer, core: int, options: Mapping[str, str]) -> None:
        self._peer = peer
        self._core = core
        self._folder = Path(tempfile.mkdtemp(prefix=f"bench-{peer.name}-"))
        port, second = freePorts(2)
        self._stopCompanion: Callable[[], None] = lambda: None
        self.place = Place(self._folder, port, second, options)

    def __enter__(self) -> Server:
        given, self._stopCompanion = self._peer.companion()
        self.place = evolve(self.place, options={**self.place.options, **given})
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
        # Between fork and exec, so that all children of the server inherit it.
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
        # Some servers listen before they have started their workers.
        before: list[int] = []
        while before != (before := self.pids) or time.monotonic() < deadline - _PATIENCE + 0.2:
            time.sleep(0.1)
        while self._peer.ready and not self._answers():
            if time.monotonic() > deadline:
                raise Broken(f"{self._peer.name} does not serve: {self.lastWords()}")
            time.sleep(0.1)
        # One of several workers may serve before the others do.
        ticks = -1
        while self._peer.ready and ticks != (ticks := self._ticks()):
            time.sleep(0.5)

    def _answers(self) -> bool:
        link = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=1)
        try:
            link.request("GET", self._peer.ready)
            return link.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            link.close()

    def _ticks(self) -> int:
        """
        Return the processor time of all processes.
        """
        found = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found += int(fields[11]) + int(fields[12])
        return found

    def _ports(self) -> set[int]:
        isSecond = {reading.second for reading in self._peer.readings.values()}
        isSecond |= {publishing.second for publishing in self._peer.publishings.values()}
        isSecond |= {self._peer.isBehind, False}
        return {self.place.second if each else self.place.port for each in isSecond}

    @property
    def pids(self) -> list[int]:
        """
        The ids of its processes.
        """
        return descendants(self._process.pid)

    def lastWords(self) -> str:
        """
        The last line that it has written.
        """
        lines = (self._folder / "log").read_text(errors="replace").splitlines()
        return next((line[:500] for line in reversed(lines) if line), "it wrote nothing")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The process group holds this server alone.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(_PATIENCE)
        self._stopCompanion()
        shutil.rmtree(self._folder, ignore_errors=True)
