"""
Where the server listens: ports that are held back, and sockets that are
inherited, over every kind of endpoint there is.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from comet.server.listening import QUEUE, descriptionOf, hold, makeEndpoint, release
from tests.edge.tls import authority

# How long anything may take, in seconds.
PATIENCE = 10.0

PROXIED = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"


class Greeting(Protocol):
    """
    Says hello.
    """

    def connectionMade(self) -> None:
        """
        Somebody came.
        """
        assert self.transport is not None
        self.transport.write(b"hello")


class Greeter(Factory):
    """
    Counts who comes.
    """

    noisy = False
    protocol = Greeting

    def __init__(self) -> None:
        self.accepted = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Count one more.
        """
        self.accepted += 1
        return super().buildProtocol(addr)


@frozen
class Kind:
    """
    A kind of endpoint.

    @ivar description: What names it.

    @ivar said: What a client says first.

    @ivar isSecure: Whether it speaks TLS.
    """

    description: str
    said: bytes = b""
    isSecure: bool = False

    def connect(self, port: Any) -> socket.socket:
        """
        Connect, as the system does also where nobody accepts.
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
        What is said to a client, which leaves then.
        """
        if self.isSecure:
            client = authority().context.wrap_socket(client, server_hostname="localhost")
        try:
            return client.recv(5)
        finally:
            client.close()


def kinds(directory: str) -> Iterator[Kind]:
    """
    Every kind of endpoint that makes sense here.
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
        Make a directory of which the name is short: those of sockets have to be.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        folder = tempfile.TemporaryDirectory(prefix="comet-")
        self.addCleanup(folder.cleanup)
        self.directory = folder.name

    @inlineCallbacks
    def listen(self, endpoint: IStreamServerEndpoint, factory: Factory) -> Any:
        """
        Listen until the test is over.
        """
        port: Any = yield endpoint.listen(factory)
        self.addCleanup(lambda: port.stopListening() if port.connected else None)
        return port

    @inlineCallbacks
    def assertHeard(self, kind: Kind, client: socket.socket) -> Any:
        """
        A client is accepted, and told so.
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
        Nobody is accepted while a port is held; who came meanwhile has waited.
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
    def test_kinds(self) -> Any:
        """
        The ports of every kind can be held.
        """
        for kind in kinds(self.directory):
            yield self.assertHeld(kind, makeEndpoint(self.reactor, kind.description))

    @inlineCallbacks
    def test_adopted(self) -> Any:
        """
        So can what systemd has bound.
        """
        with socket.create_server(("127.0.0.1", 0)) as bound:
            endpoint = AdoptedStreamServerEndpoint(
                self.reactor, os.dup(bound.fileno()), socket.AF_INET
            )
            yield self.assertHeld(Kind("systemd:"), endpoint)

    def test_not(self) -> None:
        """
        A port that is no descriptor of the reactor's cannot be held; to
        release it does nothing.
        """
        port = MemoryReactor().listenTCP(1, Greeter())
        self.assertFalse(hold(port))
        release(port)


class InheritTests(PortsTestCase):
    """
    L{makeEndpoint} with a socket that is bound.
    """

    @inlineCallbacks
    def test_kinds(self) -> Any:
        """
        Every kind of endpoint serves on a socket that another one has bound,
        as its description says; when it stops, the other still listens.
        """
        for kind in kinds(self.directory):
            owner = yield self.listen(makeEndpoint(self.reactor, kind.description), Greeter())
            hold(owner)
            for _ in range(2):
                greeter = Greeter()
                inherited = os.dup(owner.fileno())
                endpoint = makeEndpoint(self.reactor, kind.description, inherited)
                port = yield self.listen(endpoint, greeter)
                # It has one of its own.
                self.assertRaises(OSError, os.fstat, inherited)
                yield self.assertHeard(kind, kind.connect(port))
                self.assertEqual(greeter.accepted, 1, kind.description)
                yield port.stopListening()

    @inlineCallbacks
    def test_several(self) -> Any:
        """
        Of several that share a socket, one that accepts nobody keeps nobody
        waiting.
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
    def test_file(self) -> Any:
        """
        The file of a socket keeps its permissions, and goes when its owner
        goes.
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
    What L{makeEndpoint} understands.
    """

    def test_descriptionOf(self) -> None:
        """
        Messages call an endpoint by its description, or by the name of its
        class if it was made without one.
        """
        endpoint = makeEndpoint(MemoryReactor(), "tcp:1")
        self.assertEqual(descriptionOf(endpoint), "tcp:1")
        self.assertEqual(descriptionOf(endpoint.endpoint), "TCP4ServerEndpoint")

    def test_unknown(self) -> None:
        """
        What is no endpoint is refused, also for a socket that is bound.
        """
        for inherited in (None, 99):
            self.assertRaises(ValueError, makeEndpoint, MemoryReactor(), "nothing", inherited)

    def test_otherwise(self) -> None:
        """
        With a socket that is bound, an endpoint finds all else that the
        reactor can do.
        """
        memory = MemoryReactor()
        endpoint: Any = makeEndpoint(memory, "tcp:1", 99).endpoint
        endpoint._reactor.callWhenRunning(print)
        self.assertEqual(memory.whenRunningHooks, [(print, (), {})])

    def test_queue(self) -> None:
        """
        Many may wait to be accepted, unless the description says how many.
        """
        for description, expected in (
            ("tcp:0", QUEUE),
            ("tcp:0:interface=127.0.0.1", QUEUE),
            ("tcp:0:backlog=7", 7),
            ("unix:here", QUEUE),
            ("unix:here:backlog=9", 9),
        ):
            reactor = MemoryReactor()
            endpoint = makeEndpoint(reactor, description)
            self.successResultOf(endpoint.listen(Greeter()))
            [bound] = reactor.tcpServers or reactor.unixServers
            self.assertEqual(bound[2], expected, description)
