"""
The parent of the workers: how it starts them, what it makes of their ends, and
how it brings them down.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from comet.server.listening import CannotStart
from tests.server.servicecase import StiffPort
from tests.server.workercase import WorkersTestCase


class StartTests(WorkersTestCase):
    """
    How they are started.
    """

    def test_order(self) -> None:
        """
        The ports are bound while the process has its privileges, the workers
        started without them.
        """
        service = self.make()
        self.assertEqual(self.reactor.tcpServers, [])
        service.privilegedStartService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [1, 2])
        self.assertEqual(self.processes, [])
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 2)
        self.assertEqual(len(self.processes), 3)

    def test_command(self) -> None:
        """
        Each is a Python of its own that finds the modules of the parent and
        installs its reactor; neither the key nor an option is on the command
        line, which anyone on the machine may read.
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

    def test_descriptors(self) -> None:
        """
        Each has a pipe to be told, three to tell, and all sockets.
        """
        self.start()
        for process in self.processes:
            self.assertEqual(process.fds, {0: "w", 1: "r", 2: "r", 3: "r", 4: 1, 5: 2})

    def test_systemd(self) -> None:
        """
        Where systemd has given descriptors, their numbers are kept free.
        """
        # As Twisted leaves it.
        self.patch(os, "environ", {**os.environ, "LISTEN_FDNAMES": "a:b"})
        self.start()
        fds = self.newest.fds
        self.assertEqual(self.newest.task["passed"], 2)
        self.assertEqual(self.newest.environment["LISTEN_FDS"], "2")
        self.assertEqual(
            {key: fds[key] for key in (0, 1, 2, 5, 6, 7)},
            {0: "w", 1: "r", 2: "r", 5: "r", 6: 1, 7: 2},
        )
        self.assertEqual(fds[3], fds[4])
        self.assertIsInstance(fds[3], int)

    def test_task(self) -> None:
        """
        Each is told what the parent was given, with the key; only the first is
        to do what one of them does.
        """
        self.start()
        tasks = [process.task for process in self.processes]
        self.assertEqual([task["isFirst"] for task in tasks], [True, False, False])
        for task in tasks:
            self.assertEqual(task["given"]["tcp"], "tcp:2")
            self.assertEqual(task["file"], {"open": ["a/*"]})
            self.assertEqual(task["key"], "a-key-of-our-very-own")
            self.assertEqual((task["count"], task["passed"]), (2, 0))
            self.assertEqual(task["directory"], os.getcwd())

    def test_announced(self) -> None:
        """
        It is told once, when the first of them serves.
        """
        self.start()
        self.assertEqual(self.announced, [])
        for process in reversed(self.processes):
            process.tell(serves=True)
            self.assertEqual(self.announced, [2])

    def test_nobodyAccepted(self) -> None:
        """
        The parent accepts nobody.
        """
        service = self.start()
        ports: list[Any] = service._ports.open
        self.assertEqual([port.isHeld for port in ports], [True, True])


