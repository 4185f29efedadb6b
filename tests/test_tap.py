"""
The service of C{twistd comet}, tested without a port.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService, IServiceMaker
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.model.clients import ADMIN
from comet.server.bestreactor import installReactor
from comet.server.commandline import Options
from comet.server.service import CometService
from comet.server.startfailure import CannotStart
from comet.server.workers.service import WorkersService
from comet.tap import makeService
from comet.transports.tcp import CometFactory
from comet.web.site import CometSite
from tests.access.case import identify


class BusyReactor(MemoryReactorClock):
    """
    A reactor on a machine that has no free port.
    """

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        Fail.
        """
        raise CannotListenError(interface, port, OSError(98, "Address already in use"))


class TapTestCase(SynchronousTestCase):
    """
    Tests in an empty working directory, which leave the process as it was.
    """

    def setUp(self) -> None:
        """
        Go to an empty directory, and record the log.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        self.patch(sys, "excepthook", sys.excepthook)
        self.reactor = MemoryReactorClock()
        self.lines: list[str] = []

        @implementer(ILogObserver)
        def note(event: LogEvent) -> None:
            if "line" in event:
                self.lines.append(event["line"])

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def options(self, *arguments: str) -> Options:
        """
        Read a command line.
        """
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def make(self, *arguments: str) -> CometService:
        """
        Make the service of a command line.
        """
        service = makeService(self.options(*arguments), self.reactor)
        assert isinstance(service, CometService)
        return service

    def start(self, *arguments: str) -> CometService:
        """
        Make the service, start it, and run the reactor, as C{twistd} does.
        """
        service = self.make(*arguments)
        service.privilegedStartService()
        service.startService()
        self.reactor.run()
        return service


class PluginTests(SynchronousTestCase):
    """
    The plugin of C{twistd}.
    """

    def test_twistdFindsCommand(self) -> None:
        """
        C{twistd} finds the command C{comet}, with its options.
        """
        (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "comet"]
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)
        self.assertTrue(maker.description)


class MakeServiceTests(TapTestCase):
    """
    L{makeService}.
    """

    def test_listensNowhereBeforeStart(self) -> None:
        """
        The service listens nowhere before it is started.
        """
        service = self.make("--tcp", "tcp:9000")
        self.assertTrue(IService.providedBy(service))
        self.assertEqual(self.reactor.tcpServers, [])
        service.startService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [8080, 9000])

    def test_servesHTTPOnLoopbackByDefault(self) -> None:
        """
        Without options the server serves HTTP on port 8080 of this machine.
        """
        self.start()
        ((port, site, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (8080, "127.0.0.1"))
        self.assertIsInstance(site, CometSite)

    def test_listensOnEveryEndpoint(self) -> None:
        """
        The server serves HTTP at the endpoints of C{--listen}, and raw TCP at
        that of C{--tcp}.
        """
        self.start(
            *("--listen", "tcp:1"),
            *("--listen", "unix:s"),
            *("--listen", "tcp:2:interface=\\:\\:1"),
            "--tcp",
            "tcp:3",
        )
        self.assertEqual(
            [(server[0], type(server[1])) for server in self.reactor.tcpServers],
            [(1, CometSite), (2, CometSite), (3, CometFactory)],
        )
        ((path, site, *_),) = self.reactor.unixServers
        self.assertEqual(path, "s")
        self.assertIsInstance(site, CometSite)

    def test_demoRunsReadersWithoutPort(self) -> None:
        """
        With C{--demo} the server listens on no port more, and connects the readers of
        the lab page to itself over pairs of sockets.
        """
        service = self.start("--demo", "--tcp", "tcp:9000")
        service.hub.publish("lab/a/tcp", str(service.hub.end))
        self.reactor.advance(0)
        (family, factory), (own, _) = [each[1:] for each in self.reactor.adoptedStreamConnections]
        self.assertEqual((family, own), (socket.AF_UNIX, socket.AF_UNIX))
        self.assertIsInstance(factory, CometFactory)
        ports = [(server[0], server[3]) for server in self.reactor.tcpServers]
        self.assertEqual(ports, [(8080, "127.0.0.1"), (9000, "")])
        self.assertEqual((len(service.ports), self.reactor.tcpClients), (2, []))

    def test_runsNoReadersWithoutDemo(self) -> None:
        """
        Without C{--demo} there is no reader.
        """
        service = self.start("--open", "lab/**")
        service.hub.publish("lab/a/tcp", str(service.hub.end))
        self.reactor.advance(0)
        self.assertEqual(self.reactor.adoptedStreamConnections, [])

    def test_flashPolicyNamesPortOfRawTCP(self) -> None:
        """
        The policy file allows connections to the port of raw TCP, and to none
        if that is a UNIX socket.
        """
        for tcp, ports in (("tcp:9000", b'to-ports="9000"'), ("unix:s", b"</cross-domain-policy>")):
            self.start("--tcp", tcp, "--flash-policy", "tcp:843")
            number, factory, *_ = self.reactor.tcpServers[-1]
            self.assertEqual(number, 843)
            protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
            assert protocol is not None
            transport = StringTransport()
            protocol.makeConnection(transport)
            protocol.dataReceived(b"<policy-file-request/>\0")
            self.assertIn(ports, transport.value())
            self.assertEqual(b"to-ports" in transport.value(), tcp != "unix:s")

    def test_servesAllResources(self) -> None:
        """
        The HTTP endpoints serve the whole server.
        """
        self.start()
        address = IPv4Address("TCP", "127.0.0.1", 1)
        protocol = self.reactor.tcpServers[0][1].buildProtocol(address)
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(transport.value().endswith(b'{"ready":true}\n'))

    def test_logsBannerWhenReactorRuns(self) -> None:
        """
        The banner is logged once the server listens and the reactor runs, which
        a signal may then stop.
        """
        service = self.make("--demo", "--tcp", "tcp:9000")
        service.startService()
        self.assertEqual(self.lines, [])
        self.reactor.run()
        self.assertEqual(
            self.lines[:3],
            [
                "comet serves HTTP on http://127.0.0.1:8080/",
                "comet serves raw TCP on 127.0.0.1:9000",
                f"the key to publish is in {os.getcwd()}/comet.key",
            ],
        )
        self.assertIn("open to anyone: lab/**, chat/**", self.lines)

    def test_pathOfKeyIsAbsolute(self) -> None:
        """
        The path of the key in the banner is right although the process has
        changed its directory.
        """
        service = self.make()
        path = f"{os.getcwd()}/comet.key"
        os.chdir("/")
        service.startService()
        self.reactor.run()
        self.assertIn(f"the key to publish is in {path}", self.lines)
        self.assertIn(f"$(head -n 1 {path})", self.lines[2])

    def test_calmsGarbageCollector(self) -> None:
        """
        The garbage collector runs less often once the server listens.
        """
        service = self.make()
        # Another test may have calmed the collector already.
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        before = (700, 10, 10)
        gc.set_threshold(*before)
        service.startService()
        self.reactor.run()
        young, middle, old = gc.get_threshold()
        self.assertGreater(young * middle * old, 1000 * before[0])
        # All clients wait while the young objects are walked.
        self.assertLessEqual(young, 5000)
        self.assertGreater(gc.get_freeze_count(), 0)

    def test_stopsWithinDrainTime(self) -> None:
        """
        C{--drain} is the longest time that a stop takes.
        """
        service = self.start("--drain", "3")
        self.assertTrue(service.hub.isReady)
        self.successResultOf(service.stopService())
        self.assertTrue(service.hub.isDraining)
        self.assertEqual(service._drain, 3.0)


class WorkersTests(TapTestCase):
    """
    More than one worker.
    """

    def several(self) -> WorkersService:
        """
        Make the service of three workers.
        """
        bus = ("--bus", "redis://127.0.0.1")
        options = self.options("--workers", "3", *bus, "--listen", "tcp:0", "--open", "a/*")
        service = makeService(options, self.reactor)
        assert isinstance(service, WorkersService)
        return service

    def test_parentMakesKeyForAllWorkers(self) -> None:
        """
        The parent makes one key for all workers, and no hub.  The workers get
        its options.
        """
        service = self.several()
        task = service.task
        self.assertEqual(Path("comet.key").read_text().strip(), task.secrets["publishKeys"][0])
        self.assertEqual(task.given["open"], ["a/*"])
        self.assertEqual(task.given["workers"], "3")
        self.assertIsNone(task.file)

    def test_namesEndpointInUse(self) -> None:
        """
        An address in use is the same error as without workers.
        """
        self.reactor = BusyReactor()
        error = self.assertRaises(CannotStart, self.several().privilegedStartService)
        shown = io.StringIO()
        self.patch(sys, "stderr", shown)
        sys.excepthook(type(error), error, error.__traceback__)
        self.assertEqual(
            shown.getvalue(), "comet: cannot listen on tcp:0: Address already in use\n"
        )


class KeyTests(TapTestCase):
    """
    The publish key.
    """

    def test_makesKeyAtFirstStart(self) -> None:
        """
        At its first start the server makes a key, in a file that only its owner
        may read.  The key allows publishing, also after the next start.
        """
        hub = self.make().hub
        path = Path("comet.key")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        key = path.read_text().strip()
        self.assertEqual(identify(hub, f"Bearer {key}"), ADMIN)
        self.make()
        self.assertEqual(path.read_text().strip(), key)

    def test_takesKeyFromFile(self) -> None:
        """
        The key of C{--publish-key} is used, and none is made.
        """
        Path("own.key").write_text("a-key-of-our-very-own\n")
        service = self.start("--publish-key", "own.key")
        client = identify(service.hub, "Bearer a-key-of-our-very-own")
        self.assertEqual(client, ADMIN)
        self.assertFalse(Path("comet.key").exists())
        self.assertIn(f"the key to publish is in {os.getcwd()}/own.key", self.lines)

    def test_exitsIfKeyIsNotReadable(self) -> None:
        """
        If the key can neither be read nor made, the process exits with the
        reason.
        """
        Path("comet.key").mkdir()
        error = self.assertRaises(SystemExit, self.make)
        path = os.path.abspath("comet.key")
        self.assertIn(f"comet: the publish key {path!r} cannot be made or read: Is a", str(error))
        self.assertIn("in a directory that it may write to, or name the file", str(error))

    def test_exitsIfFileHoldsNoKey(self) -> None:
        """
        If the file holds something else, the process exits with the reason.
        """
        Path("comet.key").write_text("short\n")
        error = self.assertRaises(SystemExit, self.make)
        self.assertIn("comet: the publish key: the file 'comet.key' is not allowed", str(error))

    def test_exitsIfKeyIsGone(self) -> None:
        """
        If the file of the key is removed before the start, the process exits
        with the reason.
        """
        Path("own.key").write_text("a-key-of-our-very-own\n")
        options = self.options("--publish-key", "own.key")
        Path("own.key").unlink()
        error = self.assertRaises(SystemExit, makeService, options, self.reactor)
        path = os.path.abspath("own.key")
        self.assertEqual(
            str(error),
            f"comet: the publish key {path!r} cannot be read: No such file or directory",
        )


class CannotStartTests(TapTestCase):
    """
    What the process does if the server cannot start.
    """

    def test_raisesAndShowsOneLine(self) -> None:
        """
        L{CannotStart} is raised, so that C{twistd} tidies up and exits with 1,
        but Python shows it in one line.
        """
        self.reactor = BusyReactor()
        service = self.make()
        error = self.assertRaises(CannotStart, service.privilegedStartService)
        shown = io.StringIO()
        self.patch(sys, "stderr", shown)
        sys.excepthook(type(error), error, error.__traceback__)
        self.assertEqual(
            shown.getvalue(),
            "comet: cannot listen on tcp:8080:interface=127.0.0.1: Address already in use\n",
        )
        self.assertEqual(self.lines, [])

    def test_showsOtherErrorsInFull(self) -> None:
        """
        Any other exception is shown with its traceback.
        """
        self.reactor = BusyReactor()
        self.assertRaises(CannotStart, self.make().startService)
        shown = io.StringIO()
        self.patch(sys, "stderr", shown)
        error = KeyError("odd")
        sys.excepthook(type(error), error, error.__traceback__)
        self.assertEqual(shown.getvalue(), "KeyError: 'odd'\n")

    def test_replacesHookOnlyAfterFailure(self) -> None:
        """
        Unless the start fails, the hook that shows exceptions stays.
        """
        before = sys.excepthook
        self.start()
        self.assertIs(sys.excepthook, before)

    def test_stopsReactorAfterLaterFailure(self) -> None:
        """
        A start that fails while the reactor runs, or before, stops it, and the
        process exits with 1.
        """
        registered: list[Any] = []
        self.patch(atexit, "register", registered.append)
        service = self.make()
        service._failed(CannotStart("later"))
        ((hook, arguments, _),) = self.reactor.whenRunningHooks
        # In some versions of Twisted a new one counts as stopped.
        self.reactor.hasStopped = False
        hook(*arguments)
        self.assertTrue(self.reactor.hasStopped)
        statuses: list[int] = []
        self.patch(os, "_exit", statuses.append)
        for each in registered:
            each()
        self.assertEqual(statuses, [1])


class ReactorTests(SynchronousTestCase):
    """
    L{installReactor}.
    """

    def test_keepsInstalledReactor(self) -> None:
        """
        A reactor that is installed stays.
        """
        from twisted.internet import reactor

        # The tests that come later have the reactor as it was.
        self.patch(reactor, "seconds", reactor.seconds)
        self.assertIs(installReactor(), reactor)
