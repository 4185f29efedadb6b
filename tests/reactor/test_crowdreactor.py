"""
Tests of L{comet.reactor.crowdreactor}: who is served first, and how much is done in a turn.
"""

from __future__ import annotations

import ast
import inspect
import socket
from typing import Any

from twisted.internet import epollreactor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.crowdreactor import CROWD, USED, CrowdEPollReactor
from comet.reactor.returning import BEGINNING, RETURNING
from comet.reactor.turns import TURN


class Noting(Protocol):
    """
    Notes what it is told, and lets time pass meanwhile.
    """

    def __init__(self, case: CrowdEPollReactorTests) -> None:
        self._case = case

    def connectionMade(self) -> None:
        """
        Note the new client.
        """
        self._case.note("made")
        self._case.made.append(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Note the input.
        """
        self._case.note(data.decode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self._case.note("lost")


class CrowdEPollReactorTests(SynchronousTestCase):
    """
    Clients over sockets, one turn after the other.
    """

    def setUp(self) -> None:
        """
        Make a reactor, which is not installed, with a clock of its own and a port.
        """
        self.reactor: Any = CrowdEPollReactor()
        self.clock = Clock()
        # How long everything takes.
        self.cost = 0.0
        self.noted: list[str] = []
        self.made: list[Noting] = []
        factory = Factory.forProtocol(lambda: Noting(self))
        factory.noisy = False
        self.port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.reactor.seconds = self.clock.seconds
        self.addCleanup(self._end)

    def _end(self) -> None:
        for each in self.reactor.removeAll():
            each.connectionLost(Failure(connectionDone.value))
        self.reactor._poller.close()

    def note(self, what: str) -> None:
        """
        Note what happens.
        """
        self.noted.append(what)
        self.clock.advance(self.cost)

    def turn(self) -> list[str]:
        """
        Let one turn pass.

        @return: What has happened in it.
        """
        self.noted = []
        self.reactor.doPoll(0)
        return self.noted

    def clients(self, count: int) -> list[socket.socket]:
        """
        Let so many clients be accepted.
        """
        found = []
        for _ in range(count):
            client = socket.create_connection(self.port.socket.getsockname())
            self.addCleanup(client.close)
            found.append(client)
            while self.turn() != ["made"]:
                pass
        return found

    def heard(self, client: socket.socket, word: bytes = b"first") -> None:
        """
        Let a client be heard.
        """
        client.send(word)
        self.assertEqual(self.turn(), [word.decode()])

    def test_newComeLast(self) -> None:
        """
        One that was heard before is served before those that were not, though it has
        sent last.
        """
        *new, known = self.clients(4)
        self.heard(known)
        for each in new:
            each.send(b"new")
        known.send(b"known")
        self.assertEqual(self.turn(), ["known", "new", "new", "new"])

    def test_someInATurn(self) -> None:
        """
        Of those that were never heard each turn hears as many as there is time for, in
        their order, and those that are known once more in each.
        """
        *new, known = self.clients(4)
        self.heard(known)
        for number, each in enumerate(new):
            each.send(b"%d" % number)
        self.cost = CROWD
        for number in range(3):
            known.send(b"known")
            self.assertEqual(self.turn(), ["known", str(number)])
        self.assertEqual(self.turn(), [])

    def test_leavingComeLast(self) -> None:
        """
        Those that leave come behind those that stay, some in each turn.
        """
        *leaving, stays = self.clients(3)
        for each in (*leaving, stays):
            self.heard(each)
        for each in leaving:
            each.close()
        self.cost = CROWD
        for _ in range(2):
            stays.send(b"stays")
            self.assertEqual(self.turn(), ["stays", "lost"])

    def returning(self, count: int) -> tuple[list[socket.socket], socket.socket]:
        """
        Let clients be heard, of which all but one come back together.
        """
        *polls, other = self.clients(count + 1)
        for each in (*polls, other):
            self.heard(each)
        for protocol in self.made[:-1]:
            RETURNING.set(protocol.transport, True)
        return polls, other

    def test_returningComeBehind(self) -> None:
        """
        Clients that come back together are served in their order and behind another one,
        some in each turn, however many they are.
        """
        polls, other = self.returning(4)
        for number, each in enumerate(polls):
            each.send(b"%d" % number)
        self.cost = TURN
        for number in range(4):
            other.send(b"other")
            self.assertEqual(self.turn(), ["other", str(number)])
        self.assertEqual(self.turn(), [])

    def test_returningAllAtOnce(self) -> None:
        """
        Where there is time, all that come back are served in one turn.
        """
        polls, _ = self.returning(3)
        for each in polls:
            each.send(b"poll")
        self.assertEqual(self.turn(), ["poll"] * 3)

    def test_returningBesideCrowd(self) -> None:
        """
        While many come back, those that come and go have a share of each turn, too.
        """
        polls, _ = self.returning(3)
        new = self.clients(3)
        for each in polls:
            each.send(b"poll")
        for each in new:
            each.send(b"new")
        self.cost = TURN
        for _ in range(3):
            self.assertEqual(self.turn(), ["poll", "new"])

    def test_returningClosed(self) -> None:
        """
        A connection that is closed as it waits to come back is told of its end once, and is
        not heard again.
        """
        polls, _ = self.returning(3)
        for each in polls:
            each.send(b"poll")
        self.cost = TURN
        self.assertEqual(self.turn(), ["poll"])
        self.noted = []
        # The order of the events is the system's.
        (waiting,) = list(self.reactor._poller.returning.events)[:1]
        self.reactor._selectables[waiting].abortConnection()
        self.reactor.runUntilCurrent()
        self.assertEqual(self.noted, ["lost"])
        self.assertEqual(self.turn(), ["poll"])
        self.assertEqual(self.turn(), [])

    def test_beginning(self) -> None:
        """
        A client stays one of those that come until more was heard of it than its TLS.
        """
        *begins, known = self.clients(3)
        for each in (*begins, known):
            self.heard(each)
        for protocol in self.made[:-1]:
            BEGINNING.set(protocol.transport, True)
        self.cost = CROWD
        for _ in range(2):
            for each in begins:
                each.send(b"tls")
            known.send(b"known")
            self.assertEqual(self.turn(), ["known", "tls"])
            self.assertEqual(self.turn(), ["tls"])
        for protocol in self.made[:-1]:
            BEGINNING.set(protocol.transport, False)
        for each in begins:
            each.send(b"text")
        self.assertEqual(self.turn(), ["text", "text"])

    def test_returnsNoMore(self) -> None:
        """
        A client that does not come back any more is served with the others.
        """
        polls, _ = self.returning(2)
        RETURNING.set(self.made[1].transport, False)
        polls[0].send(b"poll")
        polls[1].send(b"other")
        self.assertEqual(self.turn(), ["other", "poll"])

    def test_acceptsLast(self) -> None:
        """
        A port accepts clients once all others are served.
        """
        new, known = self.clients(2)
        self.heard(known)
        coming = socket.create_connection(self.port.socket.getsockname())
        self.addCleanup(coming.close)
        new.send(b"new")
        known.send(b"known")
        self.assertEqual(self.turn(), ["known", "new", "made"])

    def test_descriptorUsedAnew(self) -> None:
        """
        A client is new that has the descriptor of one that was heard and has left.
        """
        known, first = self.clients(2)
        self.heard(known)
        self.heard(first)
        transport: Any = self.made[1].transport
        before = transport.fileno()
        first.close()
        self.assertEqual(self.turn(), ["lost"])
        (second,) = self.clients(1)
        transport = self.made[2].transport
        self.assertEqual(transport.fileno(), before)
        second.send(b"second")
        known.send(b"known")
        self.assertEqual(self.turn(), ["known", "second"])

    def test_stillKnown(self) -> None:
        """
        A client that was not read for a while is not new afterwards.
        """
        new, known = self.clients(2)
        self.heard(known)
        transport: Any = self.made[1].transport
        transport.pauseProducing()
        transport.resumeProducing()
        new.send(b"new")
        known.send(b"known")
        self.assertEqual(self.turn(), ["known", "new"])

    def test_notReadNotWatched(self) -> None:
        """
        While a client is not read, nothing is told of the end of its input: the system
        would tell it in every turn.
        """
        (client,) = self.clients(1)
        self.heard(client)
        transport: Any = self.made[0].transport
        transport.pauseProducing()
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.reactor._poller.poll(0), [])
        transport.resumeProducing()
        self.assertEqual(self.turn(), ["lost"])

    def leave(self, count: int) -> None:
        """
        Let so many clients leave that were heard, of which the first is handled.
        """
        leaving = self.clients(count)
        for each in leaving:
            self.heard(each)
        for each in leaving:
            each.close()
        self.cost = CROWD
        self.assertEqual(self.turn(), ["lost"])

    def test_toldOnce(self) -> None:
        """
        Of those that wait the system tells nothing more, and the reactor goes on without
        being told.
        """
        self.leave(5)
        told: list[int] = []
        poll = self.reactor._poller.poll

        def counting(timeout: float, most: int) -> Any:
            # With nothing to wait for it would wait here.
            self.assertEqual(timeout, 0)
            found = poll(timeout, most)
            told.append(len(found))
            return found

        self.reactor._poller.poll = counting
        for _ in range(4):
            self.noted = []
            self.reactor.doPoll(None)
            self.assertEqual(self.noted, ["lost"])
        self.assertEqual(told, [0] * 4)

    def test_acceptsBesideCrowd(self) -> None:
        """
        However many leave, new clients are accepted in each turn.
        """
        self.leave(5)
        coming = socket.create_connection(self.port.socket.getsockname())
        self.addCleanup(coming.close)
        self.assertEqual(self.turn(), ["lost", "made"])

    def waiting(self) -> tuple[list[socket.socket], list[Any]]:
        """
        Let three clients say their first words, of which the first is heard.

        @return: The clients, and the transports of the server.
        """
        clients = self.clients(3)
        for each in clients:
            each.send(b"new")
        self.cost = CROWD
        self.assertEqual(self.turn(), ["new"])
        return clients, [each.transport for each in self.made]

    def test_pausedWhileWaiting(self) -> None:
        """
        A client that waits and is not to be read is not read, and is heard once it is to be
        read again.
        """
        _, (_, paused, _) = self.waiting()
        paused.pauseProducing()
        self.assertEqual(self.turn(), ["new"])
        self.assertEqual(self.turn(), [])
        paused.resumeProducing()
        self.assertEqual(self.turn(), ["new"])

    def test_pausedAndWriting(self) -> None:
        """
        While a client waits that is not to be read, it may be written to; what it has sent
        is heard later.
        """
        clients, (_, paused, _) = self.waiting()
        paused.pauseProducing()
        paused.write(b"answer")
        self.assertEqual(self.turn(), ["new"])
        self.assertEqual(self.turn(), [])
        clients[1].settimeout(5)
        self.assertEqual(clients[1].recv(99), b"answer")
        paused.resumeProducing()
        self.assertEqual(self.turn(), ["new"])

    def test_closedWhileWaiting(self) -> None:
        """
        A connection that is closed while it waits is told of its end once, and another one
        may have its descriptor.
        """
        _, (_, closed, _) = self.waiting()
        again = socket.create_connection(self.port.socket.getsockname())
        self.addCleanup(again.close)
        again.send(b"again")
        before = closed.fileno()
        self.cost = 0.0
        self.noted = []
        closed.abortConnection()
        self.reactor.runUntilCurrent()
        self.assertEqual(self.noted, ["lost"])
        self.assertEqual(self.turn(), ["new", "made"])
        transport: Any = self.made[-1].transport
        self.assertEqual(transport.fileno(), before)
        self.assertEqual(self.turn(), ["again"])

    def test_halfClosedWhileWaiting(self) -> None:
        """
        A client that ends its input while it waits is heard, and then its end.
        """
        clients, _ = self.waiting()
        clients[1].shutdown(socket.SHUT_WR)
        self.cost = 0.0
        self.assertEqual(self.turn(), ["new", "new"])
        self.assertEqual(self.turn(), ["lost"])
        self.assertEqual(self.turn(), [])

    def test_failingWhileWaiting(self) -> None:
        """
        A protocol that fails loses its connection, and the others are heard.
        """
        self.waiting()
        self.cost = 0.0
        self.patch(self.made[1], "dataReceived", lambda data: 1 // 0)
        self.assertEqual(self.turn(), ["lost", "new"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_usedNames(self) -> None:
        """
        Twisted's reactor has what this one needs of it, and asks no more of its C{epoll}
        than there is.  This runs with the lowest release that is allowed, too.
        """
        plain: Any = epollreactor.EPollReactor()
        self.addCleanup(plain._poller.close)
        for name in USED:
            self.assertTrue(hasattr(plain, name), name)
        asked = set()
        for node in ast.walk(ast.parse(inspect.getsource(epollreactor))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                if node.value.attr == "_poller":
                    asked.add(node.attr)
        self.assertTrue(asked >= {"poll", "register", "modify", "unregister"}, asked)
        for name in asked:
            self.assertTrue(hasattr(self.reactor._poller, name), name)
