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

from comet.clients import KEY_HOLDER
from comet.errors import Unauthorized
from comet.hub import Hub
from comet.log import Retention
from comet.service import CannotStart, CometService
from comet.site import CometSite
from comet.tap import Options, installReactor, makeHub, makeService
from comet.transports.tcp import CometFactory


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
        before = gc.get_threshold()
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


class MakeHubTests(TapTestCase):
    """
    L{makeHub}: what the options do.
    """

    def hub(self, *arguments: str) -> Hub:
        """
        Make the hub of a command line.
        """
        return makeHub(self.options(*arguments).configuration, self.reactor)

    def test_limits(self) -> None:
        """
        What is allowed is what the options say.
        """
        settings = self.hub(
            *("--max-message", "1"),
            *("--max-depth", "2"),
            *("--max-batch", "3"),
            *("--max-channels", "4"),
            *("--max-connections", "5"),
            *("--heartbeat", "6"),
        ).settings
        limits = settings.limits
        self.assertEqual(
            (limits.maxMessage, limits.maxDepth, limits.maxBatch, limits.maxChannels), (1, 2, 3, 4)
        )
        self.assertEqual((settings.maxConnections, settings.heartbeat), (5, 6.0))

    def test_retention(self) -> None:
        """
        So is what is held.
        """
        configuration = self.options("--history-messages", "2").configuration
        self.assertEqual(configuration.retention("news"), Retention(messages=2))
        hub = makeHub(configuration, self.reactor)
        for text in "abc":
            self.successResultOf(hub.publish("news", text))
            self.reactor.advance(0)
        found = self.successResultOf(
            hub.bus.read(["news"], hub.head._replace(position=0), 9, 999, None)
        )
        self.assertEqual([message.payload for message in found.messages], [b'"b"', b'"c"'])

    def test_open(self) -> None:
        """
        Only what is open may be published to without the key; without a key
        nobody holds one.
        """
        hub = self.hub("--open", "a/*", "--demo")
        anyone = hub.access.identify(None)
        hub.checkPublish(anyone, ["a/b", "lab/a/b", "chat/x"])
        self.assertRaises(Unauthorized, hub.checkPublish, anyone, ["b"])
        self.assertRaises(Unauthorized, hub.access.identify, "Bearer x")

    def test_origins(self) -> None:
        """
        Pages of the origins that are allowed, and of the public URLs, may use
        it; it is known by the hosts of these.
        """
        origins = self.hub("--allow-origin", "http://a", "--public-url", "https://b/c").origins
        for origin, isAllowed in (("http://a", True), ("https://b", True), ("http://c", False)):
            self.assertIs(origins.verdict(origin, "localhost", False).isAllowed, isAllowed)
        origins.checkHost("b", (1, 1))


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
