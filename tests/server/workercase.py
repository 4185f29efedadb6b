"""
Fake workers without processes, and a reactor that starts them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.server.secretfiles import Secrets
from comet.server.workers.process import STATUS
from comet.server.workers.service import WorkersService
from comet.settings.configuration import Configuration
from tests.server.servicecase import Port


class SharedPort(Port):
    """
    A port that has a descriptor.
    """

    def fileno(self) -> int:
        """
        Return the port's number.
        """
        return self.number


class Process:
    """
    A fake process, and its transport.

    @ivar protocol: The parent's protocol.

    @ivar said: The bytes that the parent wrote to the standard input.

    @ivar isTold: Whether the parent has told the process to end.

    @ivar signals: The signals that the parent sent.
    """

    def __init__(
        self, protocol: Any, command: Sequence[str], environment: Mapping[str, str], fds: Any
    ) -> None:
        self.protocol = protocol
        self.command = command
        self.environment = environment
        self.fds = fds
        self.pid = 0
        self.said = b""
        self.isTold = False
        self.signals: list[str] = []

    def write(self, data: bytes) -> None:
        """
        See L{IProcessTransport<twisted.internet.interfaces.IProcessTransport>}.
        """
        self.said += data

    def closeStdin(self) -> None:
        """
        See L{IProcessTransport<twisted.internet.interfaces.IProcessTransport>}.
        """
        self.isTold = True

    def signalProcess(self, name: str) -> None:
        """
        See L{IProcessTransport<twisted.internet.interfaces.IProcessTransport>}.
        """
        self.signals.append(name)

    @property
    def task(self) -> dict[str, Any]:
        """
        The task that the parent wrote.
        """
        found: dict[str, Any] = json.loads(self.said)
        return found

    def report(self, **values: Any) -> None:
        """
        Report some status to the parent.
        """
        self.protocol.childDataReceived(STATUS, json.dumps(values).encode() + b"\n")

    def end(self, code: int = 0, signal: int | None = None) -> None:
        """
        End the process.
        """
        reason = ProcessTerminated(code, signal) if code or signal else ProcessDone(0)
        self.protocol.processEnded(Failure(reason))


class ProcessReactor(MemoryReactorClock):
    """
    A reactor that starts fake processes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.processes: list[Process] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        Return a fake port.
        """
        super().listenTCP(port, factory, backlog, interface)
        return SharedPort(port, self.events)

    def spawnProcess(
        self, protocol: Any, executable: str, args: Any, env: Any, childFDs: Any
    ) -> None:
        """
        Start a fake process.
        """
        process = Process(protocol, [executable, *args[1:]], env, childFDs)
        self.processes.append(process)
        process.pid = 100 + len(self.processes)
        protocol.makeConnection(process)


class WorkersTestCase(SynchronousTestCase):
    """
    A service over fake workers.
    """

    def setUp(self) -> None:
        """
        Make the reactor, and record the log.
        """
        self.reactor = ProcessReactor()
        self.announced: list[int] = []
        self.failed: list[str] = []
        self.lines: list[str] = []

        @implementer(ILogObserver)
        def note(event: LogEvent) -> None:
            self.lines.append(f"{event['log_level'].name} {formatEvent(event)}")

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def make(self, **given: Any) -> WorkersService:
        """
        Make the service, by default with three workers and two ports.
        """
        options = {"listen": ["tcp:1"], "tcp": "tcp:2", "workers": 3, "drain": 4.0, **given}
        return WorkersService(
            self.reactor,
            Configuration(options, {"open": ["a/*"]}),
            (options, {"open": ["a/*"]}),
            Secrets(["a-key-of-our-very-own"]),
            lambda ports: self.announced.append(len(ports)),
            lambda error: self.failed.append(str(error)),
        )

    def start(self, **given: Any) -> WorkersService:
        """
        Make the service, and start it.
        """
        service = self.make(**given)
        service.privilegedStartService()
        service.startService()
        return service

    @property
    def processes(self) -> list[Process]:
        """
        The processes that were started.
        """
        return self.reactor.processes

    @property
    def newest(self) -> Process:
        """
        The process that was started last.
        """
        return self.reactor.processes[-1]
