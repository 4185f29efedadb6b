"""
One worker, as its parent knows it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import InvalidLogLevelError, Logger, LogLevel
from twisted.python.failure import Failure

# How long a line of a log may be before it is told in pieces, in bytes.
MAX_LINE: Final = 1 << 16

# The first descriptor that systemd gives.
FIRST: Final = 3

_log = Logger()


@frozen
class Task:
    """
    What a worker is to do.

    @ivar given: What the command line says.

    @ivar file: What the configuration file says.

    @ivar key: The publish key.

    @ivar directory: From where the paths in these are to be understood.

    @ivar count: How many sockets there are.

    @ivar passed: How many descriptors systemd has given the parent.

    @ivar isFirst: Whether the worker does what only one of them is to do.
    """

    given: Mapping[str, Any]
    file: Mapping[str, Any] | None
    key: str
    directory: str
    count: int
    passed: int
    isFirst: bool

    @property
    def status(self) -> int:
        """
        The descriptor for what the worker tells.
        """
        return FIRST + self.passed

    @property
    def sockets(self) -> range:
        """
        The descriptors of the sockets.
        """
        return range(self.status + 1, self.status + 1 + self.count)


class IsOwner(Protocol):
    """
    Whoever has workers.
    """

    def workerServes(self) -> None:
        """
        A worker has begun to serve.
        """

    def workerClosed(self) -> None:
        """
        A worker accepts nobody any more.
        """

    def workerEnded(self, worker: WorkerProcess, reason: str) -> None:
        """
        A worker is gone.
        """


class _Lines:
    """
    Cuts what comes into lines.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""

    def received(self, data: bytes) -> None:
        """
        Some of it has come.
        """
        *lines, rest = (self._rest + data).split(b"\n")
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._rest = rest
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    def ended(self) -> None:
        """
        No more will come.
        """
        if self._rest:
            self.received(b"\n")


class WorkerProcess(ProcessProtocol):
    """
    A worker from its start to its end.

    @ivar number: Which one it is, from 1; another has it after its end.

    @ivar pid: The process.

    @ivar began: When it was started, by the reactor's clock.

    @ivar refusal: What it said why it cannot serve, or empty.

    @ivar hasClosed: Whether it accepts nobody any more.

    @ivar ended: Fires when it is gone.
    """

    transport: Any

    def __init__(self, owner: IsOwner, number: int, task: Task) -> None:
        self.number = number
        self.pid = 0
        self.began = 0.0
        self.refusal = ""
        self.hasClosed = False
        self.ended: Deferred[None] = Deferred()
        self._owner = owner
        self._task = task
        self._lines = {
            1: _Lines(self._logged),
            2: _Lines(lambda line: self._tell(LogLevel.warn, line)),
            task.status: _Lines(self._told),
        }

    def spawn(self, reactor: Any, sockets: Sequence[int], environment: Mapping[str, str]) -> None:
        """
        Start the process.

        @param sockets: The descriptors that it is to serve.
        """
        module = type(reactor).__module__
        command = [sys.executable, "-m", "comet.server.workers", module, str(self.number)]
        with open(os.devnull, "rb") as nothing:
            descriptors: dict[int, int | str] = {0: "w", 1: "r", 2: "r", self._task.status: "r"}
            descriptors.update(dict.fromkeys(range(FIRST, self._task.status), nothing.fileno()))
            descriptors.update(zip(self._task.sockets, sockets, strict=True))
            self.began = reactor.seconds()
            reactor.spawnProcess(self, command[0], command, environment, childFDs=descriptors)

    def stop(self) -> None:
        """
        Let it drain and end.
        """
        self.transport.closeStdin()

    def kill(self) -> None:
        """
        End it at once.
        """
        _log.warn("worker {number} ({pid}) does not end: killed", number=self.number, pid=self.pid)
        self.transport.signalProcess("KILL")

    def connectionMade(self) -> None:
        """
        See L{ProcessProtocol}: it was started.
        """
        self.pid = self.transport.pid
        task = {each.name: getattr(self._task, each.name) for each in Task.__attrs_attrs__}
        # What the file holds that is no option's value is read by nobody.
        self.transport.write(json.dumps(task, default=str).encode() + b"\n")

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        See L{ProcessProtocol}.
        """
        self._lines[childFD].received(data)

    def processEnded(self, reason: Failure) -> None:
        """
        See L{ProcessProtocol}: it is gone, and all that it told is read.
        """
        for lines in self._lines.values():
            lines.ended()
        self._owner.workerEnded(self, reasonOf(reason))
        self.ended.callback(None)

    def _logged(self, line: str) -> None:
        level, _, text = line.partition(" ")
        try:
            self._tell(LogLevel.levelWithName(level), text)
        except InvalidLogLevelError:
            self._tell(LogLevel.warn, line)

    def _tell(self, level: Any, text: str) -> None:
        _log.emit(
            level, "worker {number} ({pid}): {text}", number=self.number, pid=self.pid, text=text
        )

    def _told(self, line: str) -> None:
        told = json.loads(line)
        if "refusal" in told:
            self.refusal = str(told["refusal"])
        elif "serves" in told:
            self._owner.workerServes()
        elif "closed" in told:
            self.hasClosed = True
            self._owner.workerClosed()


def reasonOf(failure: Failure) -> str:
    """
    How a process has ended.
    """
    error = failure.value
    if not isinstance(error, ProcessTerminated):
        return "exit code 0"
    if error.signal is None:
        return f"exit code {error.exitCode}"
    return signal.Signals(error.signal).name


def passedBySystemd(environment: Mapping[str, str]) -> int:
    """
    How many descriptors systemd has given this process.
    """
    names = environment.get("LISTEN_FDNAMES")
    # Twisted has taken the number away when it found that it was for this
    # process; it has to fit the names.
    return len(names.split(":")) if names and "LISTEN_FDS" not in environment else 0


def environmentFor(environment: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """
    The environment of workers: that of the parent, with which they find the
    same modules, and know what systemd has passed.

    @param path: Where the parent finds modules.
    """
    passed = passedBySystemd(environment)
    kept = {name: environment[name] for name in environment if name != "LISTEN_FDS"}
    return {
        **kept,
        **({"LISTEN_FDS": str(passed)} if passed else {}),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in path),
        # Nothing else, such as where they are started.
        "PYTHONSAFEPATH": "1",
    }
