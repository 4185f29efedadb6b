"""
The parent of the workers: how it starts, restarts and stops them, and what it
logs.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from zope.interface import implementer

from comet.server.startfailure import CannotStart
from comet.server.workers import process as workerprocess
from comet.server.workers.process import LOADS
from tests.server.servicecase import StiffPort
from tests.server.workercase import WorkersTestCase


class StartTests(WorkersTestCase):
    """
    How the parent starts the workers.
    """

    def test_bindsPrivilegedAndSpawnsUnprivileged(self) -> None:
        """
        The parent binds the ports while it has its privileges, and starts the
        workers when it has dropped them.
        """
        service = self.make()
        self.assertEqual(self.reactor.tcpServers, [])
        service.privilegedStartService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [1, 2])
        self.assertEqual(self.processes, [])
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 2)
        self.assertEqual(len(self.processes), 3)

    def test_hidesKeyAndOptionsFromCommandLine(self) -> None:
        """
        Each worker is a new Python that finds the parent's modules and installs
        its reactor.  Neither the key nor an option is on the command line, which
        every user of the machine may read.
        """
        self.start()
        for number, process in enumerate(self.processes, 1):
            module = "tests.server.workercase"
            self.assertEqual(
                process.command,
                [sys.executable, "-m", "comet.server.workers", module, str(number)],
            )
            found = process.environment["PYTHONPATH"].split(os.pathsep)
            self.assertEqual(found, [os.path.abspath(each) for each in sys.path])

    def test_workerInheritsPipesAndSockets(self) -> None:
        """
        Each worker inherits a pipe to read, four to write, the memory with the loads of all,
        and all sockets.
        """
        service = self.start()
        memory = service._memory
        self.assertIsNotNone(memory)
        pipes = {0: "w", 1: "r", 2: "r", 3: "r", 4: "r"}
        for process in self.processes:
            self.assertEqual(process.fds, {**pipes, LOADS: memory, 6: 1, 7: 2})

    def test_releasesMemory(self) -> None:
        """
        The memory is released when all workers have ended.
        """
        service = self.start()
        memory = service._memory
        assert memory is not None
        stopped = service.stopService()
        for process in self.processes:
            os.fstat(memory)
            process.report(closed=True)
            process.end()
        self.reactor.advance(1)
        self.successResultOf(stopped)
        self.assertRaises(OSError, os.fstat, memory)

    def test_firstWorkerHasItsOwnTask(self) -> None:
        """
        Each worker gets the parent's options and key.  Only the first worker
        does the work that one worker may do.
        """
        self.start()
        tasks = [process.task for process in self.processes]
        self.assertEqual([task["isFirst"] for task in tasks], [True, False, False])
        for task in tasks:
            self.assertEqual(task["given"]["tcp"], "tcp:2")
            self.assertEqual(task["file"], {"open": ["a/*"]})
            self.assertEqual(task["secrets"]["publishKeys"], ["a-key-of-our-very-own"])
            self.assertEqual(task["count"], 2)
            self.assertEqual(task["directory"], os.getcwd())

    def test_callsBackOnceWhenFirstWorkerServes(self) -> None:
        """
        The service calls back once, when the first worker serves.
        """
        self.start()
        self.assertEqual(self.announced, [])
        for process in reversed(self.processes):
            process.report(serves=True)
            self.assertEqual(self.announced, [2])

    def test_parentAcceptsNoConnection(self) -> None:
        """
        The parent holds its ports.
        """
        service = self.start()
        ports: list[Any] = service._ports.open
        self.assertEqual([port.isHeld for port in ports], [True, True])


class CannotStartTests(WorkersTestCase):
    """
    What keeps the workers from starting.
    """

    def test_spawnsNothingIfAddressIsInUse(self) -> None:
        """
        If an address is in use, the start fails at once, and no worker starts.
        """

        def listenTCP(port: int, factory: object, **kwargs: object) -> Any:
            raise CannotListenError("", port, OSError(98, "Address already in use"))

        self.patch(self.reactor, "listenTCP", listenTCP)
        error = self.assertRaises(CannotStart, self.make().privilegedStartService)
        self.assertEqual(str(error), "cannot listen on tcp:1: Address already in use")
        self.assertEqual(self.processes, [])

    def test_refusesPortWithoutDescriptor(self) -> None:
        """
        A port that has no descriptor cannot be shared.
        """
        self.patch(
            self.reactor, "listenTCP", lambda port, *_, **__: StiffPort(port, self.reactor.events)
        )
        self.start()
        self.assertEqual(self.failed, ["several processes cannot share tcp:1"])
        self.assertEqual(self.processes, [])

    def test_waitsForPortThatTakesTime(self) -> None:
        """
        The workers start when the last port is bound.  If one cannot be bound,
        the callback gets the error.
        """
        for outcome in (None, OSError(99, "Cannot assign requested address")):
            self.setUp()
            service = self.make(listen=["tcp:1"], tcp=None)
            later: Deferred[Any] = Deferred()
            described: Any = service._ports.served[0][0]
            self.patch(described.endpoint, "listen", lambda factory, later=later: later)
            service.privilegedStartService()
            service.startService()
            self.assertEqual(self.processes, [])
            if outcome is None:
                later.callback(self.reactor.listenTCP(1, None))
                self.assertEqual(len(self.processes), 3)
                self.assertEqual(self.failed, [])
            else:
                later.errback(outcome)
                reason = "cannot listen on tcp:1: Cannot assign requested address"
                self.assertEqual(self.failed, [reason])

    def test_failsWithWorkersReason(self) -> None:
        """
        If a worker refuses to serve before any has served, its reason is that
        of the whole start, and is reported once.
        """
        self.start()
        self.newest.report(refusal="no answer")
        self.newest.end(1)
        self.assertEqual(self.failed, ["no answer"])
        self.assertIn("critical comet cannot start: no answer", self.lines)
        self.assertEqual(len(self.processes), 3)
        # A second refusal is not reported.
        self.processes[0].report(refusal="no answer")
        self.processes[0].end(1)
        self.assertEqual(self.failed, ["no answer"])

    def test_failsWithExitOfWorker(self) -> None:
        """
        If a worker ends before any has served, without a reason of its own, the
        error says how it ended.
        """
        for code, number, reason in (
            (1, None, "exit code 1"),
            (0, None, "exit code 0"),
            (0, signal.SIGSEGV, "SIGSEGV"),
        ):
            self.setUp()
            self.start()
            self.newest.end(code, number)
            self.assertEqual(self.failed, [f"a worker has ended before it served: {reason}"])


class RestartTests(WorkersTestCase):
    """
    How the parent restarts a worker that ends.
    """

    def setUp(self) -> None:
        """
        Start three workers that serve.
        """
        super().setUp()
        self.service = self.start()
        for process in self.processes:
            process.report(serves=True)

    def test_restartsAtOnceAfterLongLife(self) -> None:
        """
        A worker that has lived for a while is replaced at once, by a worker
        with its number, its sockets and its task.  The log has the reason.
        """
        first = self.processes[0]
        self.reactor.advance(11)
        first.end(signal=signal.SIGKILL)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), 4)
        self.assertEqual(self.newest.command, first.command)
        self.assertEqual(self.newest.fds, first.fds)
        self.assertEqual(self.newest.task, first.task)
        self.assertIn("error worker 1 (101) has ended: SIGKILL; restarting at once", self.lines)
        self.newest.report(serves=True)
        self.assertEqual(self.announced, [2])
        self.assertEqual(self.failed, [])

    def test_forgetsLoad(self) -> None:
        """
        The others do not wait for a worker that has ended.
        """
        loads = self.service._loads
        assert loads is not None
        loads.write(2, 7)
        self.assertEqual(loads.least(1), 7)
        self.processes[1].end(1)
        self.assertIsNone(loads.least(1))

    def test_delaysGrowUpToHalfAMinute(self) -> None:
        """
        The restarts of a worker that fails in a row are delayed, up to 30 s.
        After a long life it is restarted at once again.
        """
        for delay in (0, 1, 2, 4, 8, 16, 30, 30):
            before = len(self.processes)
            self.processes[-1].end(1)
            if delay:
                self.reactor.advance(delay - 0.5)
                self.assertEqual(len(self.processes), before)
            self.reactor.advance(0.5)
            self.assertEqual(len(self.processes), before + 1)
        self.assertIn("error worker 3 (103) has ended: exit code 1; restarting at once", self.lines)
        self.assertIn("error worker 3 (110) has ended: exit code 1; restarting in 30 s", self.lines)
        self.reactor.advance(10)
        self.newest.end(1)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), 12)

    def test_delaysEachWorkerAlone(self) -> None:
        """
        A worker that fails in a row does not delay the restart of others.
        """
        for _ in range(4):
            self.processes[-1].end(1)
            self.reactor.advance(8)
        self.processes[0].end(1)
        before = len(self.processes)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), before + 1)

    def test_logsWorkersReason(self) -> None:
        """
        The log has the reason that the worker gave itself.
        """
        self.newest.report(refusal="no answer")
        self.newest.end(1)
        self.assertIn("error worker 3 (103) has ended: no answer; restarting at once", self.lines)


class LogTests(WorkersTestCase):
    """
    How the parent logs what the workers log.
    """

    def setUp(self) -> None:
        """
        Start three workers.
        """
        super().setUp()
        self.start()
        del self.lines[:]

    def test_keepsLevelAndNamesWorker(self) -> None:
        """
        Each line keeps its level, and names the worker's number and process.
        """
        first, second, _ = self.processes
        first.protocol.childDataReceived(1, b"info one\nwarn tw")
        second.protocol.childDataReceived(1, "critical \u00fc {odd}\n".encode())
        first.protocol.childDataReceived(1, b"o\n")
        self.assertEqual(
            self.lines,
            [
                "info worker 1 (101): one",
                "critical worker 2 (102): \u00fc {odd}",
                "warn worker 1 (101): two",
            ],
        )

    def test_logsStandardErrorAsWarning(self) -> None:
        """
        Standard error, and a line that is not of the log's form, are warnings.
        A last line without an end is logged, too.
        """
        self.newest.protocol.childDataReceived(2, b"Fatal error: \xff\nthe end")
        self.newest.protocol.childDataReceived(1, b"odd one\n")
        self.newest.report(serves=True)
        self.newest.end()
        self.assertEqual(
            self.lines[:3],
            [
                "warn worker 3 (103): Fatal error: \ufffd",
                "warn worker 3 (103): odd one",
                "warn worker 3 (103): the end",
            ],
        )

    def test_splitsLongLine(self) -> None:
        """
        A line that is too long is logged in pieces.
        """
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            lines.append(formatEvent(event))

        # Trial could not hand lines as long as these from one process to another.
        self.patch(workerprocess, "_log", Logger(observer=observe))
        self.newest.protocol.childDataReceived(2, b"x" * 150_000)
        self.assertEqual([len(line) > 65536 for line in lines], [True, True])


class StopTests(WorkersTestCase):
    """
    How the parent stops the workers.
    """

    def setUp(self) -> None:
        """
        Start three workers that serve.
        """
        super().setUp()
        self.service = self.start()
        for process in self.processes:
            process.report(serves=True)

    def test_waitsForWorkersToEnd(self) -> None:
        """
        The parent tells all workers to end, waits for them, and restarts none.
        """
        stopped = self.service.stopService()
        self.assertEqual([process.isTold for process in self.processes], [True] * 3)
        self.reactor.advance(4)
        for process in self.processes:
            self.assertNoResult(stopped)
            process.end()
        self.successResultOf(stopped)
        self.assertEqual(len(self.processes), 3)
        self.assertEqual([process.signals for process in self.processes], [[]] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertIn("info worker 3 (103) has ended: exit code 0", self.lines)

    def test_closesPortsAfterWorkers(self) -> None:
        """
        The parent closes its ports when all workers have closed theirs, or a
        second later.
        """
        for isTold in (True, False):
            self.setUp()
            self.service.stopService()
            for process in self.processes:
                self.assertEqual(self.reactor.events, [])
                if isTold:
                    process.report(closed=True)
            if not isTold:
                self.reactor.advance(1)
            self.assertEqual(self.reactor.events, ["port 1 closed", "port 2 closed"])

    def test_killsWorkerThatDoesNotEnd(self) -> None:
        """
        A worker that has not ended some seconds after the time to drain is
        killed.
        """
        stopped = self.service.stopService()
        self.processes[0].end()
        self.reactor.advance(8.9)
        self.assertEqual([process.signals for process in self.processes], [[], [], []])
        self.reactor.advance(0.1)
        self.assertEqual([process.signals for process in self.processes], [[], ["KILL"], ["KILL"]])
        self.assertNoResult(stopped)
        for process in self.processes[1:]:
            process.end(signal=signal.SIGKILL)
        self.successResultOf(stopped)

    def test_cancelsDelayedRestart(self) -> None:
        """
        A worker whose restart is delayed does not start after the stop.
        """
        for _ in range(2):
            self.newest.end(1)
            self.reactor.advance(0)
        before = len(self.processes)
        stopped = self.service.stopService()
        self.reactor.advance(3)
        self.assertEqual(len(self.processes), before)
        for process in self.processes[:2]:
            process.end()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reportsNoFailureIfStoppedWhileStarting(self) -> None:
        """
        Stopped before a worker serves, the service reports no failure.
        """
        self.reactor.processes.clear()
        service = self.start()
        stopped = service.stopService()
        for process in self.processes:
            process.end()
        self.successResultOf(stopped)
        self.assertEqual(self.failed, [])

    def test_neverStarted(self) -> None:
        """
        What was not started can be stopped.
        """
        self.successResultOf(self.make().stopService())
