"""
A worker, in its own process.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from io import FileIO
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

from comet.reactor.clocks import keepSteadyTime
from comet.server.interpreter import tuneInterpreter
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.server.service import CometService
from comet.server.startfailure import CannotStart
from comet.server.workers.loads import Loads
from comet.server.workers.process import FIGURES, LOADS, STATUS, Task
from comet.server.workers.workersiblings import FiguresPipe, WorkerSiblings
from comet.settings.configuration import Configuration
from comet.web.metrics.processfigures import nodeFamilies
from comet.web.metrics.workerfigures import toRows


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

    def __init__(
        self,
        reactor: Any,
        stop: Callable[[], None],
        received: Callable[[dict[str, Any]], None],
        fileno: int = 0,
    ) -> None:
        """
        @param received: Called with the values of each further line.
        """
        self.stop = stop
        self._received = received
        self._rest = b""
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
        data = os.read(self._fileno, 65536)
        if not data:
            self._reactor.removeReader(self)
            self.stop()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._received(json.loads(line))

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

    def __init__(
        self,
        reactor: Any,
        task: Task,
        parent: ParentLink,
        number: int,
        send: Callable[[Mapping[str, Any]], None],
        loads: Loads,
    ) -> None:
        """
        @param number: The number of this worker.

        @param send: Sends the parent a line about figures.

        @param loads: The loads of all workers.
        """
        self.exitCode = 0
        self._reactor = reactor
        self._parent = parent
        self._isStopping = False
        loaded = _read(task)
        self._server = server = Server(
            loaded.configuration, reactor, loaded.secrets, task.sockets, task.isFirst
        )
        hub = server.hub
        self._siblings = WorkerSiblings(
            number, send, hub.clock, lambda: toRows(nodeFamilies(hub)), loads
        )
        self._siblings.watch(hub.fanout.readers)
        hub.siblings = self._siblings
        self.service = server.makeService(CometService, self._listening, self._failed)

    def run(self) -> None:
        """
        Serve until this worker is stopped.
        """
        self._reactor.addReader(Lifeline(self._reactor, self._stop, self._received))
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shutDown)
        self._reactor.callWhenRunning(self._start)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        # The reactor's own signal handlers fail if it is stopped already.
        self._reactor.run(installSignalHandlers=False)

    def _received(self, values: dict[str, Any]) -> None:
        if "given" in values:
            self._assigned(Task(**values))
        else:
            self._siblings.received(values)

    def _assigned(self, task: Task) -> None:
        try:
            self._server.configure(_read(task))
        except ValueError as error:
            self._log.error("this worker goes on as before: {error}", error=error)

    def _signalled(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._stop)

    def _start(self) -> None:
        try:
            self.service.startService()
        except CannotStart as error:
            self._log.critical("comet cannot start: {error}", error=error)
            self._failed(error)

    def _listening(self, ports: Sequence[IListeningPort]) -> None:
        tuneInterpreter()
        self._siblings.serves()
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
            self._siblings.leave()
            self._reactor.stop()

    def _shutDown(self) -> Deferred[Any]:
        self._isStopping = True
        self.service.portsClosed.addCallback(lambda _: self._parent.report("closed"))
        return maybeDeferred(self.service.stopService)


def _read(task: Task) -> Loaded:
    configuration = Configuration(task.given, task.file)
    return Loaded(task.file, configuration, Secrets(**task.secrets))


def run(arguments: Sequence[str]) -> int:
    """
    Run a worker to its end.

    @param arguments: The module of the reactor, and the number of the worker.

    @return: The exit code.
    """
    # Without a buffer: further lines are the reactor's to read.
    with FileIO(0, closefd=False) as given:
        task = Task(**json.loads(given.readline()))
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
    pipe = FiguresPipe(reactor, FIGURES)
    try:
        worker = Worker(reactor, task, parent, int(arguments[1]), pipe.send, Loads(LOADS))
    except CannotStart as error:
        parent.report("refusal", str(error))
        return 1
    worker.run()
    return worker.exitCode
