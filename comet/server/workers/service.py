"""
The parent of the workers, as a service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.configuration import Configuration
from comet.server.listening import CannotStart, Ports, cannotStart, makeEndpoint
from comet.server.server import endpointsOf
from comet.server.workers.process import Task, WorkerProcess, environmentFor, passedBySystemd

# A worker that lives for fewer seconds has ended at once.
AT_ONCE: Final = 10.0

# How many seconds pass at most before a worker is started again.
MOST_DELAY: Final = 30.0

# How many seconds a worker has beyond the time to drain before it is killed.
MARGIN: Final = 5.0

# Within how many seconds workers close their ports.
CLOSING: Final = 1.0


class Workers(Factory):
    """
    What the parent itself serves at the ports: nothing.  Its name is in the log.
    """

    noisy = False


class WorkersService(Service):
    """
    Lets several processes serve the same ports.  It is started once, and
    stopped once.

    @ivar workers: Those that run, by their numbers.

    @ivar task: What they are to do.
    """

    name = "comet"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        configuration: Configuration,
        given: tuple[Mapping[str, Any], Mapping[str, Any] | None],
        key: str,
        listening: Callable[[Sequence[IListeningPort]], None],
        failed: Callable[[CannotStart], None],
    ) -> None:
        """
        @param given: What the configuration was made of.

        @param listening: Called with the ports when the first worker serves.

        @param failed: Called when it turns out, after the service was started
            and before a worker serves, that none will; that is logged already.
        """
        self.workers: dict[int, WorkerProcess] = {}
        self._reactor = reactor
        self._count: int = configuration["workers"]
        self._drain: float = configuration["drain"]
        descriptions = endpointsOf(configuration)
        self._ports = Ports([(makeEndpoint(reactor, each), Workers()) for each in descriptions])
        passed = passedBySystemd(os.environ)
        self.task = Task(*given, key, os.getcwd(), len(descriptions), passed, False)
        self._environment = environmentFor(os.environ, sys.path)
        self._listening = listening
        self._failed = failed
        self._bound: Deferred[Any] | None = None
        self._quick: dict[int, int] = {}
        self._delayed: dict[int, Any] = {}
        self._closing: Any = None
        self._hasServed = self._hasFailed = self._isStopped = False

    # -- Its start

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still listen on any port.

        @raise CannotStart: If it is known at once that it cannot be.
        """
        super().privilegedStartService()
        self._start()

    def startService(self) -> None:
        """
        Start the workers, with the privileges that the process has from now
        on.

        @raise CannotStart: If it is known at once that it cannot be.
        """
        super().startService()
        self._start()
        assert self._bound is not None
        self._bound.addCallback(self._spawnAll).addErrback(self._cannotStart)

    def _start(self) -> None:
        if self._bound is not None:
            return
        failures: list[Failure] = []
        self._bound = self._ports.bind()
        self._bound.addErrback(failures.append)
        if failures:
            raise cannotStart(failures[0])
        self._bound.addCallback(lambda _: failures[0] if failures else None)

    def _spawnAll(self, result: object) -> None:
        if not self._isStopped:
            # It may turn out that they cannot be handed on.
            self._ports.descriptors()
            for number in range(1, self._count + 1):
                self._spawn(number)

    def _spawn(self, number: int) -> None:
        self._delayed.pop(number, None)
        worker = WorkerProcess(self, number, evolve(self.task, isFirst=number == 1))
        self.workers[number] = worker
        worker.spawn(self._reactor, self._ports.descriptors(), self._environment)

    def _cannotStart(self, failure: Failure) -> None:
        # Who has stopped it does not wait for it to start.
        if not self._isStopped and not self._hasFailed:
            self._hasFailed = True
            error = cannotStart(failure)
            self._log.critical("comet cannot start: {error}", error=error)
            self._failed(error)

    # -- What the workers tell

    def workerServes(self) -> None:
        """
        A worker has begun to serve.
        """
        if not self._hasServed:
            self._hasServed = True
            self._listening(self._ports.open)

    def workerClosed(self) -> None:
        """
        A worker accepts nobody any more.
        """
        isClosing = self._closing is not None and not self._closing.called
        if isClosing and all(worker.hasClosed for worker in self.workers.values()):
            self._closing.callback(None)

    def workerEnded(self, worker: WorkerProcess, reason: str) -> None:
        """
        A worker is gone: another takes its place, unless none ever served.
        """
        del self.workers[worker.number]
        reason = worker.refusal or reason
        about = {"number": worker.number, "pid": worker.pid, "reason": reason}
        if self._isStopped:
            self._log.info("worker {number} ({pid}) has ended: {reason}", **about)
            self.workerClosed()
        elif not self._hasServed:
            text = worker.refusal or f"a worker has ended before it served: {reason}"
            self._cannotStart(Failure(CannotStart(text)))
        else:
            delay = self._delay(worker.number, self._reactor.seconds() - worker.began)
            again = f"in {delay:g} s" if delay else "at once"
            self._log.error(
                "worker {number} ({pid}) has ended: {reason}; started again {again}",
                again=again,
                **about,
            )
            later = self._reactor.callLater(delay, self._spawn, worker.number)
            self._delayed[worker.number] = later

    def _delay(self, number: int, lived: float) -> float:
        """
        After how many seconds to start a worker again.
        """
        quick = self._quick.get(number, 0) if lived < AT_ONCE else 0
        self._quick[number] = quick + 1
        return min(2.0 ** (quick - 1), MOST_DELAY) if quick else 0.0

    # -- Its end

    def stopService(self) -> Deferred[Any]:
        """
        Let all workers drain, and kill those that do not end.

        @return: Fires when all are gone.
        """
        super().stopService()
        self._isStopped = True
        for later in self._delayed.values():
            later.cancel()
        if self._bound is not None:
            # If it is still starting.
            self._bound.cancel()
        ended = [worker.ended for worker in self.workers.values()]
        for worker in self.workers.values():
            worker.stop()
        killing = self._reactor.callLater(self._drain + MARGIN, self._kill)
        done: Deferred[Any] = DeferredList([*ended, self._closePorts()])

        def gone(result: object) -> None:
            if killing.active():
                killing.cancel()

        return done.addCallback(gone)

    def _closePorts(self) -> Deferred[Any]:
        """
        Close the ports once no worker accepts from them: a socket that is shut
        down is an error to whoever still does.
        """
        self._closing = closing = Deferred[Any]()
        closing.addTimeout(CLOSING, self._reactor, onTimeoutCancel=lambda result, timeout: None)
        self.workerClosed()
        return closing.addCallback(lambda _: self._ports.close())

    def _kill(self) -> None:
        for worker in self.workers.values():
            worker.kill()
