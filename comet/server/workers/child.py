"""
A worker, in its own process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    eventAsText,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.clocks import keepSteadyTime
from comet.configuration import Configuration
from comet.server.listening import CannotStart
from comet.server.server import Server, calmCollector
from comet.server.service import CometService
from comet.server.signals import ignoreHangup
from comet.server.workers.process import STATUS, Task


@implementer(ILogObserver)
class ParentLink:
    """
    The link to the parent: it takes this worker's log and status.
    """

    def __init__(self, log: int, status: int) -> None:
        """
        @param log: The descriptor of the log.

        @param status: The descriptor of the status.
        """
        self._log = log
        self._status = status
        # A parent that does not read the log may not block this worker.
        os.set_blocking(log, False)

    def __call__(self, event: LogEvent) -> None:
        """
        Log an event.
        """
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        level = event.get("log_level", LogLevel.info).name
        lines = "".join(f"{level} {line}\n" for line in text.rstrip("\n").split("\n"))
        try:
            os.write(self._log, lines.encode("utf-8", "replace"))
        except OSError:
            # The parent is gone, or does not read: the line is lost.
            pass

    def report(self, key: str, value: object = True) -> None:
        """
        Report that this worker C{serves}, or has C{closed} its ports, or the
        C{refusal} that keeps it from serving.
        """
        try:
            os.write(self._status, json.dumps({key: value}).encode() + b"\n")
        except OSError:
            # The parent is gone.
            pass


@implementer(IReadDescriptor)
class Lifeline:
    """
    Watches the standard input, whose other end the parent holds open as long as
    this worker shall run.

    @ivar stop: Called when the parent closes it, or is gone.
    """

    def __init__(self, reactor: Any, stop: Callable[[], None], fileno: int = 0) -> None:
        self.stop = stop
        self._reactor = reactor
        self._fileno = fileno

    def fileno(self) -> int:
        """
        See L{IReadDescriptor}.
        """
        return self._fileno

    def logPrefix(self) -> str:
        """
        See L{IReadDescriptor}.
        """
        return "parent"

    def doRead(self) -> None:
        """
        See L{IReadDescriptor}.
        """
        if not os.read(self._fileno, 4096):
            self._reactor.removeReader(self)
            self.stop()

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{IReadDescriptor}.
        """
        self.stop()


class Worker:
    """
    Runs the server until the parent, or a signal, stops it.

    @ivar service: The service of this process.

    @ivar exitCode: The exit code that the process shall have.
    """

    _log = Logger()

    def __init__(self, reactor: Any, task: Task, parent: ParentLink) -> None:
        self.exitCode = 0
        self._reactor = reactor
        self._parent = parent
        self._isStopping = False
        configuration = Configuration(task.given, task.file)
        server = Server(configuration, reactor, task.key, task.sockets, task.isFirst)
        self.service = server.makeService(CometService, self._listening, self._failed)

    def run(self) -> None:
        """
        Serve until this worker is stopped.
        """
        self._reactor.addReader(Lifeline(self._reactor, self._stop))
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shutDown)
        self._reactor.callWhenRunning(self._start)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        ignoreHangup(self._reactor)
        # The reactor's own signal handlers fail if it is stopped already.
        self._reactor.run(installSignalHandlers=False)

    def _signalled(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._stop)

    def _start(self) -> None:
        try:
            self.service.startService()
        except CannotStart as error:
            self._log.critical("comet cannot start: {error}", error=error)
            self._failed(error)

    def _listening(self, ports: Sequence[IListeningPort]) -> None:
        calmCollector()
        self._parent.report("serves")

    def _failed(self, error: CannotStart) -> None:
        self._parent.report("refusal", str(error))
        self.exitCode = 1
        self._stop()

    def _stop(self) -> None:
        # A signal to the process group reaches this process as well as the
        # parent, which then stops it a second time.
        if not self._isStopping:
            self._isStopping = True
            self._reactor.stop()

    def _shutDown(self) -> Deferred[Any]:
        self._isStopping = True
        self.service.portsClosed.addCallback(lambda _: self._parent.report("closed"))
        return maybeDeferred(self.service.stopService)


def run(arguments: Sequence[str]) -> int:
    """
    Run a worker to its end.

    @param arguments: The module of the reactor, and the number of the worker,
        which only shows in the list of processes.

    @return: The exit code.
    """
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    try:
        os.chdir(task.directory)
    except OSError:
        # The worker's user may not enter the parent's directory.  Then nothing
        # in it can be needed, either.
        pass
    import_module(arguments[0]).install()
    from twisted.internet import reactor

    keepSteadyTime(reactor)
    parent = ParentLink(1, STATUS)
    globalLogBeginner.beginLoggingTo([parent], redirectStandardIO=False)
    try:
        worker = Worker(reactor, task, parent)
    except CannotStart as error:
        parent.report("refusal", str(error))
        return 1
    worker.run()
    return worker.exitCode