class CannotStartTests(WorkersTestCase):
    """
    What keeps it from starting.
    """

    def test_inUse(self) -> None:
        """
        A port in use is told at once, and nothing is started.
        """

        def listenTCP(port: int, factory: object, **kwargs: object) -> Any:
            raise CannotListenError("", port, OSError(98, "Address already in use"))

        self.patch(self.reactor, "listenTCP", listenTCP)
        error = self.assertRaises(CannotStart, self.make().privilegedStartService)
        self.assertEqual(str(error), "cannot listen on tcp:1: Address already in use")
        self.assertEqual(self.processes, [])

    def test_notShared(self) -> None:
        """
        What has no socket cannot be shared.
        """
        self.patch(
            self.reactor, "listenTCP", lambda port, *_, **__: StiffPort(port, self.reactor.events)
        )
        self.start()
        self.assertEqual(self.failed, ["several processes cannot share tcp:1"])
        self.assertEqual(self.processes, [])

    def test_later(self) -> None:
        """
        A port that takes its time is waited for; if it comes to nothing, that
        is told.
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

    def test_refused(self) -> None:
        """
        Where a worker cannot serve, and none ever has, its reason is that of
        all.
        """
        self.start()
        self.newest.tell(refusal="nobody answers")
        self.newest.end(1)
        self.assertEqual(self.failed, ["nobody answers"])
        self.assertIn("critical comet cannot start: nobody answers", self.lines)
        self.assertEqual(len(self.processes), 3)
        # Once is enough.
        self.processes[0].tell(refusal="nobody answers")
        self.processes[0].end(1)
        self.assertEqual(self.failed, ["nobody answers"])

    def test_ended(self) -> None:
        """
        So it is where one ends without a reason of its own.
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
    A worker that ends is started again.
    """

    def setUp(self) -> None:
        """
        Start three that serve.
        """
        super().setUp()
        self.service = self.start()
        for process in self.processes:
            process.tell(serves=True)

    def test_atOnce(self) -> None:
        """
        One that has lived for a while is followed at once by another with its
        number, the same sockets and the same task; that is in the log, with
        the reason.
        """
        first = self.processes[0]
        self.reactor.advance(11)
        first.end(signal=signal.SIGKILL)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), 4)
        self.assertEqual(self.newest.command, first.command)
        self.assertEqual(self.newest.fds, first.fds)
        self.assertEqual(self.newest.task, first.task)
        self.assertIn("error worker 1 (101) has ended: SIGKILL; started again at once", self.lines)
        self.newest.tell(serves=True)
        self.assertEqual(self.announced, [2])
        self.assertEqual(self.failed, [])

    def test_backsOff(self) -> None:
        """
        One that ends at once again and again is started again after longer and
        longer times, 30 s at most; once it has lived, at once again.
        """
        for delay in (0, 1, 2, 4, 8, 16, 30, 30):
            before = len(self.processes)
            self.processes[-1].end(1)
            if delay:
                self.reactor.advance(delay - 0.5)
                self.assertEqual(len(self.processes), before)
            self.reactor.advance(0.5)
            self.assertEqual(len(self.processes), before + 1)
        self.assertIn(
            "error worker 3 (103) has ended: exit code 1; started again at once", self.lines
        )
        self.assertIn(
            "error worker 3 (110) has ended: exit code 1; started again in 30 s", self.lines
        )
        self.reactor.advance(10)
        self.newest.end(1)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), 12)

    def test_eachItsOwn(self) -> None:
        """
        One that ends again and again costs the others nothing.
        """
        for _ in range(4):
            self.processes[-1].end(1)
            self.reactor.advance(8)
        self.processes[0].end(1)
        before = len(self.processes)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), before + 1)

    def test_refused(self) -> None:
        """
        What a worker says itself is the reason.
        """
        self.newest.tell(refusal="nobody answers")
        self.newest.end(1)
        self.assertIn(
            "error worker 3 (103) has ended: nobody answers; started again at once", self.lines
        )


class LogTests(WorkersTestCase):
    """
    What the workers log is in the log of the parent.
    """

    def setUp(self) -> None:
        """
        Start three.
        """
        super().setUp()
        self.start()
        del self.lines[:]

    def test_levels(self) -> None:
        """
        Each line comes with its level, with the number and the process.
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

    def test_standardError(self) -> None:
        """
        What Python itself has to say is a warning, and what is no line of the
        log, too; the last line need not end.
        """
        self.newest.protocol.childDataReceived(2, b"Fatal error: \xff\nthe end")
        self.newest.protocol.childDataReceived(1, b"odd one\n")
        self.newest.tell(serves=True)
        self.newest.end()
        self.assertEqual(
            self.lines[:3],
            [
                "warn worker 3 (103): Fatal error: \ufffd",
                "warn worker 3 (103): odd one",
                "warn worker 3 (103): the end",
            ],
        )

    def test_long(self) -> None:
        """
        A line without an end is told in pieces.
        """
        self.newest.protocol.childDataReceived(2, b"x" * 150_000)
        self.assertEqual([len(line) > 65536 for line in self.lines], [True, True])


class StopTests(WorkersTestCase):
    """
    How they are brought down.
    """

    def setUp(self) -> None:
        """
        Start three that serve.
        """
        super().setUp()
        self.service = self.start()
        for process in self.processes:
            process.tell(serves=True)

    def test_drained(self) -> None:
        """
        All are told to end, and waited for; none is started again.
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

    def test_ports(self) -> None:
        """
        The ports are closed when no worker accepts from them any more, which
        is not waited for for long.
        """
        for isTold in (True, False):
            self.setUp()
            self.service.stopService()
            for process in self.processes:
                self.assertEqual(self.reactor.events, [])
                if isTold:
                    process.tell(closed=True)
            if not isTold:
                self.reactor.advance(1)
            self.assertEqual(self.reactor.events, ["port 1 closed", "port 2 closed"])

    def test_stubborn(self) -> None:
        """
        Who does not end in the time to drain and a little more is killed.
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

    def test_whileOneIsAway(self) -> None:
        """
        One that is about to be started again is not.
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

    def test_whileStarting(self) -> None:
        """
        Stopped before a worker serves, it calls it no failure.
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
