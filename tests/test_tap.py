"""
What C{twistd comet} is made of, without a port.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
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

from comet.model.clients import KEY_HOLDER
from comet.server.listening import CannotStart
from comet.server.service import CometService
from comet.server.workers.service import WorkersService
from comet.tap import Options, installReactor, makeService
from comet.transports.tcp import CometFactory
from comet.web.site import CometSite


class BusyReactor(MemoryReactorClock):
    """
    A reactor on a machine of which no port is free.
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
        Go there.
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
        Make it, start it, and run the reactor, as C{twistd} does.
        """
        service = self.make(*arguments)
        service.privilegedStartService()
        service.startService()
        self.reactor.run()
        return service


class PluginTests(SynchronousTestCase):
    """
    How Twisted comes to know of it.
    """

    def test_found(self) -> None:
        """
        C{twistd} finds a plugin by the name C{comet}, with its options.
        """
        (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "comet"]
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)
        self.assertTrue(maker.description)


class MakeServiceTests(TapTestCase):
    """
    L{makeService}.
    """

    def test_nothingBefore(self) -> None:
        """
        Nothing listens before the service is started.
        """
        service = self.make("--tcp", "tcp:9000")
        self.assertTrue(IService.providedBy(service))
        self.assertEqual(self.reactor.tcpServers, [])
        service.startService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [8080, 9000])

    def test_default(self) -> None:
        """
        Without an option it serves HTTP on port 8080 of this machine alone.
        """
        self.start()
        ((port, site, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (8080, "127.0.0.1"))
        self.assertIsInstance(site, CometSite)

    def test_endpoints(self) -> None:
        """
        Every endpoint is listened on: HTTP on those of C{--listen}, raw TCP on
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

    def test_demo(self) -> None:
        """
        With C{--demo} there is a port of raw TCP on this machine, and whoever
        the lab page asks to read there connects to it.
        """
        service = self.start("--demo", "--tcp", "tcp:9000")
        ports = [(server[0], server[3]) for server in self.reactor.tcpServers]
        self.assertEqual(ports, [(8080, "127.0.0.1"), (9000, ""), (0, "127.0.0.1")])
        self.assertIsInstance(self.reactor.tcpServers[-1][1], CometFactory)
        service.hub.publish("lab/a/tcp", str(service.hub.end))
        self.reactor.advance(0)
        ((host, *_),) = self.reactor.tcpClients
        port: Any = service.ports[-1]
        self.assertEqual(host, port.getHost().host)

    def test_noDemo(self) -> None:
        """
        Without it nothing of that is there.
        """
        service = self.start("--open", "lab/**")
        service.hub.publish("lab/a/tcp", str(service.hub.end))
        self.reactor.advance(0)
        self.assertEqual((len(self.reactor.tcpServers), self.reactor.tcpClients), (1, []))

    def test_flashPolicy(self) -> None:
        """
        The policy file lets connect to the port of raw TCP; where that is a
        file, to none.
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

    def test_serves(self) -> None:
        """
        What listens is the whole server.
        """
        self.start()
        address = IPv4Address("TCP", "127.0.0.1", 1)
        protocol = self.reactor.tcpServers[0][1].buildProtocol(address)
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(transport.value().endswith(b'{"ready":true}'))

    def test_announced(self) -> None:
        """
        It says where it is, and where the key is, once it listens and the
        reactor runs, which may be stopped by a signal.
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

    def test_elsewhere(self) -> None:
        """
        The path of the key is right also when the process goes elsewhere
        before it listens.
        """
        service = self.make()
        path = f"{os.getcwd()}/comet.key"
        os.chdir("/")
        service.startService()
        self.reactor.run()
        self.assertIn(f"the key to publish is in {path}", self.lines)
        self.assertIn(f"$(cat {path})", self.lines[2])

    def test_collector(self) -> None:
        """
        Once it listens, the garbage collector looks less often.
        """
        service = self.make()
        # Others may have let it look less often already.
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        before = (700, 10, 10)
        gc.set_threshold(*before)
        service.startService()
        self.reactor.run()
        self.assertGreater(gc.get_threshold()[0], before[0])
        self.assertGreater(gc.get_freeze_count(), 0)

    def test_drain(self) -> None:
        """
        C{--drain} is how long it takes at most to stop.
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
        Make the service of three.
        """
        bus = ("--bus", "redis://127.0.0.1")
        options = self.options("--workers", "3", *bus, "--listen", "tcp:0", "--open", "a/*")
        service = makeService(options, self.reactor)
        assert isinstance(service, WorkersService)
        return service

    def test_made(self) -> None:
        """
        The parent makes the key, once for all, and no hub; workers are given
        what it was given.
        """
        service = self.several()
        task = service.task
        self.assertEqual(Path("comet.key").read_text().strip(), task.key)
        self.assertEqual(task.given["open"], ["a/*"])
        self.assertEqual(task.given["workers"], "3")
        self.assertIsNone(task.file)

    def test_inUse(self) -> None:
        """
        A port in use is told as without workers.
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

    def test_made(self) -> None:
        """
        At the first start a key is made, which only its owner may read; it is
        the one that publishes, also after the next start.
        """
        hub = self.make().hub
        path = Path("comet.key")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        key = path.read_text().strip()
        self.assertEqual(hub.access.identify(f"Bearer {key}"), KEY_HOLDER)
        self.make()
        self.assertEqual(path.read_text().strip(), key)

    def test_given(self) -> None:
        """
        A key of one's own is taken, and none is made.
        """
        Path("own.key").write_text("a-key-of-our-very-own\n")
        service = self.start("--publish-key", "own.key")
        client = service.hub.access.identify("Bearer a-key-of-our-very-own")
        self.assertEqual(client, KEY_HOLDER)
        self.assertFalse(Path("comet.key").exists())
        self.assertIn(f"the key to publish is in {os.getcwd()}/own.key", self.lines)

    def test_notReadable(self) -> None:
        """
        Where the key can neither be read nor made, the process ends with the
        reason.
        """
        Path("comet.key").mkdir()
        error = self.assertRaises(SystemExit, self.make)
        self.assertEqual(str(error), "comet: the publish key: 'comet.key': Is a directory")

    def test_notAKey(self) -> None:
        """
        So it does where the file holds something else.
        """
        Path("comet.key").write_text("short\n")
        error = self.assertRaises(SystemExit, self.make)
        self.assertIn("comet: the publish key: the file 'comet.key' holds no publish", str(error))

    def test_goneMeanwhile(self) -> None:
        """
        So it does where a key that was there is not any more.
        """
        Path("own.key").write_text("a-key-of-our-very-own\n")
        options = self.options("--publish-key", "own.key")
        Path("own.key").unlink()
        error = self.assertRaises(SystemExit, makeService, options, self.reactor)
        self.assertEqual(str(error), "comet: the publish key: 'own.key': No such file or directory")


class CannotStartTests(TapTestCase):
    """
    What the process does when the server cannot be started.
    """

    def test_inUse(self) -> None:
        """
        A port in use is raised, that C{twistd} tidies up and ends with 1; but
        what Python shows of it then is one line.
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

    def test_otherErrors(self) -> None:
        """
        Any other error is shown as ever.
        """
        self.reactor = BusyReactor()
        self.assertRaises(CannotStart, self.make().startService)
        shown = io.StringIO()
        self.patch(sys, "stderr", shown)
        error = KeyError("odd")
        sys.excepthook(type(error), error, error.__traceback__)
        self.assertEqual(shown.getvalue(), "KeyError: 'odd'\n")

    def test_hookOnlyThen(self) -> None:
        """
        While nothing goes wrong, how Python shows errors is left alone.
        """
        before = sys.excepthook
        self.start()
        self.assertIs(sys.excepthook, before)

    def test_later(self) -> None:
        """
        What fails when the reactor runs, or will run, stops it, and lets the
        process exit with 1.
        """
        registered: list[Any] = []
        self.patch(atexit, "register", registered.append)
        service = self.make()
        service._failed(CannotStart("later"))
        ((hook, arguments, _),) = self.reactor.whenRunningHooks
        # Some versions of Twisted make it stopped.
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

    def test_installed(self) -> None:
        """
        A reactor that is installed stays, whichever it is.
        """
        from twisted.internet import reactor

        self.assertIs(installReactor(), reactor)
