"""
Where the server listens: held ports and inherited sockets, with every kind of
endpoint.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import frozen
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from comet.server.acceptingports import MOST_ACCEPTED
from comet.server.bindingreactors import QUEUE
from comet.server.describedendpoints import descriptionOf, makeEndpoint
from comet.server.ports import hold, release
from comet.settings.configuration import ConfigurationError
from tests.edge.tls import authority

# How long a client waits, in seconds.
PATIENCE = 30.0

PROXIED = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"


class Greeting(Protocol):
    """
    A server that says hello.
    """

    def connectionMade(self) -> None:
        """
        Say hello to a client.
        """
        assert self.transport is not None
        self.transport.write(b"hello")


class Greeter(Factory):
    """
    A factory that counts its connections.
    """

    noisy = False
    protocol = Greeting

    def __init__(self) -> None:
        self.accepted = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Count a connection.
        """
        self.accepted += 1
        return super().buildProtocol(addr)


@frozen
class Kind:
    """
    A kind of endpoint.

    @ivar description: Its description.

    @ivar said: The first bytes that a client sends.

    @ivar isSecure: Whether it speaks TLS.
    """

    description: str
    said: bytes = b""
    isSecure: bool = False

    def connect(self, port: Any) -> socket.socket:
        """
        Connect.  The system does so although the port is held.
        """
        host = port.getHost()
        if hasattr(host, "port"):
            client = socket.create_connection((host.host, host.port), PATIENCE)
        else:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(PATIENCE)
            client.connect(os.fsdecode(host.name).lstrip("\0"))
        client.sendall(self.said)
        return client

    def hear(self, client: socket.socket) -> bytes:
        """
        Return the first bytes that the server sends, and close the connection.
        """
        if self.isSecure:
            client = authority().context.wrap_socket(client, server_hostname="localhost")
        try:
            return client.recv(5)
        finally:
            client.close()


def kinds(directory: str) -> Iterator[Kind]:
    """
    Yield every kind of endpoint that this machine can serve.
    """
    yield Kind("tcp:0:interface=127.0.0.1")
    yield Kind("tcp6:0:interface=\\:\\:1")
    yield Kind(authority().endpoint.format(port=0), isSecure=True)
    yield Kind(f"unix:{directory}/a:mode=600")
    yield Kind("haproxy:tcp:0:interface=127.0.0.1", PROXIED)
    yield Kind(f"haproxy:unix:{directory}/b", PROXIED)


