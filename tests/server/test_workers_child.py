"""
A worker without a process: what it reports to its parent, and how it is stopped.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from typing import Any

from attrs import asdict, evolve
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import Unauthorized
from comet.server.startfailure import CannotStart
from comet.server.workers.child import Lifeline, ParentLink, Worker
from comet.server.workers.loads import Loads, makeMemory
from comet.server.workers.process import Task, environmentFor
from tests.access.case import identify

KEY = "a-key-of-our-very-own"


class StoppableReactor(MemoryReactorClock):
    """
    A reactor that counts how often it is stopped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def stop(self) -> None:
        """
        Count the call.
        """
        self.stops += 1

    def run(self, installSignalHandlers: bool = True) -> None:
        """
        Run the hooks of the start.
        """
        self.hasInstalled = installSignalHandlers
        for hook, args, kwargs in self.whenRunningHooks:
            hook(*args, **kwargs)

    def callFromThread(self, called: Any, *args: Any, **kwargs: Any) -> None:
        """
        Call the function at once.
        """
        called(*args, **kwargs)


class PipesTestCase(SynchronousTestCase):
    """
    A test in which the parent is two pipes.
    """

    def setUp(self) -> None:
        """
        Make the pipes.
        """
        self.log, log = os.pipe()
        self.status, status = os.pipe()
        self.open = {self.log, log, self.status, status}
        self.addCleanup(self.closeAll)
        os.set_blocking(self.log, False)
        os.set_blocking(self.status, False)
        self.parent = ParentLink(log, status)

    def closeAll(self) -> None:
        """
        Close the open descriptors.
        """
        for each in self.open:
            os.close(each)

    def closeEnds(self) -> None:
        """
        Close the parent's ends.
        """
        for each in (self.log, self.status):
            os.close(each)
            self.open.discard(each)

    def told(self) -> list[dict[str, Any]]:
        """
        Return the status that the worker has reported.
        """
        try:
            return [json.loads(line) for line in os.read(self.status, 65536).splitlines()]
        except BlockingIOError:
            return []


class ParentLinkTests(PipesTestCase):
    """
    L{ParentLink}.
    """

    def test_logsEachLineWithLevel(self) -> None:
        """
        Each line of an event is logged with its level, and without a time, which
        the parent adds.
        """
        log = Logger(observer=self.parent)
        log.info("one\ntwo {three}", three=3)
        log.error("é")
        expected = "info one\ninfo two 3\nerror é\n"
        self.assertEqual(os.read(self.log, 65536).decode(), expected)

    def test_logsEachLineOfTraceback(self) -> None:
        """
        Each line of a traceback is logged with the level of its event.
        """
        Logger(observer=self.parent).failure("odd", Failure(KeyError("x")))
        lines = os.read(self.log, 65536).decode().splitlines()
        self.assertEqual({line.split(" ")[0] for line in lines}, {"critical"})
        self.assertEqual(lines[0], "critical odd")
        self.assertTrue(lines[-1].endswith("builtins.KeyError: 'x'"), lines)

    def test_doesNotWaitForParent(self) -> None:
        """
        A parent that does not read, or is gone, does not block the worker.
        """
        log = Logger(observer=self.parent)
        for _ in range(200):
            log.info("x" * 1000)
        self.closeEnds()
        log.info("x")
        self.parent.report("serves")

    def test_logsEventWithoutLevelAsInfo(self) -> None:
        """
        An event without a level is logged as information.
        """
        self.parent({"log_format": "old", "log_time": 0.0})
        self.assertEqual(os.read(self.log, 65536), b"info old\n")

    def test_reportsStatusApartFromLog(self) -> None:
        """
        The status has a descriptor of its own.
        """
        self.parent.report("serves")
        self.parent.report("refusal", "no\nbus")
        self.assertEqual(self.told(), [{"serves": True}, {"refusal": "no\nbus"}])


class LifelineTests(SynchronousTestCase):
    """
    L{Lifeline}.
    """

    def test_stopsOnceAtEndOfInput(self) -> None:
        """
        At the end of the standard input the worker stops, once.  Each whole
        line before it is received.
        """
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        reactor = MemoryReactorClock()
        stopped: list[int] = []
        received: list[dict[str, Any]] = []
        lifeline = Lifeline(reactor, lambda: stopped.append(1), received.append, reader)
        reactor.addReader(lifeline)
        self.assertEqual(lifeline.fileno(), reader)
        line = json.dumps({"given": {}, "file": None}).encode()
        for data in (line[:9], line[9:] + b"\n" + line):
            os.write(writer, data)
            lifeline.doRead()
        self.assertEqual(received, [{"given": {}, "file": None}])
        self.assertEqual(stopped, [])
        os.close(writer)
        lifeline.doRead()
        self.assertEqual(stopped, [1])
        self.assertEqual(reactor.getReaders(), [])


