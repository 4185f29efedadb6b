"""
Tests of L{comet.lean.epollreactor}: whose events come, in which order, and when the
reactor goes back to what Twisted has to do.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from select import EPOLLIN
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.lean.epollreactor import LeanEPollReactor
from comet.lean.reactor import LeanReactor, canBeLean
from comet.reactor.clocks import steadyClock
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.lean.case import read, request


class FakePort:
    """
    A port that notes its events.

    @ivar told: The events that it was given, in order.

    @ivar keep: How many of the next events it has no time for.

    @ivar most: For how many events it has time in a turn.

    @ivar also: Called when it has events.

    @ivar waiting: The events that it says wait.

    @ivar turns: What it was told of turns.

    @ivar atEnd: Called when a turn ends.
    """

    waiting: Mapping[int, int] = {}
    returning: Mapping[int, int] = {}

    def __init__(self, reactor: LeanEPollReactor, own: socket.socket) -> None:
        self.fd = own.fileno()
        self.connections: Mapping[int, Any] = {}
        self.left: Sequence[tuple[int, int]] = ()
        self.seconds: Callable[[], float] = reactor.seconds
        self.told: list[int] = []
        self.keep = 0
        self.most = 1024
        self.also: Callable[[], object] = lambda: None
        self.turns: list[str] = []
        self.atEnd: Callable[[], object] = lambda: None
        reactor.edgeEpoll.register(self.fd, EPOLLIN)
        reactor.addPort(self)

    def beginTurn(self) -> None:
        """
        See L{PolledPort.beginTurn}.
        """
        self.turns.append("begun")

    def endTurn(self) -> None:
        """
        See L{PolledPort.endTurn}.
        """
        self.turns.append("ended")
        self.atEnd()

    def handle(self, happened: Sequence[tuple[int, int]], over: float) -> int:
        """
        Note events.
        """
        count = min(len(happened) - self.keep, self.most)
        self.keep = 0
        self.told += [fd for fd, _ in happened[:count]]
        self.left = happened[count:]
        self.also()
        return count

    def handlingFailed(self) -> None:
        """
        Note that it failed.
        """
        self.told.append(-1)

    def logPrefix(self) -> str:
        """
        Return a name for the log.
        """
        return "port"

    def connectionLost(self, reason: object) -> None:
        """
        Do nothing.
        """


class Watched:
    """
    A descriptor that Twisted watches.
    """

    def __init__(self, sock: socket.socket, call: Callable[[], object]) -> None:
        self.fileno = sock.fileno
        self.doRead = call

    def logPrefix(self) -> str:
        """
        Return a name for the log.
        """
        return "watched"

    def connectionLost(self, reason: object) -> None:
        """
        Do nothing.
        """


class PolledCase(SynchronousTestCase):
    """
    The base class of these tests.
    """

    def setUp(self) -> None:
        """
        Make a reactor, which is not installed.
        """
        self.reactor: Any = LeanEPollReactor()
        self.addCleanup(self.reactor.edgeEpoll.close)
        self.addCleanup(self.reactor._poller.close)
        # Most tests end well before.
        self.reactor.callLater(20, self.reactor.crash)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """
        Make two connected sockets.
        """
        pair = socket.socketpair()
        for each in pair:
            self.addCleanup(each.close)
        return pair

    def port(self) -> tuple[FakePort, socket.socket]:
        """
        Make a port, and a socket that gives it an event by sending.
        """
        ours, theirs = self.pair()
        return FakePort(self.reactor, ours), theirs


class IterateTests(PolledCase):
    """
    One turn after the other.
    """

    def test_eachPortHasItsOwn(self) -> None:
        """
        Each port is given the events of its own descriptor and of its connections, and
        none of others.
        """
        (one, first), (two, second) = self.port(), self.port()
        ours, theirs = self.pair()
        self.reactor.edgeEpoll.register(ours.fileno(), EPOLLIN)
        two.connections = {ours.fileno(): object()}
        for each in (first, second, theirs):
            each.send(b"x")
        self.reactor.iterate(0)
        self.assertEqual(one.told, [one.fd])
        self.assertEqual(sorted(two.told), sorted([two.fd, ours.fileno()]))

    def test_leftIsHandledFirst(self) -> None:
        """
        Events for which a port had no time are given to it in the next turn, before new
        ones, and the reactor waits for no others then.
        """
        port, theirs = self.port()
        port.keep = 1
        theirs.send(b"x")
        self.reactor.iterate(0)
        self.assertEqual((port.told, len(port.left)), ([], 1))
        self.reactor.edgeEpoll.unregister(port.fd)
        self.reactor.iterate(5)
        self.assertEqual((port.told, port.left), ([port.fd], []))

    def test_busyPort(self) -> None:
        """
        A port that has time for one event a turn, while three come in each, is given all
        three before one comes again.  So what is left does not grow, and there are turns in
        which nothing is.
        """
        port, theirs = self.port()
        pairs = [self.pair() for _ in range(2)]
        for ours, other in pairs:
            self.reactor.edgeEpoll.register(ours.fileno(), EPOLLIN)
            other.send(b"x")
        theirs.send(b"x")
        port.connections = {ours.fileno(): object() for ours, _ in pairs}
        every, left = {port.fd, *port.connections}, []
        port.most = 1
        for _ in range(12):
            self.reactor.iterate(0)
            left.append(len(port.left))
        self.assertEqual(left, [2, 1, 0] * 4)
        for start in range(0, 12, 3):
            self.assertEqual({*port.told[start : start + 3]}, every)

    def test_failingPort(self) -> None:
        """
        A port that fails is told, and the others have their events.
        """
        (one, first), (two, second) = self.port(), self.port()
        one.also = lambda: 1 / 0
        for each in (first, second):
            each.send(b"x")
        self.reactor.iterate(0)
        self.assertEqual((one.told, two.told), ([one.fd, -1], [two.fd]))

    def test_others(self) -> None:
        """
        What Twisted watches is handled in the same turn, before the ports: a bus may have
        answered what clients wait for.
        """
        port, theirs = self.port()
        ours, other = self.pair()
        heard: list[object] = []
        port.also = lambda: heard.append("port")
        self.reactor.addReader(Watched(ours, lambda: heard.append(ours.recv(9))))
        other.send(b"y")
        theirs.send(b"x")
        self.reactor.iterate(0)
        self.assertEqual(heard, [b"y", "port"])
        self.assertEqual(port.turns, ["begun", "ended"])

    def test_othersInOneTurn(self) -> None:
        """
        What Twisted watches is handled within a turn of each port, also where the end of
        that of another port fails.
        """
        (one, first), (two, _) = self.port(), self.port()
        ours, other = self.pair()
        one.atEnd = lambda: 1 / 0
        self.reactor.addReader(Watched(ours, lambda: two.turns.append(ours.recv(9).decode())))
        other.send(b"y")
        first.send(b"x")
        self.reactor.iterate(0)
        self.assertEqual(two.turns, ["begun", "y", "ended"])
        self.assertEqual(one.told, [-1, one.fd])

    def test_waiting(self) -> None:
        """
        A port that says that events wait is called without any, and the reactor waits for
        none; it then goes back to Twisted's timers.
        """
        port, _ = self.port()
        called: list[str] = []
        port.also = lambda: called.append("port")
        port.waiting = {0: 1}
        self.reactor.iterate(5)
        self.assertEqual(called, ["port"])
        self.reactor.callLater(0, called.append, "timer")
        self.reactor.callLater(0, self.reactor.callLater, 0, self.reactor.crash)
        self.reactor.run(installSignalHandlers=False)
        self.assertLess(called.index("timer"), 3)

    def test_removed(self) -> None:
        """
        A port that is removed has no more events; L{removeAll} returns the others.
        """
        (one, first), (two, second) = self.port(), self.port()
        self.reactor.removePort(one)
        first.send(b"x")
        second.send(b"x")
        self.reactor.iterate(0)
        self.assertEqual((one.told, two.told), ([], [two.fd]))
        self.assertIn(two, self.reactor.removeAll())
        self.reactor.iterate(0)
        self.assertEqual(two.told, [two.fd])

    def test_provides(self) -> None:
        """
        The lean edge works with the reactor.
        """
        self.assertTrue(IReactorFDSet.providedBy(self.reactor) and canBeLean(self.reactor))


class RunTests(PolledCase):
    """
    The reactor runs.
    """

    def run_(self) -> None:
        """
        Run the reactor until it is stopped or crashes.
        """
        self.reactor.run(installSignalHandlers=False)

    def test_stopsFromAPort(self) -> None:
        """
        A port may stop the reactor, and may let it crash.
        """
        for leave in (self.reactor.crash, self.reactor.stop):
            port, theirs = self.port()
            port.also = leave
            theirs.send(b"x")
            self.run_()
            self.assertEqual(port.told, [port.fd])
            self.reactor.removePort(port)
            self.reactor.edgeEpoll.unregister(port.fd)

    def test_delayedCalls(self) -> None:
        """
        What a port has called later is called, also while it always has events; and
        what comes from a thread.
        """
        port, theirs = self.port()
        calls: list[str] = []

        def begin() -> None:
            if not calls:
                calls.append("begun")
                self.reactor.callLater(0, calls.append, "soon")
                self.reactor.callLater(0.01, fromThread)

        def fromThread() -> None:
            pool = ThreadPool(0, 1)
            pool.start()
            self.addCleanup(pool.stop)
            done = deferToThreadPool(self.reactor, pool, lambda: None)
            done.addCallback(end)

        def end(result: object) -> None:
            calls.append("thread")
            self.reactor.crash()

        port.also = begin
        theirs.send(b"x")
        self.run_()
        self.assertEqual(calls, ["begun", "soon", "thread"])
        self.assertGreater(len(port.told), 1)

    def test_server(self) -> None:
        """
        A server on this reactor: HTTP and raw TCP on the lean edge, and a request that
        is handed over.  When it stops, all connections end.
        """
        reactor = self.reactor
        hub = Hub(MemoryBus(reactor), reactor, access=Access(None, ["**"]))
        lean = LeanReactor(reactor)
        site = CometSite(CometResource(hub), 65536, reactor=reactor)
        ports = [
            lean.listenTCP(0, factory, interface="127.0.0.1")
            for factory in (site, CometFactory(hub))
        ]
        http, tcp = (each.getHost().port for each in ports)
        said: list[bytes] = []

        def talk() -> None:
            with socket.create_connection(("127.0.0.1", tcp), 10) as reader:
                reader.sendall(b'{"id":1,"subscribe":["c"]}\n')
                said.append(reader.recv(999))
                with socket.create_connection(("127.0.0.1", http), 10) as client:
                    client.sendall(request("/channels/c", method="POST", body=b"hello"))
                    said.append(client.recv(999))
                    said.append(reader.recv(999))
                    client.sendall(request("/health"))
                    said.append(client.recv(999))
                    client.sendall(read("poll"))
                    said.append(client.recv(999))
                    reactor.callFromThread(reactor.stop)
                    said.append(client.recv(999))
                said.append(reader.recv(999))

        reactor.callWhenRunning(reactor.callInThread, talk)
        self.run_()
        self.successResultOf(hub.stop())
        # With it ends the thread that guards them.
        self.assertEqual(steadyClock(reactor).getDelayedCalls(), [])
        parts = (b'"ok"', b" 201 ", b'"hello"', b" 200 ", b'"messages"', b"", b"")
        for part, each in zip(parts, said, strict=True):
            self.assertTrue(part in each if part else not each, (part, each))
