"""
The parent of the workers, as a service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.reactor.clocks import steadyClock
from comet.server.describedendpoints import makeEndpoint
from comet.server.ports import Ports
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.served import endpointsOf
from comet.server.startfailure import CannotStart, cannotStart
from comet.server.workers.loads import Loads, makeMemory
from comet.server.workers.process import Task, WorkerProcess, environmentFor
from comet.settings.configuration import Configuration

# A worker that lives for fewer seconds fails in a row, and its restart is delayed.
AT_ONCE: Final = 10.0

# The longest delay before a worker is restarted, in seconds.
MOST_DELAY: Final = 30.0

# How many seconds after the time to drain a worker is killed.
MARGIN: Final = 5.0

# How many seconds the parent waits for the workers to close their ports.
CLOSING: Final = 1.0


class Workers(Factory):
    """
    The factory of the ports in the parent, which accepts no connection.  Twisted
    logs its name.
    """

    noisy = False


class WorkersService(Service):
    """
    Starts several processes that serve the same ports, and restarts those that
    end.  The service is started once, and stopped once.

    @ivar workers: The running workers, by number.

    @ivar task: The task of the workers.
    """

    name = "comet"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        configuration: Configuration,
        given: tuple[Mapping[str, Any], Mapping[str, Any] | None],
        secrets: Secrets,
        listening: Callable[[Sequence[IListeningPort]], None],
        failed: Callable[[CannotStart], None],
    ) -> None:
        """
        @param given: The options of the command line and of the file, from
            which the configuration was made.

        @param secrets: What the secret files hold.

        @param listening: Called with the ports when the first worker serves.

        @param failed: Called if the start fails after C{startService} has
            returned.  The error is logged already.
        """
        self.workers: dict[int, WorkerProcess] = {}
        self._reactor = reactor
        self._clock = steadyClock(reactor)
        self._count: int = configuration["workers"]
        self._notice: float = configuration["drain-notice"]
        self._drain: float = self._notice + configuration["drain"]
        descriptions = endpointsOf(configuration)
        self._ports = Ports([(makeEndpoint(reactor, each), Workers()) for each in descriptions])
        self.task = Task(*given, asdict(secrets), os.getcwd(), len(descriptions), False)
        self._environment = environmentFor(os.environ, sys.path)
        self._listening = listening
        self._failed = failed
        self._bound: Deferred[Any] | None = None
        self._quick: dict[int, int] = {}
        self._delayed: dict[int, IDelayedCall] = {}
        self._closing: Deferred[Any] | None = None
        self._memory: int | None = None
        self._loads: Loads | None = None
        self._hasServed = self._hasFailed = self._isStopped = False

    # -- The start

    def privilegedStartService(self) -> None:
        """
        Bind the ports, while the process still has the privilege to bind any.

        @raise CannotStart: If the start fails at once.
        """
        super().privilegedStartService()
        self._start()

    def startService(self) -> None:
        """
        Start the workers, with the privileges that this process has kept.

        @raise CannotStart: If the start fails at once.
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
            # Raises CannotStart before any worker runs.
            self._ports.descriptors()
            self._memory = makeMemory(self._count)
            self._loads = Loads(self._memory)
            for number in range(1, self._count + 1):
                self._spawn(number)

    def _spawn(self, number: int) -> None:
        self._delayed.pop(number, None)
        worker = WorkerProcess(self, number, self._taskOf(number))
        self.workers[number] = worker
        worker.began = self._clock.seconds()
        assert self._memory is not None
        sockets = self._ports.descriptors()
        worker.spawn(self._reactor, sockets, self._environment, self._memory)

    def _cannotStart(self, failure: Failure) -> None:
        # After a stop it is no news that the start was cancelled.
        if not self._isStopped and not self._hasFailed:
            self._hasFailed = True
            error = cannotStart(failure)
            self._log.critical("comet cannot start: {error}", error=error)
            self._failed(error)

    def configure(self, loaded: Loaded) -> None:
        """
        Give every worker another configuration, as far as it can take one while it
        runs; those that start later begin with it.
        """
        configuration = loaded.configuration
        self._notice = configuration["drain-notice"]
        self._drain = self._notice + configuration["drain"]
        self.task = evolve(self.task, file=loaded.file, secrets=asdict(loaded.secrets))
        for number, worker in self.workers.items():
            worker.assign(self._taskOf(number))

    def _taskOf(self, number: int) -> Task:
        return evolve(self.task, isFirst=number == 1)

    # -- What the workers report

    def workerServes(self) -> None:
        """
        A worker has begun to serve.
        """
        if not self._hasServed:
            self._hasServed = True
            self._listening(self._ports.open)

    def workerClosed(self) -> None:
        """
        A worker has closed its ports.
        """
        closing = self._closing
        if closing is None or closing.called:
            return
        if all(worker.hasClosed for worker in self.workers.values()):
            closing.callback(None)

    def workerEnded(self, worker: WorkerProcess, reason: str) -> None:
        """
        A worker's process has ended: start another, unless none has served yet.
        """
        del self.workers[worker.number]
        if self._loads is not None:
            self._loads.forget(worker.number)
        reason = worker.refusal or reason
        about = {"number": worker.number, "pid": worker.pid, "reason": reason}
        if self._isStopped:
            self._log.info("worker {number} ({pid}) has ended: {reason}", **about)
            self.workerClosed()
        elif not self._hasServed:
            text = worker.refusal or f"a worker has ended before it served: {reason}"
            self._cannotStart(Failure(CannotStart(text)))
        else:
            delay = self._delay(worker.number, self._clock.seconds() - worker.began)
            again = f"in {delay:g} s" if delay else "at once"
            self._log.error(
                "worker {number} ({pid}) has ended: {reason}; restarting {again}",
                again=again,
                **about,
            )
            later = self._clock.callLater(delay, self._spawn, worker.number)
            self._delayed[worker.number] = later

    def workerAsks(self, worker: WorkerProcess, id: int) -> None:
        """
        A worker asks the others for their figures: ask them, and tell it which.
        """
        number = worker.number
        others = [each for each in self.workers.values() if each is not worker]
        asked = [each.number for each in others if each.askFigures(number, id)]
        worker.send({"asked": id, "workers": asked})

    def workerTold(self, worker: WorkerProcess, asker: int, id: int, rows: Any) -> None:
        """
        A worker has told its figures: give them to the one that asks.
        """
        # The worker that has asked may be gone, and another one have its number: that has
        # no such question.
        if asker in self.workers:
            values = {"told": id, "worker": worker.number, "rows": rows}
            self.workers[asker].send(values)

    def _delay(self, number: int, lived: float) -> float:
        """
        Return the delay, in seconds, before a worker is restarted.

        @param lived: For how many seconds it has run.
        """
        quick = self._quick.get(number, 0) if lived < AT_ONCE else 0
        self._quick[number] = quick + 1
        return min(2.0 ** (quick - 1), MOST_DELAY) if quick else 0.0

    # -- The end

    def stopService(self) -> Deferred[Any]:
        """
        Make all workers drain, and kill those that do not end in time.

        @return: Fires when all processes have ended.
        """
        super().stopService()
        self._isStopped = True
        for later in self._delayed.values():
            later.cancel()
        if self._bound is not None:
            # It does nothing if the start is over.
            self._bound.cancel()
        ended = [worker.ended for worker in self.workers.values()]
        for worker in self.workers.values():
            worker.stop()
        killing = self._clock.callLater(self._drain + MARGIN, self._kill)
        done: Deferred[Any] = DeferredList([*ended, self._closePorts()])

        def gone(result: object) -> None:
            if killing.active():
                killing.cancel()
            if self._memory is not None and self._loads is not None:
                os.close(self._memory)
                self._loads.close()
                self._memory = self._loads = None

        return done.addCallback(gone)

    def _closePorts(self) -> Deferred[Any]:
        """
        Close the ports once all workers have closed theirs.  To close the parent's
        port shuts the socket down, and then a worker that still accepts fails.
        """
        self._closing = closing = Deferred[Any]()
        closing.addTimeout(
            self._notice + CLOSING, self._clock, onTimeoutCancel=lambda result, timeout: None
        )
        self.workerClosed()
        return closing.addCallback(lambda _: self._ports.close())

    def _kill(self) -> None:
        for worker in self.workers.values():
            worker.kill()