class WorkerTests(PipesTestCase):
    """
    L{Worker}.
    """

    def setUp(self) -> None:
        """
        Restore the signal handlers of this process after the test.
        """
        super().setUp()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = StoppableReactor()
        self.sent: list[Mapping[str, Any]] = []
        memory = makeMemory(3)
        self.loads = Loads(memory)
        os.close(memory)
        self.addCleanup(self.loads.close)

    def make(self, **given: Any) -> Worker:
        """
        Make a worker that has no sockets to serve.
        """
        options = {"listen": ["tcp:1"], "workers": 3, **given}
        task = Task(options, None, {"publishKeys": [KEY]}, os.getcwd(), 0, False)
        return Worker(self.reactor, task, self.parent, 2, self.sent.append, self.loads)

    def test_reportsThatItServes(self) -> None:
        """
        The worker serves with the parent's key, and reports when it does.
        """
        worker = self.make()
        self.assertEqual(self.told(), [])
        self.assertIsNone(self.loads.least(1))
        worker.run()
        self.assertEqual(self.told(), [{"serves": True}])
        # The others let it accept clients, until it stops.
        self.assertIsNotNone(self.loads.least(1))
        worker._stop()
        self.assertIsNone(self.loads.least(1))
        self.reactor.stops = 0
        self.assertEqual(worker.exitCode, 0)
        self.assertEqual(self.reactor.stops, 0)
        hub = worker.service.hub
        self.assertTrue(identify(hub, f"Bearer {KEY}").mayPublishAll)

    def test_takesFurtherTask(self) -> None:
        """
        The worker goes by another task from then on, and on as before where it
        cannot.
        """
        worker = self.make()
        worker.run()
        hub = worker.service.hub
        other = "another-key-of-our-own"
        task = Task(
            {"listen": ["tcp:1"], "workers": 3},
            {"max-channels": 7},
            {"publishKeys": [other]},
            os.getcwd(),
            0,
            False,
        )
        for each in (task, evolve(task, file={"open": "//"})):
            worker._received(asdict(each))
        self.assertEqual(hub.settings.limits.maxChannels, 7)
        self.assertTrue(identify(hub, f"Bearer {other}").mayPublishAll)
        self.assertRaises(Unauthorized, identify, hub, f"Bearer {KEY}")

    def test_reportsWhyItCannotServe(self) -> None:
        """
        A worker that cannot serve reports why, and ends with exit code 1.
        """

        def listenTCP(*args: object, **kwargs: object) -> Any:
            raise OSError(24, "Too many open files")

        self.patch(self.reactor, "listenTCP", listenTCP)
        worker = self.make()
        worker.run()
        reason = "cannot listen on tcp:1: Too many open files"
        self.assertEqual(self.told(), [{"refusal": reason}])
        self.assertEqual((worker.exitCode, self.reactor.stops), (1, 1))

    def test_reportsWhyTheStartFailsLater(self) -> None:
        """
        A worker whose start fails later reports why, and ends with exit code 1.
        """
        worker = self.make()
        worker.service._failed(CannotStart("no answer"))
        self.assertEqual(self.told(), [{"refusal": "no answer"}])
        self.assertEqual((worker.exitCode, self.reactor.stops), (1, 1))

    def test_stopsOnce(self) -> None:
        """
        Two signals and the end of the standard input together stop the worker
        once.
        """
        worker = self.make()
        worker.run()
        self.assertFalse(self.reactor.hasInstalled)
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        (lifeline,) = self.reactor.getReaders()
        assert isinstance(lifeline, Lifeline)
        lifeline.stop()
        self.assertEqual(self.reactor.stops, 1)
        self.assertEqual(worker.exitCode, 0)

    def test_reportsThatItHasClosed(self) -> None:
        """
        When the reactor stops, the worker drains, and reports that it has
        closed its ports.
        """
        worker = self.make()
        worker.run()
        self.told()
        ((hook, args, kwargs),) = self.reactor.triggers["before"]["shutdown"]
        self.successResultOf(hook(*args, **kwargs))
        self.assertEqual(self.told(), [{"closed": True}])
        self.assertTrue(worker.service.hub.isDraining)


class ProcessTests(SynchronousTestCase):
    """
    The descriptors and the environment that parent and worker agree on.
    """

    def test_socketsFollowLoads(self) -> None:
        """
        The worker's sockets come after its status and its figures.
        """
        self.assertEqual(list(Task({}, None, {}, "/", 3, True).sockets), [6, 7, 8])

    def test_findsModulesOfTheParent(self) -> None:
        """
        The worker's environment is the parent's, with its module path made
        absolute.
        """
        found = environmentFor({"HOME": "/h", "PYTHONPATH": "x"}, ["", "/a", "b"])
        here = os.getcwd()
        self.assertEqual(found["HOME"], "/h")
        self.assertEqual(found["PYTHONPATH"], f"{here}:/a:{here}/b")

    def test_hidesDescriptorsOfSystemd(self) -> None:
        """
        A worker does not look for descriptors that systemd meant for the parent.
        """
        passed = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
        found = environmentFor({"HOME": "/h", **passed}, [])
        self.assertEqual(found.keys() & {"HOME", *passed}, {"HOME"})