class PortsTestCase(TestCase):
    """
    Tests with real sockets.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Make a directory with a short name: the paths of UNIX sockets are limited.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        folder = tempfile.TemporaryDirectory(prefix="comet-")
        self.addCleanup(folder.cleanup)
        self.directory = folder.name

    @inlineCallbacks
    def listen(self, endpoint: IStreamServerEndpoint, factory: Factory) -> Any:
        """
        Listen until the end of the test.
        """
        port: Any = yield endpoint.listen(factory)
        self.addCleanup(lambda: port.stopListening() if port.connected else None)
        return port

    @inlineCallbacks
    def assertHeard(self, kind: Kind, client: socket.socket) -> Any:
        """
        Assert that a client is accepted and greeted.
        """
        heard = yield deferToThread(kind.hear, client)
        self.assertEqual(heard, b"hello", kind.description)


class HoldTests(PortsTestCase):
    """
    L{hold} and L{release}.
    """

    @inlineCallbacks
    def assertHeld(self, kind: Kind, endpoint: IStreamServerEndpoint) -> Any:
        """
        Assert that a held port accepts no connection, and accepts those that
        have waited once it is released.
        """
        greeter = Greeter()
        port = yield self.listen(endpoint, greeter)
        self.assertTrue(hold(port), kind.description)
        clients = [kind.connect(port) for _ in range(2)]
        yield deferLater(self.reactor, 0.05, lambda: None)
        self.assertEqual(greeter.accepted, 0, kind.description)
        release(port)
        for client in clients:
            yield self.assertHeard(kind, client)
        self.assertEqual(greeter.accepted, 2, kind.description)

    @inlineCallbacks
    def test_holdsEveryKind(self) -> Any:
        """
        The ports of every kind of endpoint can be held.
        """
        for kind in kinds(self.directory):
            yield self.assertHeld(kind, makeEndpoint(self.reactor, kind.description))

    @inlineCallbacks
    def test_holdsAdoptedSocket(self) -> Any:
        """
        The port of a socket that systemd has bound can be held.
        """
        with socket.create_server(("127.0.0.1", 0)) as bound:
            endpoint = AdoptedStreamServerEndpoint(
                self.reactor, os.dup(bound.fileno()), socket.AF_INET
            )
            yield self.assertHeld(Kind("systemd:"), endpoint)

    def test_doesNotHoldOtherPorts(self) -> None:
        """
        A port that the reactor does not poll cannot be held, and to release it
        does nothing.
        """
        port = MemoryReactor().listenTCP(1, Greeter())
        self.assertFalse(hold(port))
        release(port)


class AcceptingTests(PortsTestCase):
    """
    A port accepts some clients in each turn.
    """

    @inlineCallbacks
    def test_someInATurn(self) -> Any:
        """
        However many clients come in the same moment, no turn has more than
        L{MOST_ACCEPTED} of them; all are accepted in the end.
        """
        accepted: list[IAddress] = []
        factory = Greeter()
        # Returns None: the client is closed again.
        factory.buildProtocol = accepted.append  # type: ignore[method-assign,assignment]
        port = yield self.listen(makeEndpoint(self.reactor, "tcp:0:interface=127.0.0.1"), factory)
        port.stopReading()
        clients = [
            socket.create_connection(("127.0.0.1", port.getHost().port))
            for _ in range(2 * MOST_ACCEPTED + 1)
        ]
        for each in clients:
            self.addCleanup(each.close)
        counts = []
        for _ in range(4):
            before = len(accepted)
            port.doRead()
            counts.append(len(accepted) - before)
        self.assertEqual(counts, [MOST_ACCEPTED, MOST_ACCEPTED, 1, 0])
        port.startReading()


class InheritTests(PortsTestCase):
    """
    L{makeEndpoint} with an inherited socket.
    """

    @inlineCallbacks
    def test_servesEveryKindOnInheritedSocket(self) -> Any:
        """
        An endpoint of every kind serves on an inherited socket as its description
        says.  When it stops, the owner of the socket still listens.
        """
        for kind in kinds(self.directory):
            owner = yield self.listen(makeEndpoint(self.reactor, kind.description), Greeter())
            hold(owner)
            for _ in range(2):
                greeter = Greeter()
                inherited = os.dup(owner.fileno())
                endpoint = makeEndpoint(self.reactor, kind.description, inherited)
                port = yield self.listen(endpoint, greeter)
                # The port has a descriptor of its own.
                self.assertRaises(OSError, os.fstat, inherited)
                yield self.assertHeard(kind, kind.connect(port))
                self.assertEqual(greeter.accepted, 1, kind.description)
                yield port.stopListening()

    @inlineCallbacks
    def test_heldPortLeavesConnectionsToOthers(self) -> Any:
        """
        If several ports share a socket, connections do not wait for one that is
        held.
        """
        kind = Kind("tcp:0:interface=127.0.0.1")
        owner = yield self.listen(makeEndpoint(self.reactor, kind.description), Greeter())
        hold(owner)
        ports = []
        for _ in range(3):
            inherited = os.dup(owner.fileno())
            endpoint = makeEndpoint(self.reactor, kind.description, inherited)
            ports.append((yield self.listen(endpoint, Greeter())))
        hold(ports[0])
        for _ in range(6):
            yield self.assertHeard(kind, kind.connect(owner))
        self.assertEqual(ports[0].factory.accepted, 0)
        self.assertEqual(sum(port.factory.accepted for port in ports[1:]), 6)

    @inlineCallbacks
    def test_sharesWithOthers(self) -> Any:
        """
        Where another process has fewer clients, it accepts first; and if it does not, this
        one does.
        """
        for kind in kinds(self.directory):
            owner = yield self.listen(makeEndpoint(self.reactor, kind.description), Greeter())
            hold(owner)
            asked: list[int] = []

            def room(asked: list[int] = asked) -> int:
                asked.append(0)
                return 0

            inherited = os.dup(owner.fileno())
            endpoint = makeEndpoint(self.reactor, kind.description, inherited, room)
            port = yield self.listen(endpoint, Greeter())
            yield self.assertHeard(kind, kind.connect(port))
            self.assertGreater(len(asked), 1, kind.description)
            yield port.stopListening()

    @inlineCallbacks
    def test_leavesFileOfUNIXSocketAlone(self) -> Any:
        """
        The file of an inherited UNIX socket keeps its permissions, and its owner
        removes it.
        """
        path = Path(self.directory, "s")
        description = f"unix:{path}:mode=600"
        owner = yield self.listen(makeEndpoint(self.reactor, description), Greeter())
        inherited = os.dup(owner.fileno())
        port = yield self.listen(makeEndpoint(self.reactor, description, inherited), Greeter())
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        yield port.stopListening()
        self.assertTrue(path.is_socket())
        yield owner.stopListening()
        self.assertFalse(path.exists())


class DescriptionTests(SynchronousTestCase):
    """
    L{makeEndpoint} and L{descriptionOf}.
    """

    def test_descriptionOf(self) -> None:
        """
        Messages call an endpoint by its description, or by the name of its
        class if it was made without one.
        """
        endpoint = makeEndpoint(MemoryReactor(), "tcp:1")
        self.assertEqual(descriptionOf(endpoint), "tcp:1")
        self.assertEqual(descriptionOf(endpoint.endpoint), "TCP4ServerEndpoint")

    def test_refusesWhatIsNoDescription(self) -> None:
        """
        A string that describes no endpoint is refused, with or without an
        inherited socket.
        """
        for inherited in (None, 99):
            self.assertRaises(ValueError, makeEndpoint, MemoryReactor(), "nothing", inherited)

    def test_refusesWhatIsNoPort(self) -> None:
        """
        A number that is no port is refused before anything listens.
        """
        for port in (0, 65535):
            makeEndpoint(MemoryReactor(), f"tcp:{port}")
        for description in ("tcp:65536", "tcp:-1", "tcp6:65536", "haproxy:tcp:port=99999"):
            for inherited in (None, 99):
                error = self.assertRaises(
                    ConfigurationError, makeEndpoint, MemoryReactor(), description, inherited
                )
                self.assertIn("0 to 65535", str(error))

    def test_namesExtraForTLS(self) -> None:
        """
        Without the packages for TLS the error names the extra that brings them.
        """
        missing: dict[str, Any] = {"twisted.internet.ssl": None}
        with patch.dict(sys.modules, missing):
            self._assertNamesExtra()

    def _assertNamesExtra(self) -> None:
        for description in ("ssl:443:privateKey=/none.pem", "haproxy:ssl:443"):
            error = self.assertRaises(
                ConfigurationError, makeEndpoint, MemoryReactor(), description
            )
            self.assertIn("pip install 'comet-push[tls]'", str(error))

    def test_inheritingEndpointHasAllOfReactor(self) -> None:
        """
        An endpoint of an inherited socket can use all other methods of the
        reactor.
        """
        memory = MemoryReactor()
        endpoint: Any = makeEndpoint(memory, "tcp:1", 99).endpoint
        endpoint._reactor.callWhenRunning(print)
        self.assertEqual(memory.whenRunningHooks, [(print, (), {})])

    def test_queuesManyConnections(self) -> None:
        """
        Many connections may wait to be accepted, unless the description says how
        many.
        """
        for description, expected in (
            ("tcp:0", QUEUE),
            ("tcp:0:interface=127.0.0.1", QUEUE),
            ("tcp:0:backlog=7", 7),
            ("unix:here", QUEUE),
            ("unix:there:backlog=9", 9),
        ):
            reactor = MemoryReactor()
            endpoint = makeEndpoint(reactor, description)
            port: Any = self.successResultOf(endpoint.listen(Greeter()))
            if reactor.unixServers:
                self.addCleanup(port.lockFile.unlock)
            [bound] = reactor.tcpServers or reactor.unixServers
            self.assertEqual(bound[2], expected, description)
