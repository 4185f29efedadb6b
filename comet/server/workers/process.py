"""
One worker, in the process of its parent.
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

# The longest line of a worker's log, in bytes.  A longer one is logged in pieces.
MAX_LINE: Final = 1 << 16

# The longest line of a worker's figures.
MAX_FIGURES: Final = 1 << 20

# How many questions for its figures a worker may leave without an answer: it gets no
# further ones, since it hangs, and its pipe would fill.
MOST_UNANSWERED: Final = 4

# The descriptors of a worker's status and figures, and of the loads of all workers.  Those
# of the sockets follow.
STATUS: Final = 3
FIGURES: Final = 4
LOADS: Final = 5

# The variables by which systemd passes descriptors.
_SYSTEMD: Final = frozenset({"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})

_log = Logger()


@frozen
class Task:
    """
    The configuration of a worker, and the descriptors that it inherits.

    @ivar given: The options of the command line.

    @ivar file: The options of the configuration file.

    @ivar secrets: What the secret files hold, as L{Secrets} takes it.

    @ivar directory: The directory to which relative paths in the options refer.

    @ivar count: The number of sockets.

    @ivar isFirst: Whether this worker does the work that only one worker may do.
    """

    given: Mapping[str, Any]
    file: Mapping[str, Any] | None
    secrets: Mapping[str, Any]
    directory: str
    count: int
    isFirst: bool

    @property
    def sockets(self) -> range:
        """
        The descriptors of the sockets.
        """
        return range(LOADS + 1, LOADS + 1 + self.count)


class WorkerOwner(Protocol):
    """
    The parent of workers, as a worker sees it.
    """

    def workerServes(self) -> None:
        """
        A worker has begun to serve.
        """

    def workerClosed(self) -> None:
        """
        A worker has closed its ports.
        """

    def workerEnded(self, worker: WorkerProcess, reason: str) -> None:
        """
        A worker's process has ended.
        """

    def workerAsks(self, worker: WorkerProcess, id: int) -> None:
        """
        A worker asks the others for their figures.
        """

    def workerTold(self, worker: WorkerProcess, asker: int, id: int, rows: Any) -> None:
        """
        A worker has told its figures, for another one.
        """


class _LineSplitter:
    """
    Splits received bytes into lines.
    """

    def __init__(self, lineReceived: Callable[[str], None], longest: int = MAX_LINE) -> None:
        self._lineReceived = lineReceived
        self._longest = longest
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Take some bytes.
        """
        *lines, rest = (self._rest + data).split(b"\n")
        while len(rest) > self._longest:
            lines.append(rest[: self._longest])
            rest = rest[self._longest :]
        self._rest = rest
        for line in lines:
            self._lineReceived(line.decode("utf-8", "replace"))

    def ended(self) -> None:
        """
        Take the rest as the last line.
        """
        if self._rest:
            self.dataReceived(b"\n")


