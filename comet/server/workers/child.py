"""
What a worker does, with what its parent gives it.
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

from comet.configuration import Configuration
from comet.server.listening import CannotStart
from comet.server.server import Server, calmCollector
from comet.server.service import CometService
from comet.server.workers.process import Task


@implementer(ILogObserver)
class Parent:
    """
    Tells the parent what becomes of this worker.
    """

    def __init__(self, log: int, status: int) -> None:
        """
        @param log: The descriptor for the log.

        @param status: That for everything else.
        """
        self._log = log
        self._status = status
        # Who does not read its log does not stop the others.
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
            # The parent is gone, or reads nothing: there is nobody to tell.
            pass

    def tell(self, key: str, value: object = True) -> None:
        """
        Say that this worker C{serves}, or is C{closed}, or its C{refusal}.
        """
        try:
            os.write(self._status, json.dumps({key: value}).encode() + b"\n")
        except OSError:
            # The parent is gone.
            pass


@implementer(IReadDescriptor)
class Lifeline:
    """
    What tells this worker to end: its standard input, when it is closed.

    @ivar stop: Called then.
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


class Child:
    """
    The worker itself.

    @ivar service: What it serves.

    @ivar exitCode: How the process is to end.
    """

    _log = Logger()

    def __init__(self, reactor: Any, task: Task, parent: Parent) -> None:
        self.exitCode = 0
        self._reactor = reactor
        self._parent = parent
        self._isStopping = False
        configuration = Configuration(task.given, task.file)
        server = Server(configuration, reactor, task.key, task.sockets, task.isFirst)
        self.service = server.makeService(CometService, self._listening, self._failed)

    def run(self) -> None:
        """
        Serve until it is over.
        """
        self._reactor.addReader(Lifeline(self._reactor, self._stop))
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shutDown)
        self._reactor.callWhenRunning(self._start)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        # The reactor's own do not bear that it is stopped already.
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
        self._parent.tell("serves")

    def _failed(self, error: CannotStart) -> None:
        self._parent.tell("refusal", str(error))
        self.exitCode = 1
        self._stop()

    def _stop(self) -> None:
        # Whoever ends the parent may have told this process, too.
        if not self._isStopping:
            self._isStopping = True
            self._reactor.stop()

    def _shutDown(self) -> Deferred[Any]:
        self._isStopping = True
        stopped = maybeDeferred(self.service.stopService)
        self._parent.tell("closed")
        return stopped


def run(arguments: Sequence[str]) -> int:
    """
    Do what the parent says.

    @param arguments: The module of the reactor, and the number.

    @return: The exit code.
    """
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    try:
        os.chdir(task.directory)
    except OSError:
        # It may be closed to who this is by now: nothing may be there to find.
        pass
    import_module(arguments[0]).install()
    from twisted.internet import reactor

    parent = Parent(1, task.status)
    globalLogBeginner.beginLoggingTo([parent], redirectStandardIO=False)
    child = Child(reactor, task, parent)
    child.run()
    return child.exitCode
