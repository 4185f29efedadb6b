"""
The parts of a worker, without a process: what it tells its parent, and how it
is told to end.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.server.listening import CannotStart
from comet.server.workers.child import Child, Lifeline, Parent
from comet.server.workers.process import Task, environmentFor

KEY = "a-key-of-our-very-own"


class StoppableReactor(MemoryReactorClock):
    """
    Notes when it is stopped, and bears it once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def stop(self) -> None:
        """
        Count it.
        """
        self.stops += 1

    def run(self, installSignalHandlers: bool = True) -> None:
        """
        Do what is to be done at the beginning, and what was asked from other
        threads.
        """
        self.hasInstalled = installSignalHandlers
        for hook, args, kwargs in self.whenRunningHooks:
            hook(*args, **kwargs)

    def callFromThread(self, called: Any, *args: Any, **kwargs: Any) -> None:
        """
        Call it.
        """
        called(*args, **kwargs)


class PipesTestCase(SynchronousTestCase):
    """
    A test with a parent that is two pipes.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.log, log = os.pipe()
        self.status, status = os.pipe()
        self.open = {self.log, log, self.status, status}
        self.addCleanup(self.closeAll)
        os.set_blocking(self.log, False)
        os.set_blocking(self.status, False)
        self.parent = Parent(log, status)

    def closeAll(self) -> None:
        """
        Close what is open.
        """
        for each in self.open:
            os.close(each)

    def closeEnds(self) -> None:
        """
        The parent is gone.
        """
        for each in (self.log, self.status):
            os.close(each)
            self.open.discard(each)

    def told(self) -> list[dict[str, Any]]:
        """
        What was told.
        """
        try:
            return [json.loads(line) for line in os.read(self.status, 65536).splitlines()]
        except BlockingIOError:
            return []


class ParentTests(PipesTestCase):
    """
    L{Parent}.
    """

    def test_logged(self) -> None:
        """
        Each line of an event comes with its level, and without a time, which
        the parent adds.
        """
        log = Logger(observer=self.parent)
        log.info("one\ntwo {three}", three=3)
        log.error("é")
        expected = "info one\ninfo two 3\nerror é\n"
        self.assertEqual(os.read(self.log, 65536).decode(), expected)

    def test_failure(self) -> None:
        """
        So does each line of a traceback.
        """
        Logger(observer=self.parent).failure("odd", Failure(KeyError("x")))
        lines = os.read(self.log, 65536).decode().splitlines()
        self.assertEqual({line.split(" ")[0] for line in lines}, {"critical"})
        self.assertEqual(lines[0], "critical odd")
        self.assertTrue(lines[-1].endswith("builtins.KeyError: 'x'"), lines)

    def test_notRead(self) -> None:
        """
        A parent that does not read, or is gone, keeps nobody waiting.
        """
        log = Logger(observer=self.parent)
        for _ in range(200):
            log.info("x" * 1000)
        self.closeEnds()
        log.info("x")
        self.parent.tell("serves")

    def test_withoutLevel(self) -> None:
        """
        An event without a level is of the ordinary one.
        """
        self.parent({"log_format": "old", "log_time": 0.0})
        self.assertEqual(os.read(self.log, 65536), b"info old\n")

    def test_told(self) -> None:
        """
        What becomes of it is told apart from the log.
        """
        self.parent.tell("serves")
        self.parent.tell("refusal", "no\nbus")
        self.assertEqual(self.told(), [{"serves": True}, {"refusal": "no\nbus"}])


class LifelineTests(SynchronousTestCase):
    """
    L{Lifeline}.
    """

    def test_end(self) -> None:
        """
        The end of the standard input means to stop, once; whatever comes
        before it, nothing.
        """
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        reactor = MemoryReactorClock()
        stopped: list[int] = []
        lifeline = Lifeline(reactor, lambda: stopped.append(1), reader)
        reactor.addReader(lifeline)
        self.assertEqual(lifeline.fileno(), reader)
        os.write(writer, b"x")
        lifeline.doRead()
        self.assertEqual(stopped, [])
        os.close(writer)
        lifeline.doRead()
        self.assertEqual(stopped, [1])
        self.assertEqual(reactor.getReaders(), [])


class ChildTests(PipesTestCase):
    """
    L{Child}.
    """

    def setUp(self) -> None:
        """
        Keep how this process takes signals.
        """
        super().setUp()
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = StoppableReactor()

    def make(self, **given: Any) -> Child:
        """
        Make one that has no sockets to serve.
        """
        options = {"listen": ["tcp:1"], "workers": 3, **given}
        task = Task(options, None, KEY, os.getcwd(), 0, 0, False)
        return Child(self.reactor, task, self.parent)

    def test_serves(self) -> None:
        """
        It serves, and says so when it does; the key is the parent's.
        """
        child = self.make()
        self.assertEqual(self.told(), [])
        child.run()
        self.assertEqual(self.told(), [{"serves": True}])
        self.assertEqual(child.exitCode, 0)
        self.assertEqual(self.reactor.stops, 0)
        hub = child.service.hub
        self.assertTrue(hub.access.identify(f"Bearer {KEY}").mayPublishAll)

    def test_refusal(self) -> None:
        """
        If it cannot, it says why, and ends with 1.
        """

        def listenTCP(*args: object, **kwargs: object) -> Any:
            raise OSError(24, "Too many open files")

        self.patch(self.reactor, "listenTCP", listenTCP)
        child = self.make()
        child.run()
        reason = "cannot listen on tcp:1: Too many open files"
        self.assertEqual(self.told(), [{"refusal": reason}])
        self.assertEqual((child.exitCode, self.reactor.stops), (1, 1))

    def test_refusalLater(self) -> None:
        """
        So it does when that turns out later.
        """
        child = self.make()
        child.service._failed(CannotStart("nobody answers"))
        self.assertEqual(self.told(), [{"refusal": "nobody answers"}])
        self.assertEqual((child.exitCode, self.reactor.stops), (1, 1))

    def test_stoppedOnce(self) -> None:
        """
        A signal, or two, and the parent's word together stop it once.
        """
        child = self.make()
        child.run()
        self.assertFalse(self.reactor.hasInstalled)
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        (lifeline,) = self.reactor.getReaders()
        assert isinstance(lifeline, Lifeline)
        lifeline.stop()
        self.assertEqual(self.reactor.stops, 1)
        self.assertEqual(child.exitCode, 0)

    def test_shutDown(self) -> None:
        """
        When the reactor stops, it drains, and says as soon as it accepts nobody
        any more.
        """
        child = self.make()
        child.run()
        self.told()
        ((hook, args, kwargs),) = self.reactor.triggers["before"]["shutdown"]
        self.successResultOf(hook(*args, **kwargs))
        self.assertEqual(self.told(), [{"closed": True}])
        self.assertTrue(child.service.hub.isDraining)


class ProcessTests(SynchronousTestCase):
    """
    What the parent and the worker agree on.
    """

    def test_descriptors(self) -> None:
        """
        The descriptors follow those of systemd.
        """
        for passed in (0, 2):
            task = Task({}, None, KEY, "/", 3, passed, True)
            self.assertEqual(task.status, 3 + passed)
            self.assertEqual(list(task.sockets), [4 + passed, 5 + passed, 6 + passed])

    def test_environment(self) -> None:
        """
        The environment is the parent's; modules are found where it finds them,
        from wherever the worker is started.
        """
        found = environmentFor({"HOME": "/h", "PYTHONPATH": "x"}, ["", "/a", "b"])
        here = os.getcwd()
        self.assertEqual(found["HOME"], "/h")
        self.assertEqual(found["PYTHONPATH"], f"{here}:/a:{here}/b")

    def test_systemd(self) -> None:
        """
        What systemd has given the parent is known, and what it has given
        another process is not passed on.
        """
        for environment, expected in (
            ({}, None),
            ({"LISTEN_FDNAMES": "a:b"}, "2"),
            ({"LISTEN_FDNAMES": "a:b", "LISTEN_FDS": "2", "LISTEN_PID": "1"}, None),
        ):
            found = environmentFor(environment, [])
            self.assertEqual(found.get("LISTEN_FDS"), expected)