class WorkerProcess(ProcessProtocol):
    """
    A worker from its start to its end.

    @ivar number: The number of the worker, from 1.  The worker that replaces it
        has the same number.

    @ivar pid: The id of the process.

    @ivar began: When the process was started, by the owner's clock.

    @ivar refusal: The reason that the worker gave for not serving, or empty.

    @ivar hasClosed: Whether the worker has closed its ports.

    @ivar unanswered: How many questions for its figures it has not answered.

    @ivar ended: Fires when the process has ended.
    """

    # It is a process transport, which has more than ITransport says.
    transport: Any

    def __init__(self, owner: WorkerOwner, number: int, task: Task) -> None:
        self.number = number
        self.pid = 0
        self.began = 0.0
        self.refusal = ""
        self.hasClosed = False
        self.unanswered = 0
        self.ended: Deferred[None] = Deferred()
        self._owner = owner
        self._task = task
        self._lines = {
            1: _LineSplitter(self._logReceived),
            2: _LineSplitter(lambda line: self._logLine(LogLevel.warn, line)),
            STATUS: _LineSplitter(self._statusReceived),
            FIGURES: _LineSplitter(self._figuresReceived, MAX_FIGURES),
        }

    def spawn(
        self,
        reactor: Any,
        sockets: Sequence[int],
        environment: Mapping[str, str],
        loads: int,
    ) -> None:
        """
        Start the process.

        @param sockets: The descriptors of the sockets that it serves.

        @param loads: The descriptor of the loads of all workers.
        """
        module = type(reactor).__module__
        command = [sys.executable, "-m", "comet.server.workers", module, str(self.number)]
        descriptors: dict[int, int | str] = {0: "w", 1: "r", 2: "r", STATUS: "r", FIGURES: "r"}
        descriptors[LOADS] = loads
        descriptors.update(zip(self._task.sockets, sockets, strict=True))
        reactor.spawnProcess(self, command[0], command, environment, childFDs=descriptors)

    def stop(self) -> None:
        """
        Make the worker drain and end.
        """
        self.transport.closeStdin()

    def kill(self) -> None:
        """
        Kill the process at once.
        """
        _log.warn(
            "worker {number} ({pid}) does not end: killing it", number=self.number, pid=self.pid
        )
        self.transport.signalProcess("KILL")

    def connectionMade(self) -> None:
        """
        See L{ProcessProtocol}: the process has started.
        """
        self.pid = self.transport.pid
        self.assign(self._task)

    def assign(self, task: Task) -> None:
        """
        Give the worker its task.  A running worker takes over from another one what it
        can: see L{Server.configure<comet.server.server.Server.configure>}.
        """
        self._task = task
        values = {each.name: getattr(task, each.name) for each in Task.__attrs_attrs__}
        self.send(values)

    def send(self, values: Mapping[str, Any]) -> None:
        """
        Send the worker a line.
        """
        # A TOML file can hold dates, which JSON cannot.  No option takes one.
        self.transport.write(json.dumps(values, default=str).encode() + b"\n")

    def askFigures(self, asker: int, id: int) -> bool:
        """
        Ask the worker for its figures.

        @param asker: The number of the worker that asks, and C{id} its question.

        @return: Whether it was asked.
        """
        if self.unanswered >= MOST_UNANSWERED:
            return False
        self.unanswered += 1
        self.send({"tell": [asker, id]})
        return True

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        See L{ProcessProtocol}.
        """
        self._lines[childFD].dataReceived(data)

    def processEnded(self, reason: Failure) -> None:
        """
        See L{ProcessProtocol}: the process has ended, and all its output is read.
        """
        for lines in self._lines.values():
            lines.ended()
        self._owner.workerEnded(self, reasonOf(reason))
        self.ended.callback(None)

    def _logReceived(self, line: str) -> None:
        level, _, text = line.partition(" ")
        try:
            self._logLine(LogLevel.levelWithName(level), text)
        except InvalidLogLevelError:
            self._logLine(LogLevel.warn, line)

    def _logLine(self, level: Any, text: str) -> None:
        _log.emit(
            level, "worker {number} ({pid}): {text}", number=self.number, pid=self.pid, text=text
        )

    def _statusReceived(self, line: str) -> None:
        status = json.loads(line)
        if "refusal" in status:
            self.refusal = str(status["refusal"])
        elif "serves" in status:
            self._owner.workerServes()
        elif "closed" in status:
            self.hasClosed = True
            self._owner.workerClosed()

    def _figuresReceived(self, line: str) -> None:
        try:
            values = json.loads(line)
            if "ask" in values:
                self._owner.workerAsks(self, values["ask"])
            else:
                self.unanswered = 0
                asker, id = values["told"]
                self._owner.workerTold(self, asker, id, values["rows"])
        except (ValueError, KeyError, TypeError) as error:
            # A worker of another release, or one that ended in the middle of a line.
            self._logLine(LogLevel.warn, f"its figures are of no use: {error}")


def reasonOf(failure: Failure) -> str:
    """
    Say how a process has ended: by an exit code or a signal.
    """
    error = failure.value
    if not isinstance(error, ProcessTerminated):
        return "exit code 0"
    if error.signal is None:
        return f"exit code {error.exitCode}"
    return signal.Signals(error.signal).name


def environmentFor(environment: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """
    Return the environment of the workers: that of the parent, changed so that
    they find the same modules, and look for no descriptors of systemd's.

    @param path: The parent's C{sys.path}.
    """
    kept = {name: environment[name] for name in environment if name not in _SYSTEMD}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in path),
        # A worker must not find modules in its working directory.
        "PYTHONSAFEPATH": "1",
    }
